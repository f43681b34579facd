"""Optional packages: the error names the command that installs one."""

import pickle

import pytest

from xpnet.files.optional import MissingPackageError, import_optional


@pytest.mark.parametrize(("package", "command"), [(None, "no_such"), ("Such", "Such")])
def test_a_missing_package(package, command):
    assert import_optional("json.decoder", "unused").__name__ == "json.decoder"
    with pytest.raises(MissingPackageError, match=f"needed: pip install {command}$") as caught:
        import_optional("no_such.part", "needed", package)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (type(error), error.name) == (MissingPackageError, "no_such")
