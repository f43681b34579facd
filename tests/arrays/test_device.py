"""Devices by name."""

import contextlib
import copy
import pickle
import re
import sys
import types

import array_api_compat
import numpy as np
import pytest

import xpnet
from xpnet.arrays import device as device_module
from xpnet.arrays.gpu.gpu_errors import Diagnosis

NO_GPU = Diagnosis("no-driver", "no NVIDIA driver was found", "install one")
GPU = Diagnosis("usable", "GPU 0 is usable", "")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(device_module, "diagnose", lambda _, **__: NO_GPU)


class CUDARuntimeError(RuntimeError):
    """A stand-in for CuPy's error of this name."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class CudaDevice:
    """A stand-in for CuPy's device."""

    error = None

    def __init__(self, index):
        self.id, self.n_waits = index, 0

    def synchronize(self):
        self.n_waits += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def fake_gpu(monkeypatch):
    """Replace CuPy by a stand-in with two cards."""
    runtime = types.ModuleType("cupy.cuda.runtime")
    runtime.getDeviceProperties = lambda i: {"name": b"Card %d" % i}
    cuda = types.ModuleType("cupy.cuda")
    cuda.Device, cuda.runtime = CudaDevice, runtime
    cupy = types.ModuleType("cupy")
    cupy.cuda, cupy.__version__ = cuda, "14.0"
    monkeypatch.setattr(device_module, "diagnose", lambda _, **__: GPU)
    modules = {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.runtime": runtime}
    modules["array_api_compat.cupy"] = types.ModuleType("fake")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    # If another test has imported the real namespace, it is an attribute of its package.
    monkeypatch.setattr(array_api_compat, "cupy", modules["array_api_compat.cupy"], raising=False)


def test_the_cpu():
    device = xpnet.Device("cpu")
    assert (device.name, device.library, device.handle) == ("cpu", "numpy", "cpu")
    assert device.xp is np
    assert device.reason == "asked for cpu"
    assert "cpu" in repr(device)
    device.synchronize()


def test_the_default_is_the_cpu():
    assert xpnet.Device().name == "cpu"


@pytest.mark.parametrize(
    ("word", "name", "card"),
    [
        ("gpu", "gpu:0", "Card 0"),
        ("gpu:1", "gpu:1", "Card 1"),
        ("cuda", "gpu:0", "Card 0"),
        ("cuda:1", "gpu:1", "Card 1"),
        ("auto", "gpu:0", "Card 0"),
    ],
)
@pytest.mark.usefixtures("fake_gpu")
def test_words_for_a_gpu(word, name, card):
    device = xpnet.Device(word)
    assert (device.name, device.library, device.hardware) == (name, "cupy", card)
    assert device.version == "14.0"
    assert device.xp.__name__ == "fake"
    assert device.handle.n_waits == 1  # so that errors of opening the context are raised here
    device.synchronize()
    assert device.handle.n_waits == 2


@pytest.mark.usefixtures("fake_gpu")
def test_the_reason_for_the_gpu():
    assert xpnet.Device("auto").reason == "auto chose gpu: GPU 0 is usable"
    assert xpnet.Device("gpu:1").reason == "asked for gpu:1"


@pytest.mark.usefixtures("fake_gpu")
def test_auto_chooses_the_cpu_if_the_gpu_cannot_be_opened(monkeypatch):
    monkeypatch.setattr(CudaDevice, "error", CUDARuntimeError(46, "unavailable"))
    device = xpnet.Device("auto")
    assert device.name == "cpu"
    assert device.reason.startswith("auto chose cpu: GPU 0 is busy: another program")


@pytest.mark.usefixtures("fake_gpu")
@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CUDARuntimeError(46, "unavailable"), "device-busy", "GPU 1 is busy: another program"),
        (CUDARuntimeError(2, "out of memory"), "out-of-memory", "GPU 1 has no memory left (out of"),
        (CUDARuntimeError(999, "unknown error"), "cuda-error", "CUDA error: unknown error"),
        (RuntimeError("no context"), "cuda-error", "CUDA error: no context"),
    ],
    ids=lambda value: getattr(value, "status", None),
)
def test_a_gpu_that_cannot_be_opened(monkeypatch, error, code, text):
    monkeypatch.setattr(CudaDevice, "error", error)
    with pytest.raises(xpnet.DeviceError, match=re.escape(text)) as caught:
        xpnet.Device("gpu:1")
    assert caught.value.code == code
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("word", ["gpu", "auto"])
@pytest.mark.parametrize("precision", [None, "float32", "tf32"])
def test_the_variable_of_tf32_applies_without_a_choice(monkeypatch, word, precision):
    asked = []

    def diagnose(index, *, tf32):
        asked.append((index, tf32))
        return NO_GPU

    monkeypatch.setattr(device_module, "diagnose", diagnose)
    monkeypatch.setattr(device_module, "is_precision_chosen", lambda: precision is not None)
    with pytest.raises(xpnet.DeviceError) if word == "gpu" else contextlib.nullcontext():
        xpnet.Device(word)
    assert asked == [(0, precision is not None)]


@pytest.mark.parametrize("word", ["gpu", "gpu:1", "cuda"])
@pytest.mark.usefixtures("no_gpu")
def test_no_gpu_is_an_error_with_its_cause_and_fix(word):
    with pytest.raises(
        xpnet.DeviceError, match=r"no NVIDIA driver was found.*install one"
    ) as caught:
        xpnet.Device(word)
    assert caught.value.code == "no-driver"


@pytest.mark.usefixtures("no_gpu")
def test_the_reason_for_the_cpu():
    device = xpnet.Device("auto")
    assert device.name == "cpu"
    assert device.reason.startswith("auto chose cpu: no NVIDIA driver was found")


@pytest.mark.parametrize("word", ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cpu:0", "auto:1", "tpu"])
def test_other_words_are_rejected(word):
    with pytest.raises(ValueError, match=r"`device` must be cpu, gpu, gpu:N .* or auto; got"):
        xpnet.Device(word)


def test_a_device_from_a_device():
    device = xpnet.Device("auto")
    assert xpnet.Device(device).__dict__ == device.__dict__


def test_a_device_is_a_value():
    device = xpnet.Device("cpu")
    assert device == xpnet.Device(device)
    assert device != "cpu"
    assert len({device, xpnet.Device("cpu")}) == 1
    assert pickle.loads(pickle.dumps(device)).__dict__ == device.__dict__
    assert copy.deepcopy(device) == device


@pytest.mark.parametrize("x", [1.0, np.float32(1), [1.0], np.zeros((2, 2))])
def test_numbers_and_lists_to_the_device(x):
    assert isinstance(xpnet.Device("cpu").to_device(x), np.ndarray)


def test_arrays_to_the_device_and_back(xp_backend):
    device = xpnet.Device("cpu")
    here = device.to_device(xp_backend.asarray([1.0, 2.0]))
    assert isinstance(here, np.ndarray)
    np.testing.assert_array_equal(device.to_numpy(xp_backend.asarray([1.0, 2.0])), here)
    np.testing.assert_array_equal(device.to_device([1.0, 2.0]), here)
