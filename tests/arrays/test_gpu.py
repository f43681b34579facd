"""Opening of a GPU, with NumPy in place of CuPy; `tests/cli/test_no_gpu.py` has the real one."""

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from xpnet import DeviceError
from xpnet.arrays import gpu as room
from xpnet.arrays.gpu import cause_of, cupy_config, is_from_cupy, open_gpu


class CUDARuntimeError(RuntimeError):
    """CuPy's error of this name."""

    def __init__(self, status):
        super().__init__(f"error {status}:\n a reason")
        self.status = status


CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"
CUBLASError = type("CUBLASError", (CUDARuntimeError,), {})


class Device(nullcontext):
    """CuPy's device."""

    def __init__(self, index):
        super().__init__()
        self.id = index


ANSWERS = {
    "cuda.runtime.driverGetVersion": lambda: 13000,
    "cuda.runtime.runtimeGetVersion": lambda: 13020,
    "cuda.runtime.getDeviceCount": lambda: 2,
    "cuda.Device": Device,
    "cuda.Device.use": lambda _: None,
    "asarray": np.asarray,
    "asnumpy": np.asarray,
    "show_config": lambda: sys.stdout.write("CuPy Version : 14\n"),
}


class Cupy(ModuleType):
    """A stand-in for CuPy on a machine with two GPUs, which records its calls."""

    def __init__(self):
        super().__init__("cupy")
        self.calls, self.answers = [], dict(ANSWERS)
        functions = {name: self.recorded(name) for name in ANSWERS}
        for name in ("asarray", "asnumpy", "show_config"):
            setattr(self, name, functions[name])
        runtime = {name: f for name, f in functions.items() if name.startswith("cuda.runtime.")}
        runtime = {name.rpartition(".")[2]: function for name, function in runtime.items()}
        self.cuda = SimpleNamespace(Device=functions["cuda.Device"])
        self.cuda.runtime = SimpleNamespace(CUDARuntimeError=CUDARuntimeError, **runtime)
        Device.use = functions["cuda.Device.use"]

    def recorded(self, name):
        def call(*args):
            self.calls.append((name, args))
            return self.answers[name](*args)

        return call

    def fails(self, name, error):
        def fail(*_):
            raise error

        self.answers[name] = fail


@pytest.fixture
def cupy(monkeypatch):
    cupy = Cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for name in ("CUPY_TF32", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    room._check_product.cache_clear()  # noqa: SLF001
    yield cupy
    room._check_product.cache_clear()  # noqa: SLF001


def cause(index=0):
    with pytest.raises(DeviceError) as caught:
        open_gpu(index)
    assert len(str(caught.value)) <= 400
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_gpu_becomes_the_current_one_and_is_checked_once(cupy):
    for index in (1, 1, 0):
        assert open_gpu(index).id == index
    used = [args[0].id for name, args in cupy.calls if name == "cuda.Device.use"]
    assert used == [1, 1, 0]
    assert sum(name == "asnumpy" for name, _ in cupy.calls) == 2


def test_the_real_cupy_takes_the_calls(cupy_takes, cupy, monkeypatch):
    open_gpu(0)
    cupy_config()
    assert {name for name, _ in cupy.calls} == set(ANSWERS)
    monkeypatch.undo()
    for name, args in cupy.calls:
        is_method = name == "cuda.Device.use"
        assert cupy_takes(f"cupy.{name}", args[is_method:]), name


@pytest.mark.parametrize("value", ["1", "", "on", "-1"])
def test_tf32_is_refused(cupy, monkeypatch, value):
    monkeypatch.setenv("CUPY_TF32", "0")
    assert open_gpu(0).id == 0
    monkeypatch.setenv("CUPY_TF32", value)
    assert cause().code == "tf32"
    assert ("asnumpy" in dict(cupy.calls)) is True


@pytest.mark.parametrize(
    ("name", "answer", "code"),
    [
        ("driverGetVersion", lambda: 0, "no-driver"),
        ("driverGetVersion", lambda: 12090, "driver-too-old"),
        ("getDeviceCount", lambda: 1, "no-such-device"),
    ],
)
def test_the_driver_and_its_gpus(cupy, name, answer, code):
    cupy.answers[f"cuda.runtime.{name}"] = answer
    assert cause(1).code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CUDARuntimeError(2), "out-of-memory"),
        (CUBLASError(3), "out-of-memory"),
        (MemoryError(), "out-of-memory"),
        (CUDARuntimeError(100), "no-device"),
        (CUDARuntimeError(46), "unusable"),
        (ImportError("libcublas.so.13: not found " * 99), "unusable"),
        (OSError(28, "No space left on device"), "unusable"),
    ],
    ids=repr,
)
def test_an_error_of_cupy_is_quoted(cupy, error, code):
    cupy.fails("asarray", error)
    caught = cause(1)
    assert (caught.code, caught.__cause__) == (code, error)
    assert " ".join(str(error).split())[:20] in str(caught) or code == "no-device"


def test_a_failed_import_gives_its_reason_not_the_advice(cupy, monkeypatch):
    error = ImportError("a page of advice")
    error.__cause__ = ImportError("libfoo.so:\n no such file")
    cupy.fails("asarray", error)
    assert "libfoo.so: no such file" in str(cause())
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy"))  # another one of this name
    assert "no attribute" in str(cause())
    assert cupy_config() is None


@pytest.mark.parametrize("wrong", [1e-3, float("nan")])
def test_a_wrong_product_is_an_error(cupy, wrong):
    cupy.answers["asnumpy"] = lambda x: x + np.float32(wrong)
    assert "times its bound" in str(cause())


def test_errors_of_cupy():
    assert is_from_cupy(CUDARuntimeError(2))
    assert not is_from_cupy(RuntimeError())
    assert cause_of(CUDARuntimeError(2), 3).code == "out-of-memory"
