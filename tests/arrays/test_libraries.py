"""The table of array libraries, and libraries that users add."""

import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet import DeviceError
from xpnet.arrays import libraries as libraries_module
from xpnet.arrays.libraries import KNOWN, library_with
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import is_in_host_memory, move, to_numpy

strict = pytest.importorskip("array_api_strict")
CPU, SECOND = strict.Device("CPU_DEVICE"), strict.Device("device1")
X = np.asarray([[1.0, -2.0, 3.0]], np.float32)


@pytest.fixture
def unknown(monkeypatch):
    """Make array-api-strict a library that xpnet does not know."""
    monkeypatch.setattr(libraries_module, "_registered", {})
    others = {name: library for name, library in KNOWN.items() if name != "array-api-strict"}
    monkeypatch.setattr(libraries_module, "KNOWN", others)


@pytest.fixture
def registered(unknown):
    """Register it as a user's library, not in host memory; return the devices waited for."""
    del unknown
    waits = []
    xpnet.register_library(
        "mine",
        "array_api_strict",
        open=lambda part: strict.Device(part or "CPU_DEVICE"),
        to_numpy=lambda x: x.to_device(CPU),
        on_host=lambda _: False,
        synchronize=waits.append,
    )
    return waits


@pytest.mark.parametrize("name", sorted(KNOWN.keys() - {"numpy"}))
def test_a_library_that_is_not_installed(monkeypatch, name):
    root = KNOWN[name].module.partition(".")[0]
    monkeypatch.setitem(sys.modules, root, None)
    with pytest.raises(DeviceError) as caught:
        xpnet.Device(name)
    error = caught.value
    assert (error.code, error.message) == ("not-installed", f"{name} is not installed")
    command = 'pip install "cupy-cuda13x[ctk]"' if name == "cupy" else f"pip install {name}"
    assert error.fix.startswith(command)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")  # but its import fails
    with pytest.raises(DeviceError, match=rf"\b{root}\b") as caught:
        xpnet.Device(name)
    assert caught.value.code == "unusable"


@pytest.mark.usefixtures("unknown")
def test_a_library_that_nobody_registered_is_read_if_numpy_can(monkeypatch):
    there = strict.zeros(2, device=SECOND)
    assert to_numpy(strict.zeros((2, 3))).tolist() == [[0.0] * 3] * 2
    assert (is_in_host_memory(strict.zeros(2)), is_in_host_memory(there)) == (True, False)
    monkeypatch.delattr(strict, "__array_namespace_info__")
    assert is_in_host_memory(there)  # it is assumed


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("error", [TypeError, RuntimeError, ValueError, BufferError, None])
def test_an_unknown_array_on_a_device_is_refused_with_a_remedy(monkeypatch, error):
    def refuse(*_, **__):
        if error is None:
            return np.asarray(None)  # numpy.asarray may wrap the whole object
        raise error

    x = strict.zeros(2, device=SECOND)
    monkeypatch.setattr(type(x), "__array__", refuse)
    for convert in (to_numpy, xpnet.Device("cpu").asarray, xpnet.Device("cpu").to_numpy):
        with pytest.raises(TypeError, match=r"register_library\('array_api_strict'"):
            convert(x)


def test_a_registered_library_is_a_device(registered):
    device, second = xpnet.Device("mine"), xpnet.Device("mine:device1")
    assert (device.name, device.library, device.hardware) == ("mine", "mine", str(CPU))
    assert pickle.loads(pickle.dumps(second)).handle == second.handle == SECOND
    assert second.xp.zeros(2).device == SECOND
    assert second.asarray(X, "float64").dtype == strict.float64
    there = second.asarray(device.asarray(X))  # from device to device
    assert (there.device, is_in_host_memory(there)) == (SECOND, False)
    assert move(there, strict, SECOND) is there
    assert second.to_numpy(there).tolist() == X.tolist()
    second.synchronize()
    assert registered == [SECOND]


@pytest.mark.usefixtures("registered")
def test_a_second_registration_replaces_the_first(monkeypatch):
    for module, word in [
        ("no_such_module.arrays", "no-such"),
        ("numpy.no_such_module", "numpy.no"),
    ]:
        xpnet.register_library("mine", module)
        with pytest.raises(DeviceError, match=word):
            xpnet.Device("mine")
    xpnet.register_library("mine", "array_api_strict", asarray=lambda x, _: strict.asarray(x + 1.0))
    assert to_numpy(xpnet.Device("mine").asarray(X)).tolist() == (X + 1.0).tolist()
    monkeypatch.setattr(strict, "__spec__", None)  # as that of __main__
    assert xpnet.Device("mine").xp == strict


NAMES = [*KNOWN, "all", "auto", "cpu", "cuda", "default", "gpu", "host"]
NAMES += ["Mine", "a:b", "", "a b", "-a", "1a", "a\n"]


def test_names_are_new_and_like_those_of_libraries():
    for name in NAMES:
        with pytest.raises(ValueError, match="`name`"):
            xpnet.register_library(name, "numpy")
    for module in ("", "a-b", ".numpy", "numpy."):
        with pytest.raises(ValueError, match="`module`"):
            xpnet.register_library("mine", module)


@pytest.mark.usefixtures("unknown")
def test_libraries_of_one_package_are_told_apart():
    def found(name):
        library = library_with(SimpleNamespace(__name__=name))
        return library.name, library.module

    assert found("pair.a") == ("pair", "pair.a")  # unknown
    for word in ("a", "b"):
        xpnet.register_library(f"pair-{word}", f"pair.{word}")
    assert [found("pair.a"), found("pair.b")] == [("pair-a", "pair.a"), ("pair-b", "pair.b")]
    assert found("pair.c") == ("pair-a", "pair.a")


class Mlx:
    """An array of MLX has no device, no negative strides, and float32 as the default."""

    def __init__(self, values, dtype=None):
        values = np.asarray(values)
        assert min(values.strides, default=0) >= 0
        is_wide = dtype is None and values.dtype == np.float64
        self.values = np.asarray(values, np.float32 if is_wide else dtype)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def __array_namespace__(self, **_):
        return sys.modules["mlx.core"]

    def __array__(self, dtype=None, **_):
        return np.asarray(self.values, dtype)


@pytest.fixture
def mlx(monkeypatch):
    """Replace MLX by a stand-in, whose functions have no `device` and no `copy`."""
    module, waits = ModuleType("mlx.core"), []
    module.array = module.asarray = module.astype = Mlx
    module.zeros = lambda shape, dtype=None: Mlx(np.zeros(shape), dtype)
    module.float32, module.float64, module.int32 = np.float32, np.float64, np.int32
    module.synchronize = lambda: waits.append("mlx")
    monkeypatch.setitem(sys.modules, "mlx", ModuleType("mlx"))
    monkeypatch.setitem(sys.modules, "mlx.core", module)
    return waits


def test_arrays_without_a_device(mlx):
    device = xpnet.Device("mlx")
    xp, x = device.xp, device.asarray(X)
    assert (device.handle, device_of(x), is_in_host_memory(x)) == (None, None, True)
    assert array_namespace(x) is xp
    assert xp.zeros(3, dtype=xp.float32, device=None).shape == (3,)
    device.synchronize()
    assert mlx == ["mlx"]
    assert device.asarray(x) is x
    assert device.asarray(x, "int32").dtype == np.int32
    assert device.to_numpy(device.asarray(np.ones(2))).dtype == np.float64
    assert device.to_numpy(device.asarray(X[:, ::-1])).tolist() == X[:, ::-1].tolist()
