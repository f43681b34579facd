"""Public names of `import xpnet`, and the cost of the import."""

import importlib
import importlib.metadata
import importlib.util
import inspect
import subprocess
import sys
import tomllib
from operator import attrgetter
from pathlib import Path

import pytest

import xpnet

HEAVY = ("cupy", "torch", "jax", "dask", "matplotlib", "sklearn", "onnx", "tqdm", "safetensors")
NAMES = [(module, name) for module in (xpnet, xpnet.parity) for name in module.__all__]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_public_names_open_their_rooms(module, name):
    value = getattr(module, name)
    assert (value.__name__, bool(value.__doc__), name in dir(module)) == (name, True, True)
    assert name in importlib.import_module(value.__module__).__all__


def test_estimators_are_listed_where_scikit_learn_is_installed():
    estimators = {"MLPClassifier", "MLPRegressor"}
    assert not estimators & set(xpnet.__all__)
    listed = {*xpnet.__all__, "__version__", "parity", "testing"}
    is_installed = importlib.util.find_spec("sklearn") is not None
    assert set(dir(xpnet)) == listed | (estimators if is_installed else set())


@pytest.mark.parametrize("name", xpnet.__all__)
def test_signatures_name_types_as_they_are_written(name):
    value = getattr(xpnet, name)
    if isinstance(value, type) and issubclass(value, BaseException):
        return
    found = str(inspect.signature(value))
    assert not any(word in found for word in ("Union[", "Optional[", "ForwardRef", "<class"))


def test_the_signature_of_read_has_its_options():
    parameters = inspect.signature(xpnet.read).parameters
    assert list(parameters)[:3] == ["path", "labels", "label"]
    assert parameters["split"].default is None
    with pytest.raises(TypeError, match="unexpected keyword argument 'first_rows'"):
        xpnet.read("sample", first_rows=1)


def test_the_citation_is_of_this_version_and_its_authors():
    assert xpnet.__version__ == importlib.metadata.version("xpnet")
    folder = Path(__file__).parents[1]
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (folder / "CITATION.cff").read_text("utf-8").splitlines()
    assert f"version: {project['version']}" in lines
    assert [f"  - name: {author['name']}" for author in project["authors"]] == [
        line for line in lines if line.startswith("  - name: ")
    ]
    (licence,) = [line.removeprefix("license: ") for line in lines if line.startswith("license:")]
    assert licence in project["license"].split(" AND ")


@pytest.mark.parametrize("name", ["swish_1", "parity.prove"])
def test_other_names_are_no_attributes(name):
    module, _, attribute = f"xpnet.{name}".rpartition(".")
    with pytest.raises(AttributeError, match=f"'{module}' has no attribute '{attribute}'"):
        attrgetter(name)(xpnet)


def run_python(code):
    return subprocess.check_output([sys.executable, "-c", code], text=True)


USE = "xpnet.Device(); xpnet.predict(xpnet.init_network([784, 10]), xpnet.sample()[0])"


def test_no_library_is_loaded_before_it_is_needed():
    loaded = run_python(f"import xpnet; {USE}; import sys; print(*sys.modules)").split()
    assert not {*HEAVY, "array_api_compat.numpy"} & set(loaded)
    code = "import sys; before = set(sys.modules); import xpnet; print(*set(sys.modules) - before)"
    assert run_python(code).split() == ["xpnet"]
