"""Second GPU while the first one is current: all arrays and kernels are on the right one."""

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def other():
    """Return the second GPU."""
    try:
        return xpnet.Device("gpu:1")
    except xpnet.DeviceError as error:
        pytest.skip(f"one GPU alone: {error}")


@pytest.fixture
def networks(narrow, gpu, other):
    """Return the same network on both GPUs."""
    return narrow.to(gpu), narrow.to(other)


def test_each_has_its_name(gpu, other):
    assert (gpu.name, other.name) == ("gpu:0", "gpu:1")
    assert gpu != other


@pytest.mark.parametrize("name", sorted({*(row.name for row in ACTIVATIONS.values()), "glu"}))
def test_functions_stay_on_the_device_of_their_argument(gpu, other, here, name):
    x = np.linspace(-3, 3, 40, dtype=np.float32).reshape(4, 10)
    first, second = (getattr(xpnet, name)(device.asarray(x)) for device in (gpu, other))
    np.testing.assert_array_equal(here(first), here(second, device=other))
    for device in (gpu, other):
        info = device.xp.__array_namespace_info__()
        default = info.default_dtypes(device=device.handle)["real floating"]
        dtype = str(default).rpartition(".")[2]
        here(getattr(xpnet, name)(device.asarray(x > 0)), dtype, device)


def test_host_rows(networks, pixels, chunk):
    first, second = (xpnet.predict_proba(network, pixels) for network in networks)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    for batch_size in (chunk, 1000):
        for _ in range(2):
            results = [
                xpnet.predict(network, pixels, batch_size=batch_size) for network in networks
            ]
            assert np.mean(results[0] == results[1]) > 0.999


def test_rows_of_each(networks, gpu, other, here, pixels):
    for network, device in zip(networks, (gpu, other), strict=True):
        x = device.asarray(pixels)
        with xpnet.count_transfers() as transfers:
            found = xpnet.predict(network, x, transfers="forbid")
        assert not transfers.bytes_to_host
        np.testing.assert_array_equal(
            here(found, "int64", device), here(network(x), "float32", device).argmax(axis=1)
        )
        labels = here(found, "int64", device)
        result = xpnet.evaluate(network, x, device.asarray(labels), transfers="forbid")
        assert result.accuracy == 1.0


def test_rows_of_the_other_are_refused(networks, gpu, other, pixels):
    for network, device in zip(networks, (other, gpu), strict=True):
        with pytest.raises(ValueError, match="all arrays must be on one device"):
            xpnet.predict(network, device.asarray(pixels[:10]))


def test_training_stays_there(other, here, make_network, pixels):
    start = make_network(64, 20, 10).to(other)
    run = xpnet.train(start, pixels[:300], np.arange(300) % 10, epochs=1)
    for layer in run.network.layers:
        here(layer.weight, "float32", other)


def test_the_first_is_current_still(other, cupy, narrow, pixels):
    xpnet.predict(narrow.to(other), pixels)
    assert cupy.cuda.Device().id == 0


SCRIPT = """
import argparse
import xpnet

parser = argparse.ArgumentParser()
xpnet.add_device_argument(parser)
device = xpnet.device_from_args(parser.parse_args())
x = device.asarray([1.0, 2.0]) * 2.0 + device.xp.ones(2)
with xpnet.Device("gpu:0") as first:
    y = first.asarray([3.0]) + first.xp.ones(1)
z = x + device.random(0).normal(size=2)
print([a.device.id for a in (x, y, z, device.xp.zeros(1))], device.to_numpy(x).tolist())
"""


def test_a_script_of_ones_own_runs_on_the_other(process, other):
    done = process("-c", SCRIPT, "--device", other.name)
    assert (done.code, done.out) == (0, "[1, 0, 1, 1] [3.0, 5.0]\n"), done.err
