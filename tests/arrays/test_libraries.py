"""The table of array libraries, and libraries that users add."""

import copy
import importlib.machinery
import pickle
import re
import sys
import types

import numpy as np
import pytest

import xpnet
from xpnet.arrays import libraries as libraries_module
from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.libraries import KNOWN, libraries, library_with
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import is_in_host_memory, move, to_numpy

X = np.asarray([[1.0, -2.0, 3.0]], np.float32)


class Foreign:
    """An array of an unknown library, in the memory of a device, which NumPy cannot read."""

    namespace = "foreign.arrays"

    def __init__(self, values, device="main"):
        self.values, self.device = np.asarray(values), device
        for name in ("shape", "dtype", "ndim", "size", "nbytes"):
            setattr(self, name, getattr(self.values, name))

    def __array_namespace__(self, api_version=None):
        del api_version
        return sys.modules[self.namespace]

    def __array__(self, dtype=None, copy=None):
        msg = "it is on a device"
        raise TypeError(msg)

    def to_device(self, device, *, stream=None):
        del stream
        return Foreign(self.values, device)


def asarray(x, *, dtype=None, device=None):
    return Foreign(np.asarray(x.values if isinstance(x, Foreign) else x, dtype), device or "main")


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
def foreign(monkeypatch):
    """Return the namespace of a library that xpnet does not know; its module is importable."""
    monkeypatch.setattr(libraries_module, "_registered", {})
    add_module(monkeypatch, "foreign", __version__="1.2")
    return add_module(
        monkeypatch,
        "foreign.arrays",
        asarray=asarray,
        zeros=lambda shape, dtype=None, device=None: asarray(np.zeros(shape, dtype), device=device),
        astype=lambda x, dtype, *, copy: Foreign(x.values.astype(dtype, copy=copy), x.device),
        float32=np.float32,
        float64=np.float64,
    )


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


@pytest.mark.parametrize("name", KNOWN)
def test_arrays_go_there_and_back(name):
    library = KNOWN[name]
    assert (library.name, libraries()[name]) == (name, library)
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
    with pytest.raises(DeviceError, match=re.escape(str(error))):
        xpnet.Device(name)


def test_a_library_whose_import_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    with pytest.raises(DeviceError, match=r"^jax:cpu is not usable \(.*jax") as caught:
        xpnet.Device("jax:cpu")
    assert caught.value.code == "unusable"


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
    device, second = xpnet.Device("foreign"), xpnet.Device("foreign:second")
    assert (device.name, device.library) == ("foreign", "foreign")
    assert (device.handle, device.hardware) == ("main", "main")
    assert device.xp == registered
    assert pickle.loads(pickle.dumps(second)).handle == second.handle == "second"
    assert second.xp.zeros(2).device == "second"
    assert second.asarray(X, "float64").dtype == np.float64
    y = second.asarray(device.asarray(X))  # from device to device
    assert y.device == "second"
    assert second.to_numpy(y).tolist() == X.tolist()


def test_arrays_of_a_registered_library_move(registered):
    there = move(X, registered, "second")
    assert (there.device, is_in_host_memory(there)) == ("second", False)
    assert move(there, registered, "second") is there
    assert move(there, np, "cpu").tolist() == X.tolist()
    strict = pytest.importorskip("array_api_strict")
    assert move(there, strict, strict.Device("device1")).device == strict.Device("device1")


def test_between_devices_arrays_go_by_dlpack_or_else_through_the_host(registered, monkeypatch):
    strict = pytest.importorskip("array_api_strict")
    x = strict.asarray([1.0, 2.0], device=strict.Device("device1"))
    second, seen = xpnet.Device("foreign:second"), []

    def from_dlpack(x, *, copy):
        seen.append((type(x), copy))
        if len(seen) > 1:
            msg = "not this device"
            raise BufferError(msg)
        return Foreign([1.0, 2.0])

    monkeypatch.setattr(registered, "from_dlpack", from_dlpack, raising=False)
    for given in (x, x, np.ones(2), strict.asarray([1.0, 2.0])):
        y = second.asarray(given)
        assert y.device == "second"
        assert y.values.tolist() == second.to_numpy(given).tolist()
    assert seen == [(type(x), True)] * 2  # the second was refused; from the host, it is not asked


def test_the_wait_for_a_device_is_that_of_its_library(foreign):
    del foreign
    waits = []
    options = {"to_numpy": lambda x: x.values, "synchronize": waits.append}
    xpnet.register_library("foreign", "foreign.arrays", open=open_foreign, **options)
    xpnet.Device("foreign:second").synchronize()
    assert waits == ["second"]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("word", "module", "text"),
    [
        ("foreign:third", "foreign", "not usable (it has two devices: main and second)"),
        ("mine:main", "foreign.arrays", "it has no devices to choose from"),
        ("mine", "foreign.arrays", "NumPy cannot read an array of mine"),
        ("mine", "no_such_module.arrays", "pip install no-such-module"),
        ("mine", "numpy.no_such_module", "No module named 'numpy.no"),
    ],
)
def test_a_device_that_cannot_be_opened_is_an_error_of_one_line(word, module, text):
    xpnet.register_library("mine", module)
    with pytest.raises(DeviceError, match=re.escape(text)) as caught:
        xpnet.Device(word)
    assert "\n" not in str(caught.value)


def test_a_second_registration_replaces_the_first(registered, monkeypatch):
    options = {"asarray": lambda x, _: asarray(x + 1.0), "to_numpy": lambda x: x.values}
    xpnet.register_library("foreign", "foreign.arrays", **options)
    assert xpnet.Device("foreign").asarray(X).values.tolist() == (X + 1.0).tolist()
    monkeypatch.setattr(sys.modules["foreign"], "__spec__", None)  # as that of __main__
    assert xpnet.Device("foreign").xp == registered


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


@pytest.mark.parametrize("module", ["", "a-b", ".numpy", "numpy."])
def test_modules_have_names_of_modules(module):
    with pytest.raises(ValueError, match="`module`"):
        xpnet.register_library("mine", module)


@pytest.mark.usefixtures("foreign")
def test_libraries_of_one_package_are_told_apart(monkeypatch):
    add_module(monkeypatch, "pair")
    modules = [add_module(monkeypatch, f"pair.{x}", asarray=asarray) for x in ("a", "b")]
    for module in modules:
        xpnet.register_library(module.__name__.replace(".", "-"), module.__name__)
    assert [library_with(module).name for module in modules] == ["pair-a", "pair-b"]


# Libraries like MLX: arrays without a device, functions without `device` and `copy`


class Mlx(Foreign):
    """An array of MLX has no device."""

    namespace = "mlx.core"

    def __init__(self, values, dtype=None):
        super().__init__(np.asarray(getattr(values, "values", values), dtype))
        del self.device

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


@pytest.fixture
def mlx(monkeypatch):
    """Replace MLX by a stand-in."""
    add_module(monkeypatch, "mlx", __version__="0.32")
    functions = {"array": Mlx, "asarray": Mlx, "astype": Mlx}
    functions["zeros"] = lambda shape, dtype=None: Mlx(np.zeros(shape, dtype))
    functions |= {"synchronize": lambda: None, "float32": np.float32, "int32": np.int32}
    add_module(monkeypatch, "mlx.core", **functions)


@pytest.mark.usefixtures("mlx")
def test_arrays_without_a_device():
    device = xpnet.Device("mlx")
    xp, x = device.xp, device.asarray(X)
    assert (device.handle, device_of(x), is_in_host_memory(x)) == (None, None, True)
    assert array_namespace(x) == xp
    assert xp.zeros(3, dtype=xp.float32, device=None).shape == (3,)
    assert xp.asarray(x, copy=True, device=device.handle).shape == X.shape
    assert xp.astype(x, xp.int32, copy=False).dtype == np.int32
    assert copy.copy(xp).zeros(3).shape == (3,)
    device.synchronize()
    assert device.asarray(x) is x
    assert device.asarray(x, "int32").dtype == np.int32
    assert device.to_numpy(x).tolist() == X.tolist()
    with pytest.raises(DeviceError, match="it has no devices to choose from"):
        xpnet.Device("mlx:gpu")
