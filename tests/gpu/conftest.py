"""Fixtures of the tests on a GPU (``pytest -m gpu``); without one, the reason is printed."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace, device_of


@pytest.fixture(autouse=True)
def _needs_gpu(gpu):
    """Skip each test where no GPU is usable."""


@pytest.fixture
def here(gpu):
    """Return a result's values, after validation of its device and dtype."""

    def check(result, dtype="float32"):
        assert array_namespace(result) == array_namespace(gpu.asarray([0.0]))
        assert device_of(result) == gpu.handle
        assert str(result.dtype) == dtype
        return gpu.to_numpy(result)

    return check


@pytest.fixture(scope="session")
def make_network():
    """Return a function: a network for bytes, with random weights and biases, on the host."""

    def make(*widths, **options):
        network = xpnet.init_network(widths, **{"preprocessing": xpnet.Scale(1 / 255), **options})
        biases = [np.random.default_rng(n).normal(0, 0.1, n) for n in widths[1:]]
        layers = [
            replace(layer, bias=bias.astype(layer.bias.dtype))
            for layer, bias in zip(network.layers, biases, strict=True)
        ]
        return replace(network, layers=tuple(layers))

    return make


@pytest.fixture(scope="session")
def pixels():
    """Return 100,000 rows of 64 bytes."""
    return np.random.default_rng(1).integers(0, 256, (100_000, 64), np.uint8)
