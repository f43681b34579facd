"""Optional packages: what is imported, and the error that names the remedy."""

import pickle

import pytest

from xpnet.files.optional import MissingPackageError, import_optional


def test_an_installed_package():
    assert import_optional("json.decoder", "unused").__name__ == "json.decoder"


@pytest.mark.parametrize(
    ("requirement", "command"),
    [(None, "no_such_package"), ('"wheel[extra]>=2"', '"wheel[extra]>=2"')],
)
def test_a_missing_package(requirement, command):
    with pytest.raises(ModuleNotFoundError) as caught:
        import_optional("no_such_package.part", "this needs it", requirement)
    assert str(caught.value) == f"this needs it: pip install {command}"
    assert caught.value.name == "no_such_package"


def test_the_error_survives_the_way_from_a_worker():
    error = pickle.loads(pickle.dumps(MissingPackageError("a message", name="a_package")))
    assert (type(error), str(error), error.name) == (MissingPackageError, "a message", "a_package")
