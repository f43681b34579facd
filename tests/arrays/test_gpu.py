"""Opening of a GPU, with NumPy in place of CuPy; `tests/cli/test_doctor.py` has the real one."""

import sys
from types import ModuleType
from unittest.mock import MagicMock, call

import numpy as np
import pytest

from xpnet import DeviceError
from xpnet.arrays.gpu import _check_product, cupy_config, is_from_cupy, open_gpu


class CUDARuntimeError(RuntimeError):
    """CuPy's error of this name."""

    __module__ = "cupy_backends.cuda.api.runtime"

    def __init__(self, status):
        super().__init__(f"error {status}:\n a reason")
        self.status = status


FROM_CUPY = {"__module__": "cupy.cuda"}
CUDADriverError = type("CUDADriverError", (CUDARuntimeError,), FROM_CUPY)
CUBLASError = type("CUBLASError", (CUDARuntimeError,), FROM_CUPY)


@pytest.fixture
def cupy(monkeypatch):
    """Replace CuPy by a stand-in with two GPUs, which records its calls."""
    cupy = MagicMock()
    cupy.asarray.side_effect = cupy.asnumpy.side_effect = np.asarray
    cupy.show_config.side_effect = lambda: sys.stdout.write("CuPy Version : 14\n")
    cupy.cuda.runtime.driverGetVersion.return_value = 13000
    cupy.cuda.runtime.runtimeGetVersion.return_value = 13020
    cupy.cuda.runtime.getDeviceCount.return_value = 2
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for name in ("CUPY_TF32", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    _check_product.cache_clear()
    yield cupy
    _check_product.cache_clear()


def cause(index=0):
    with pytest.raises(DeviceError) as caught:
        open_gpu(index)
    assert ("\n" in str(caught.value), len(str(caught.value)) <= 400) == (False, True)
    return caught.value


def test_the_gpu_becomes_the_current_one_and_is_checked_once(cupy):
    device = cupy.cuda.Device.return_value
    for index, is_checked in ((1, True), (1, False), (0, True)):
        cupy.reset_mock()
        assert open_gpu(index) is device
        assert cupy.mock_calls[-2:] == [call.cuda.Device(index), call.cuda.Device().use()]
        assert cupy.asnumpy.called is device.__enter__.called is is_checked
    assert cupy_config() == "CuPy Version : 14\n"


@pytest.mark.parametrize(
    ("name", "answer", "code"),
    [
        ("driverGetVersion", 0, "no-driver"),
        ("driverGetVersion", 12090, "driver-too-old"),
        ("getDeviceCount", 1, "no-such-device"),
    ],
)
def test_the_driver_and_its_gpus(cupy, monkeypatch, name, answer, code):
    monkeypatch.setenv("CUPY_TF32", "0")
    open_gpu(1)
    getattr(cupy.cuda.runtime, name).return_value = answer
    assert cause(1).code == code
    for value in ("1", "", "on", "-1"):
        monkeypatch.setenv("CUPY_TF32", value)
        assert cause().code == "tf32"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CUDARuntimeError(2), "out-of-memory"),
        (CUDADriverError(2), "out-of-memory"),
        (CUBLASError(3), "out-of-memory"),
        (MemoryError(), "out-of-memory"),
        (CUDARuntimeError(100), "no-device"),
        (CUDARuntimeError(46), "unusable"),
        (ImportError("libcublas.so.13: not found " * 99), "unusable"),
        (OSError(28, "No space left on device"), "unusable"),
    ],
    ids=repr,
)
def test_an_error_of_cupy_is_quoted(cupy, monkeypatch, error, code):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,8")
    cupy.asarray.side_effect = error
    caught = cause(1)
    assert (caught.code, caught.__cause__) == (code, error)
    quoted = "7,8" if code == "no-device" else " ".join(str(error).split())[:20]
    assert quoted in str(caught)
    assert is_from_cupy(error) is isinstance(error, CUDARuntimeError)


def test_a_failed_import_gives_its_reason_not_the_advice(cupy, monkeypatch):
    cupy.asarray.side_effect = ImportError("a page of advice")
    cupy.asarray.side_effect.__cause__ = ImportError("libfoo.so:\n no such file")
    assert "libfoo.so: no such file" in str(cause())
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy"))  # another one of this name
    assert "no attribute" in str(cause())
    assert cupy_config() is None


@pytest.mark.parametrize("wrong", [1.0, float("nan")])
def test_a_wrong_product_is_an_error(cupy, wrong):
    cupy.asnumpy.side_effect = lambda x: x + np.float32(wrong)
    assert "product" in str(cause())
