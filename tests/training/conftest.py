"""Fixtures of the tests of training."""

import importlib.util
from dataclasses import replace

import pytest

import xpnet


@pytest.fixture(autouse=True, scope="module")
def _one_thread_of_torch():
    """Limit torch to one thread: with small arrays on a busy machine, more are ten times slower."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits():
    """Return 300 images and their labels."""
    images, labels = xpnet.sample()
    return images[:300], labels[:300]


@pytest.fixture(scope="session")
def start():
    """Return a function that makes networks for digits."""

    def make(sizes=(784, 20, 10), **options):
        options = {"activation": "sigmoid", "preprocessing": xpnet.Scale(1 / 255), **options}
        return xpnet.init_network([*sizes], **options)

    return make


@pytest.fixture
def to_backend(xp_backend):
    """Return a function that places a network on a backend whose arrays can learn."""
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays are lazy: training would build an endless graph")
    return lambda network: network.map_arrays(xp_backend.asarray)


@pytest.fixture(scope="session")
def assert_same_bits():
    """Return a function that compares parameters of two runs, and their epochs without times."""

    def facts(run):
        arrays = [x for layer in run.network.layers for x in (layer.weight, layer.bias)]
        epochs = [replace(epoch, seconds=0.0) for epoch in (*run.history, run.best)]
        return [x.tobytes() for x in arrays], epochs

    def compare(one, other):
        assert facts(one) == facts(other)

    return compare
