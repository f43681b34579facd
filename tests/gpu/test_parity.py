"""Networks on a GPU against float64, and a fault that is out of bound."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.parity import compare, error_bound

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def wide(make_network):
    """Return a wide network on the host."""
    return make_network(784, 1024, 1024, 10, activation="relu")


@pytest.fixture(scope="module")
def images():
    return xpnet.sample()[0].reshape(1000, 784)


@pytest.fixture(scope="module")
def hosts(make_network, images, wide):
    """Return networks on the host."""
    network = make_network(784, 200, 150, 10, activation="sigmoid")
    return {
        "embedded": xpnet.load("sample"),
        "random sigmoid": network,
        "wide relu": wide,
        "deep tanh": make_network(784, *[60] * 8, 10, activation="tanh"),
        "float64": network.map_arrays(lambda x: x.astype(np.float64)),
        "whiten": xpnet.Network(network.layers, xpnet.Standardize.fit(images)),
    }


@pytest.mark.parametrize(
    "name", ["embedded", "random sigmoid", "wide relu", "deep tanh", "float64", "whiten"]
)
def test_in_bound(gpu, hosts, images, name):
    host = hosts[name]
    report = compare(host, images, {"gpu": host.to(gpu), "cpu": host})
    shares = {stage.name: stage.largest_share for stage in report.candidates["gpu"].stages}
    assert report.is_in_bound, shares
    assert 0 < max(share for share in shares.values() if share is not None) < 1
    report = compare(xpnet.reproducible(host), images, {"gpu": host.to(gpu)})
    assert report.is_in_bound, report.candidates["gpu"]
    assert report.result_hash == xpnet.result_hash(host.to(gpu), images)


def test_what_a_batch_gives_is_in_bound_however_large(gpu, make_network, images):
    network = make_network(784, 50, 100, 10, activation="sigmoid", output="values")
    rows = np.tile(images, (20, 1))
    last = error_bound(network, images).stages[-1]
    there = network.to(gpu)
    for batch_size in (1, 3, 17, 1000, 20_000):
        found = xpnet.predict(there, rows[: 50 * batch_size], batch_size=batch_size)
        part = [np.resize(x, (len(found), 10)) for x in (last.values, last.bound)]
        assert np.all(np.abs(found - part[0]) <= part[1]), batch_size


def test_a_fault_is_out_of_bound(gpu, wide, images):
    first = wide.layers[0]
    weight = first.weight.copy()
    weight[300:500, 7] *= np.float32(1.01)
    faulty = replace(wide, layers=(replace(first, weight=weight), *wide.layers[1:]))
    report = compare(wide, images[:100], {"gpu": faulty.to(gpu)})
    assert report.candidates["gpu"].first_out == "layer 1, relu"
