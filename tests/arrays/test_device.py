"""From words to devices."""

import argparse
import copy
import dataclasses
import pickle
import sys
import types

import numpy as np
import pytest

import xpnet
from xpnet.arrays import device as device_module
from xpnet.arrays.causes import Diagnosis

NO_GPU = Diagnosis("no-driver", "there is no NVIDIA driver here", "install one")
GPU = Diagnosis("usable", "GPU 0 is usable", "")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(device_module, "diagnose", lambda _: NO_GPU)


@pytest.fixture
def fake_gpu(monkeypatch):
    """CuPy as far as a device needs it, with two cards."""

    class CudaDevice:
        def __init__(self, index):
            self.index, self.n_waits = index, 0

        def synchronize(self):
            self.n_waits += 1

    runtime = types.SimpleNamespace(getDeviceProperties=lambda i: {"name": b"Card %d" % i})
    cuda = types.SimpleNamespace(Device=CudaDevice, runtime=runtime)
    cupy = types.ModuleType("cupy")
    cupy.cuda, cupy.__version__ = cuda, "14.0"
    monkeypatch.setattr(device_module, "diagnose", lambda _: GPU)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", types.ModuleType("fake"))


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
    device.synchronize()
    assert device.handle.n_waits == 1


@pytest.mark.parametrize("word", ["gpu", "gpu:1", "cuda"])
@pytest.mark.usefixtures("no_gpu")
def test_no_gpu_is_an_error_with_its_cause_and_mend(word):
    with pytest.raises(xpnet.DeviceError, match=r"no NVIDIA driver here.*install one") as caught:
        xpnet.Device(word)
    assert caught.value.code == "no-driver"


@pytest.mark.usefixtures("no_gpu")
def test_auto_says_what_it_chose_and_why():
    device = xpnet.Device("auto")
    assert device.name == "cpu"
    assert device.reason.startswith("auto chose cpu: there is no NVIDIA driver here")


@pytest.mark.parametrize("word", ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cpu:0", "auto:1", "tpu"])
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match=r"`device` must be cpu, gpu, gpu:N .* or auto; got"):
        xpnet.Device(word)


def test_a_device_of_a_device_is_the_same():
    device = xpnet.Device("cpu")
    assert xpnet.Device(device).__dict__ == device.__dict__


def test_a_device_is_a_value():
    device = xpnet.Device("cpu")
    assert device == xpnet.Device(device)
    assert device != "cpu"
    assert len({device, xpnet.Device("cpu")}) == 1
    assert pickle.loads(pickle.dumps(device)).__dict__ == device.__dict__
    assert copy.deepcopy(device) == device
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.name = "gpu:0"


@pytest.mark.parametrize("x", [1.0, np.float32(1), [1.0], np.zeros((2, 2))])
def test_numbers_and_lists_go_there(x):
    assert isinstance(xpnet.Device("cpu").to_device(x), np.ndarray)


def test_arrays_go_there_and_back(xp_backend):
    device = xpnet.Device("cpu")
    here = device.to_device(xp_backend.asarray([1.0, 2.0]))
    assert isinstance(here, np.ndarray)
    np.testing.assert_array_equal(device.to_numpy(xp_backend.asarray([1.0, 2.0])), here)
    np.testing.assert_array_equal(device.to_device([1.0, 2.0]), here)


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    xpnet.add_device_argument(parser)
    return parser.parse_args(words).device


@pytest.mark.parametrize("word", ["cpu", "gpu", "gpu:3", "cuda", "auto"])
def test_the_argument_gives_the_word(word):
    assert parse("--device", word) == word


def test_the_argument_defaults_to_the_cpu():
    assert parse() == "cpu"


def test_the_argument_refuses_other_words():
    with pytest.raises(argparse.ArgumentError, match=r"must be cpu, gpu, .*got 'gpus'"):
        parse("--device", "gpus")
