"""The table of array libraries, and libraries that users add."""

import copy
import importlib.machinery
import pickle
import re
import subprocess
import sys
import types

import numpy as np
import pytest

import xpnet
from xpnet.arrays import libraries as libraries_module
from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.libraries import libraries, library_named, library_with
from xpnet.arrays.library import library_version
from xpnet.arrays.namespace import array_namespace, device_of, namespace_of
from xpnet.arrays.transfer import is_in_host_memory, move, to_numpy
from xpnet.testing import backends, parity
from xpnet.testing.backends import open_backend
from xpnet.testing.registry import default_names, select_backends, unavailable_reason

X = np.asarray([[1.0, -2.0, 3.0]], np.float32)
SHAPE = ("shape", "dtype", "ndim")


class Foreign:
    """An array in the memory of a device, which NumPy cannot read."""

    def __init__(self, values, device):
        self.values, self.device = np.asarray(values), device
        self.shape, self.dtype, self.ndim = (getattr(self.values, x) for x in SHAPE)

    def __array_namespace__(self, api_version=None):
        del api_version
        return sys.modules["foreign.arrays"]

    def __array__(self, dtype=None, copy=None):
        msg = "it is on a device"
        raise TypeError(msg)

    def __mul__(self, number):
        return Foreign(self.values * number, self.device)

    def to_device(self, device, *, stream=None):
        del stream
        return Foreign(self.values, device)


def asarray(x, *, dtype=None, device=None):
    return Foreign(np.asarray(x.values if isinstance(x, Foreign) else x, dtype), device or "main")


def zeros(shape, *, dtype=None, device=None):
    return Foreign(np.zeros(shape, dtype), device or "main")


def astype(x, dtype, *, copy=True):
    return Foreign(x.values.astype(dtype, copy=copy), x.device)


def open_foreign(part):
    if part not in {"", "main", "second"}:
        msg = "it has two devices:\nmain and second"
        raise RuntimeError(msg)
    return part or "main"


def add_module(monkeypatch, name, **contents):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def table(monkeypatch):
    """Remove the libraries that a test adds."""
    monkeypatch.setattr(libraries_module, "_registered", {})


@pytest.fixture
def foreign(monkeypatch, table):
    """Return the namespace of a library that xpnet does not know; its module is importable."""
    del table
    add_module(monkeypatch, "foreign", __version__="1.2")
    dtypes = {"float32": np.float32, "float64": np.float64}
    functions = {"asarray": asarray, "zeros": zeros, "astype": astype}
    return add_module(monkeypatch, "foreign.arrays", **dtypes, **functions)


@pytest.fixture
def registered(foreign):
    """Register this library, whose arrays are not in host memory."""
    xpnet.register_library(
        "foreign",
        "foreign.arrays",
        open=open_foreign,
        to_numpy=lambda x: x.values,
        on_host=lambda _: False,
    )
    return foreign


# The libraries that xpnet knows


def test_each_library_has_its_name():
    assert [library.name for library in KNOWN.values()] == list(KNOWN)
    assert set(KNOWN) <= set(libraries())
    for name in KNOWN:
        assert library_named(name) is KNOWN[name]
    assert library_named("cuppy") is None


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_arrays_go_there_and_back(name):
    library = KNOWN[name]
    try:
        x = library.array(X, library.opened())
    except DeviceError as error:
        pytest.skip(str(error))
    assert array_namespace(x) is library.namespace
    assert library_with(array_namespace(x)) is library
    assert device_of(x) == library.opened()
    assert library.numpy(x).tolist() == X.tolist()
    library.synchronize(library.opened())


@pytest.mark.parametrize("name", sorted(KNOWN.keys() - {"numpy"}))
def test_a_library_that_is_not_installed(monkeypatch, name):
    monkeypatch.setitem(sys.modules, KNOWN[name].root, None)
    error = KNOWN[name].missing()
    assert (error.code, error.message) == ("not-installed", f"{name} is not installed")
    command = 'pip install "cupy-cuda13x[ctk]"' if name == "cupy" else f"pip install {name}"
    assert error.fix.startswith(command)


def test_a_device_is_opened_without_other_libraries():
    code = "import sys, xpnet; xpnet.Device(); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    others = {"torch", "jax", "dask", "cupy", "array_api_strict", "dpnp", "mlx"}
    assert not others & set(result.stdout.split())


# Libraries of users


def test_a_library_that_nobody_registered_is_read_if_numpy_can(foreign, monkeypatch):
    monkeypatch.setattr(Foreign, "__array__", lambda x, **_: x.values)
    x = foreign.zeros((2, 3))
    assert is_in_host_memory(x)
    assert to_numpy(x).tolist() == [[0.0] * 3] * 2
    library = library_with(foreign)
    assert (library.name, library.module) == ("foreign", "foreign.arrays")


@pytest.mark.parametrize("error", [TypeError, RuntimeError, ValueError, BufferError, None])
def test_an_unknown_array_on_a_device_is_refused_with_a_remedy(foreign, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(Foreign, "__array__", refuse)
    if error is None:
        monkeypatch.delattr(Foreign, "__array__")  # numpy.asarray wraps the whole object
    for convert in (to_numpy, xpnet.Device("cpu").asarray, xpnet.Device("cpu").to_numpy):
        with pytest.raises(TypeError, match=r"xpnet.register_library\('foreign', 'foreign.arrays'"):
            convert(foreign.zeros(2))


def test_a_registered_library_is_a_device(registered):
    device = xpnet.Device("foreign")
    assert (device.name, device.library) == ("foreign", "foreign")
    assert library_version(device.xp) == "1.2"
    assert (device.handle, device.hardware) == ("main", "main")
    assert device.xp == registered
    assert device == xpnet.Device("foreign:main")
    assert device != xpnet.Device("foreign:second")
    assert pickle.loads(pickle.dumps(device)) == device
    assert xpnet.Device("foreign:second").xp.zeros(2).device == "second"
    assert xpnet.Device("foreign:second").asarray(X, "float64").dtype == np.float64


@pytest.mark.usefixtures("registered")
def test_transfers_of_a_registered_library():
    device = xpnet.Device("foreign")
    x = device.asarray(X)
    assert not is_in_host_memory(x)
    y = xpnet.Device("foreign:second").asarray(x)  # from device to device
    assert y.device == "second"
    assert to_numpy(y).tolist() == X.tolist()


def test_between_devices_arrays_are_exchanged_by_dlpack_or_through_the_host(
    registered, monkeypatch
):
    strict = pytest.importorskip("array_api_strict")
    x = strict.asarray([1.0, 2.0], device=strict.Device("device1"))
    host, second = np.ones(2), xpnet.Device("foreign:second")
    seen = []

    def from_dlpack(x, *, copy):
        seen.append((type(x), copy))
        if len(seen) > 1:
            msg = "not this device"
            raise BufferError(msg)
        return Foreign([1.0, 2.0], "main")

    monkeypatch.setattr(registered, "from_dlpack", from_dlpack, raising=False)
    for given in (x, x, host, strict.asarray([1.0, 2.0])):
        y = second.asarray(given)
        assert y.device == "second"
        assert y.values.tolist() == second.to_numpy(given).tolist()
    assert seen == [(type(x), True)] * 2  # the second was refused; from the host, it is not asked


def test_arrays_of_a_registered_library_move(registered):
    there = move(X, registered, "second")
    assert there.device == "second"
    assert move(there, registered, "second") is there
    assert move(there, np, "cpu").tolist() == X.tolist()
    strict = pytest.importorskip("array_api_strict")
    assert move(there, strict, strict.Device("device1")).device == strict.Device("device1")


@pytest.mark.usefixtures("registered")
def test_a_registered_library_is_a_backend():
    pytest.importorskip("array_api_extra")
    assert default_names()[-1] == "foreign"
    assert select_backends("foreign,foreign:second") == ("foreign", "foreign:second")
    assert unavailable_reason("foreign:second") is None
    assert unavailable_reason("foreign:third").startswith("foreign:third is not usable (it has two")
    options = {"backends": "numpy,foreign,foreign:second"}
    parity(**options)(lambda x: x * 2.0, X)
    with pytest.raises(AssertionError, match="foreign, foreign:second: TypeError: it is on a dev"):
        parity(**options)(lambda x: np.asarray(x) * 2.0, X)

    def make_there(x):
        return x * 1.0 if isinstance(x, np.ndarray) else asarray(x)

    with pytest.raises(AssertionError, match="must be on device second; got main"):
        parity(backends="numpy,foreign:second")(make_there, X)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("foreign:third", "foreign:third is not usable (it has two devices: main and second)"),
        ("bare:main", "it has no devices to choose from"),
    ],
)
def test_a_device_that_cannot_be_opened_is_an_error_of_one_line(word, text):
    xpnet.register_library("bare", "foreign.arrays")
    with pytest.raises(xpnet.DeviceError, match=re.escape(text)) as caught:
        xpnet.Device(word)
    assert (caught.value.code, "\n" in str(caught.value)) == ("unusable", False)


@pytest.mark.usefixtures("table")
def test_a_library_without_its_module(registered, monkeypatch):
    for module, text in (
        ("no_such_module.arrays", "pip install no-such-module"),
        ("numpy.no_such_module", "No module named 'numpy.no"),
    ):
        xpnet.register_library("mine", module)
        with pytest.raises(xpnet.DeviceError, match=text):
            xpnet.Device("mine")
    monkeypatch.setattr(sys.modules["foreign"], "__spec__", None)  # as that of __main__
    assert xpnet.Device("foreign").xp == registered


def test_a_second_registration_replaces_the_first(registered):
    del registered
    open_backend("foreign")
    xpnet.register_library("foreign", "foreign.arrays", asarray=lambda x, _: asarray(x + 1.0))
    assert xpnet.Device("foreign").asarray(X).values.tolist() == (X + 1.0).tolist()
    assert open_backend("foreign").make(X).values.tolist() == (X + 1.0).tolist()


@pytest.mark.parametrize(
    "name",
    [
        *(*KNOWN, "all", "auto", "cpu", "cuda", "default", "gpu"),
        *("Mine", "a:b", "", "a b", "-a", "1a", "a\n"),
    ],
)
def test_names_are_new_and_like_those_of_libraries(name):
    with pytest.raises(ValueError, match="`name`"):
        xpnet.register_library(name, "numpy")


def test_libraries_of_one_package_are_told_apart(monkeypatch, table):
    del table
    add_module(monkeypatch, "pair")
    modules = [add_module(monkeypatch, f"pair.{x}", asarray=asarray) for x in ("a", "b")]
    for module in modules:
        xpnet.register_library(module.__name__.replace(".", "-"), module.__name__)
    assert [library_with(module).name for module in modules] == ["pair-a", "pair-b"]


# Libraries like MLX: arrays without a device, functions without `device` and `copy`


class Mlx:
    """An array of MLX has no device."""

    def __init__(self, values, dtype=None):
        self.values = np.asarray(values, dtype)
        self.shape, self.dtype, self.ndim = (getattr(self.values, x) for x in SHAPE)
        self.size, self.nbytes = self.values.size, self.values.nbytes

    def __array_namespace__(self, api_version=None):
        del api_version
        return sys.modules["mlx.core"]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def __mul__(self, other):
        return Mlx(self.values * (other.values if isinstance(other, Mlx) else other))


@pytest.fixture
def mlx(monkeypatch):
    """Return a stand-in for MLX."""
    add_module(monkeypatch, "mlx", __version__="0.32")
    core = add_module(
        monkeypatch,
        "mlx.core",
        array=Mlx,
        asarray=lambda x, dtype=None: Mlx(np.asarray(getattr(x, "values", x), dtype)),
        astype=lambda x, dtype: Mlx(x.values.astype(dtype)),
        zeros=lambda shape, dtype=None: Mlx(np.zeros(shape, dtype)),
        multiply=lambda x, y: x * y,
        synchronize=lambda: None,
        float32=np.float32,
        int32=np.int32,
    )
    caches = (namespace_of, backends._backend)  # noqa: SLF001
    for cache in caches:
        cache.cache_clear()
    yield core
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("mlx")
def test_functions_without_a_device_take_one():
    device = xpnet.Device("mlx")
    assert device.handle is None
    xp = device.xp
    x = xp.zeros(3, dtype=xp.float32, device=None)
    assert device_of(x) is None
    assert xp.asarray(x, copy=True, device=device.handle).shape == (3,)
    assert xp.astype(x, xp.int32, copy=False).dtype == np.int32
    assert xp.multiply(x, x).shape == (3,)
    assert array_namespace(x) == xp
    assert copy.copy(xp).zeros(3).shape == (3,)


@pytest.mark.usefixtures("mlx")
def test_arrays_without_a_device_move():
    device = xpnet.Device("mlx")
    x = device.asarray(X)
    device.synchronize()
    assert device.asarray(x) is x
    assert device.asarray(x, "int32").dtype == np.int32
    assert device.to_numpy(x).tolist() == X.tolist()
    assert is_in_host_memory(x)
    assert device == xpnet.Device("mlx") == copy.copy(device)
    with pytest.raises(xpnet.DeviceError, match="it has no devices to choose from"):
        xpnet.Device("mlx:gpu")


@pytest.mark.usefixtures("mlx")
def test_arrays_without_a_device_are_a_backend():
    pytest.importorskip("array_api_extra")
    parity(backends="numpy,mlx")(lambda x: x * array_namespace(x).asarray(x), X)
    with pytest.raises(AssertionError, match="mlx: the result must be an array of mlx"):
        parity(backends="numpy,mlx")(lambda x: np.asarray(x) * 2.0, X)
