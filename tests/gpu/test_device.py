"""A GPU by its name: transfers and memory."""

import pickle

import numpy as np
import pytest

import xpnet
from xpnet.formats.load_save import serialized

pytestmark = pytest.mark.gpu


def test_its_name_and_its_card_and_one_that_is_not_there(gpu):
    cupy = pytest.importorskip("cupy")
    assert (gpu.name, gpu.library) == ("gpu:0", "cupy")
    assert gpu.hardware == cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    gpu.synchronize()
    with pytest.raises(xpnet.DeviceError) as caught:
        xpnet.Device(f"gpu:{cupy.cuda.runtime.getDeviceCount()}")
    assert caught.value.code == "no-such-device"


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_arrays_go_there_and_back(gpu, here, dtype):
    x = np.arange(60).reshape(3, 4, 5).astype(dtype)
    for given in (x, x.T, x[::2], x[:, ::-1], x[:0], x.astype(x.dtype.newbyteorder(">"))):
        np.testing.assert_array_equal(here(gpu.asarray(given), dtype), given)


def test_a_network_goes_there_and_back(gpu, make_network, tmp_path):
    network = make_network(64, 32, 10)
    there = pickle.loads(pickle.dumps(network)).to(pickle.loads(pickle.dumps(gpu)))
    xpnet.save(there, tmp_path / "there.safetensors")
    loaded = xpnet.load(tmp_path / "there.safetensors", device=gpu)
    assert loaded.device == there.device == gpu.handle
    for back in (there.to("cpu"), loaded.to("cpu")):
        assert serialized(back, "x.npz") == serialized(network, "x.npz")


def test_a_full_gpu_is_an_error_that_names_the_batch_size(gpu, make_network, pixels):
    cupy, network = pytest.importorskip("cupy"), make_network(64, 256, 10).to(gpu)
    expected = xpnet.predict(network, pixels, batch_size=100)
    pool = cupy.get_default_memory_pool()
    limit = pool.get_limit()
    pool.free_all_blocks()
    pool.set_limit(size=pool.total_bytes() + 2**22)
    try:
        with pytest.raises(xpnet.DeviceError, match="batch_size=") as caught:
            xpnet.predict(network, pixels)
        assert isinstance(caught.value, MemoryError)
        np.testing.assert_array_equal(xpnet.predict(network, pixels, batch_size=100), expected)
    finally:
        pool.set_limit(size=limit)
