"""Networks of random numbers."""

import itertools

import numpy as np
import pytest

from xpnet import Dense, Network


@pytest.fixture(scope="session")
def random_network():
    """Return a function that makes a network of random numbers, by default of 20 inputs."""

    def make(widths=(20, 16, 10), activations=("sigmoid", "tanh"), *, dtype="float32", **options):
        rng, layers = np.random.default_rng(0), []
        for (n_in, n_out), name in zip(itertools.pairwise(widths), activations, strict=True):
            weight, bias = rng.normal(0.0, n_in**-0.5, (n_in, n_out)), rng.normal(0.0, 0.1, n_out)
            layers.append(Dense(weight.astype(dtype), bias.astype(dtype), name))
        return Network(layers, **options)

    return make
