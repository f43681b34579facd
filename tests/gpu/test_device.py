"""Properties of a GPU, and transfers of arrays to it and back."""

import pickle

import numpy as np
import pytest

import xpnet

pytestmark = pytest.mark.gpu


def test_its_name_and_version(gpu, cupy):
    assert gpu.version == cupy.__version__
    assert gpu.hardware
    gpu.synchronize()


def test_a_gpu_that_is_not_there(cupy):
    n_devices = cupy.cuda.runtime.getDeviceCount()
    with pytest.raises(xpnet.DeviceError, match=f"^no GPU {n_devices}: ") as caught:
        xpnet.Device(f"gpu:{n_devices}")
    assert caught.value.code == "no-such-device"


def test_another_process_opens_its_own(gpu, narrow, here, pixels):
    assert pickle.loads(pickle.dumps(gpu)) == gpu
    network = narrow.to(gpu)
    again = pickle.loads(pickle.dumps(narrow)).to(gpu)
    x = gpu.asarray(pixels[:5])
    np.testing.assert_array_equal(here(again(x)), here(network(x)))


def test_a_network_goes_there_and_back(gpu, narrow, tmp_path):
    there = narrow.to(gpu)
    xpnet.save(there, tmp_path / "there.safetensors")
    loaded = xpnet.load(tmp_path / "there.safetensors", device=gpu)
    assert loaded.library == there.library
    assert loaded.device == there.device == gpu.handle
    for back in (there.to("cpu"), loaded.to("cpu")):
        for found, layer in zip(back.layers, narrow.layers, strict=True):
            np.testing.assert_array_equal(found.weight, layer.weight)
            np.testing.assert_array_equal(found.bias, layer.bias)
