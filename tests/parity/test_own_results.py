"""What a network computes, a last scale in its first weight, is within its own bounds."""

import itertools

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import compare
from xpnet.testing.backends import open_backend

DIGITS = xpnet.sample()[0].reshape(-1, 784)[::5]
BYTES = np.random.default_rng(0).integers(0, 256, (200, 784), dtype=np.uint8)


def check(network, rows, candidate=None, **options):
    """Assert that a candidate, by default the network itself, is in bound at every stage."""
    report = compare(network, rows, {"it": candidate or network}, **options)
    assert report.is_in_bound, report.verdict


def test_terms_that_cancel_before_the_factor():
    rng = np.random.default_rng(0)
    half = 1e3 * rng.normal(size=(50, 4)).astype(np.float32)
    layers = [
        xpnet.Dense(np.concatenate([half, -half]), np.ones(4, np.float32)),
        xpnet.Dense(rng.normal(size=(4, 3)).astype(np.float32), np.zeros(3, np.float32)),
    ]
    rows = np.tile(rng.integers(0, 256, (20, 50), dtype=np.uint8), 2)
    for n_rows in (3, 20):  # few rows meet another form of the weight
        check(xpnet.Network(layers, preprocessing=xpnet.Scale(1 / 255)), rows[:n_rows])


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "identity"])
def test_small_networks_of_bytes(activation):
    for rows, width, seed in itertools.product((DIGITS, BYTES), (3, 10, 50), range(8)):
        sizes, step = [784, width, 10], xpnet.Scale(1 / 255)
        network = xpnet.init_network(sizes, activation=activation, seed=seed, preprocessing=step)
        check(network, rows)
        check(network, rows, confidence=1.0)


@pytest.mark.parametrize("backend", ["jax", "array-api-strict:no_float64"])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_a_device_without_float64_has_the_bounds_of_wide_rows(backend, dtype):
    pytest.importorskip(backend.partition(":")[0].replace("-", "_"))
    rng = np.random.default_rng(0)
    for mean in (100.0, 1.7e9):
        step = xpnet.Standardize(mean, 1.0)
        network = xpnet.init_network([20, 16, 10], seed=1, preprocessing=step)
        rows = (mean + rng.normal(0.0, 3.0, (50, 20))).astype(dtype)
        check(network, rows, network.map_arrays(open_backend(backend).make))


def random_case(seed):
    """Return a network of any form, with rows of any dtype and number."""
    rng = np.random.default_rng(seed)
    widths = [int(rng.integers(1, 60)) for _ in range(rng.integers(2, 5))]
    dtype = str(rng.choice(["float32", "float32", "float64"]))
    smooth = [name for name in sorted(ACTIVATIONS) if ACTIVATIONS[name].is_learnable]
    layers = [
        xpnet.Dense(
            (rng.normal(0.0, 10.0 ** rng.uniform(-1, 0.5), shape) / shape[0] ** 0.5).astype(dtype),
            rng.normal(0.0, 0.5, shape[1]).astype(dtype),
            str(rng.choice(smooth)),
        )
        for shape in itertools.pairwise(widths)
    ]
    n_in = widths[0]
    steps = [
        xpnet.Standardize(rng.uniform(0, 99, n_in), rng.uniform(50, 90, n_in)),
        xpnet.Scale(rng.choice([1 / 255, 0.5, 1.0, -(2.0**-20), 2.0**-30, 3.0])),
        xpnet.Whiten(np.zeros(n_in), rng.normal(size=(n_in, n_in)) / n_in / 100),
    ]
    used = [steps[i] for i in rng.permutation(3)[: rng.integers(0, 3)]]
    kind = str(rng.choice(["uint8", "float32", "float64", "int32", "float16"]))
    rows = rng.integers(0, 256, (int(rng.choice([1, 5, 7, 40])), n_in)).astype(kind)
    return xpnet.Network(layers, used, "values"), rows


@pytest.mark.slow
def test_random_networks_are_within_the_bounds_of_float64():
    n_judged = 0
    for seed in range(500):
        network, rows = random_case(seed)
        (found,) = compare(network, rows, {"it": network}).candidates.values()
        assert found.first_out is None, seed
        n_judged += found.is_judged  # others may overflow
    assert n_judged > 450
