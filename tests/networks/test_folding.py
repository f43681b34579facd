"""Preprocessing folded into the first layer: all or none of it, within the network's bounds."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

import xpnet
from xpnet.arrays.frozen import is_frozen
from xpnet.networks.folding import folded_layer
from xpnet.parity.bounds.error_bound import error_bound

PIXELS = np.random.default_rng(0).integers(0, 256, (100, 784), np.uint8)
PIXELS[0], PIXELS[1], PIXELS[2:5, ::2] = 0, 255, 0
DIGITS = xpnet.sample()[0].reshape(-1, 784)
SCALE = xpnet.Scale(1 / 255)
PREPROCESSING = {
    "none": None,
    "scale": SCALE,
    "scales": [xpnet.Scale(3.0), xpnet.Scale(-0.1), xpnet.Scale(1 / 90)],
    "standardize": xpnet.Standardize(33.0, 78.0),
    "scale_after_standardize": [xpnet.Standardize(33.0, 78.0), xpnet.Scale(0.7)],
    "standardize_after_scale": [SCALE, xpnet.Standardize(0.13, 0.31)],
    "arrays": xpnet.Standardize(np.arange(784.0), np.arange(784.0) + 50),
    "fitted": xpnet.Standardize.fit(DIGITS),
    "whiten": [SCALE, xpnet.Whiten.fit(DIGITS / 255)],
    "components": xpnet.Whiten.fit(DIGITS, method="pca", epsilon=0.1),
    "far": [SCALE, xpnet.Standardize(np.arange(784.0) - 300.0, 2.0)],
}
HIDDEN = {"sigmoid": (50, 100), "relu": (30,), "tanh": (200, 20, 60)}


def network_of(*widths, dtype="float32", activation="sigmoid", preprocessing=None, seed=0):
    """Return a network of random parameters whose outputs are the sums of its last layer."""
    random = np.random.default_rng(seed)
    layers = [
        xpnet.Dense(
            (random.normal(size=(n_in, n_out)) / n_in**0.5).astype(dtype),
            random.normal(size=n_out).astype(dtype),
            activation,
        )
        for n_in, n_out in pairwise(widths)
    ]
    layers[-1] = replace(layers[-1], activation="identity")
    return xpnet.Network(layers, preprocessing, "values")


def folded(network):
    return folded_layer(network.preprocessing, network.layers[0])


def share_of_bound(network, rows):
    """Return the largest error of the outputs, relative to the bound of the network."""
    last = error_bound(network, rows).stages[-1]
    # In float64 the reference values have errors of the same size.
    bound = last.bound * (2 if network.dtype == "float64" else 1)
    assert np.isfinite(bound).all()
    found = [network.plan.outputs(rows), xpnet.predict(network, rows)]
    return np.max(np.abs(np.stack(found) - last.values) / bound)


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
@pytest.mark.parametrize("steps", PREPROCESSING)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_results_are_within_the_bounds_of_the_network(steps, dtype, activation):
    kinds = {"dtype": dtype, "activation": activation, "preprocessing": PREPROCESSING[steps]}
    network = network_of(784, *HIDDEN[activation], 10, **kinds)
    rows = (PIXELS / 255).astype(dtype) if steps == "none" else PIXELS
    assert share_of_bound(network, rows) <= 1


@given(
    st.lists(st.integers(20, 80), min_size=2, max_size=4),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 2**32),
    st.floats(0.1, 100.0),
)
def test_random_networks_stay_within_their_bounds(widths, dtype, seed, spread):
    network = network_of(*widths, 10, dtype=dtype, preprocessing=SCALE, seed=seed)
    network = network.map_arrays(lambda x: x * x.dtype.type(spread))
    rows = np.random.default_rng(seed).integers(0, 256, (20, widths[0]), np.uint8)
    assert share_of_bound(network, rows) <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [-50.0, -3.0, 0.0, 50.0])
@pytest.mark.parametrize("weight", [0.0, -0.1, 0.05])
def test_sigmoids_that_are_nearly_all_off_or_on_stay_within_their_bounds(dtype, bias, weight):
    weights = weight * np.random.default_rng(0).uniform(0.5, 1.5, (784, 40))
    layers = [
        xpnet.Dense(weights, np.full(40, bias), "sigmoid"),
        xpnet.Dense(np.ones((40, 3)), np.asarray([0.0, 1e-9, 1.0])),
    ]
    network = xpnet.Network(layers, SCALE, "values").astype(dtype)
    assert share_of_bound(network, PIXELS) <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_sigmoids_stay_within_their_bounds(dtype):
    network = network_of(784, 50, 30, 10, dtype=dtype)
    rows = 20.0 * PIXELS.astype(dtype)
    assert np.max(np.abs(network.layers[0].linear(rows))) > 1e4
    assert share_of_bound(network, rows) <= 1


@pytest.mark.parametrize("steps", PREPROCESSING)
def test_all_steps_become_part_of_the_layer(steps):
    network = network_of(784, 50, 10, preprocessing=PREPROCESSING[steps])
    layer = folded(network)
    assert (layer is None) == (steps == "far")
    assert (layer is network.layers[0]) == (steps == "none")
    assert layer is None or (is_frozen(layer.weight) and is_frozen(layer.bias))


@pytest.mark.parametrize("steps", ["fitted", "standardize_after_scale", "whiten", "components"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_fitted_to_the_digits_keep_nearly_all_digits(steps, dtype):
    kinds = {"dtype": dtype, "activation": "relu", "preprocessing": PREPROCESSING[steps]}
    assert share_of_bound(network_of(784, 30, 10, **kinds), DIGITS) <= 0.1


@pytest.mark.parametrize("kind", [xpnet.Standardize, xpnet.Whiten])
def test_on_all_of_mnist(shared_data, kind):
    images, _ = xpnet.read(shared_data / "mnist" / "train-images-idx3-ubyte.gz")
    images = images.reshape(-1, 784)
    network = network_of(784, 30, 10, activation="relu", preprocessing=kind.fit(images))
    assert folded(network) is not None
    assert share_of_bound(network, images[::10]) <= 0.1


def test_folded_parameters_are_those_of_the_steps():
    draw = np.random.default_rng(0).normal
    steps = [
        SCALE,
        xpnet.Standardize(draw(size=70), draw(size=70) + 3.0),
        xpnet.Whiten(draw(size=70) / 100, draw(size=(70, 70))),
        xpnet.Scale(-0.5),
    ]
    network = network_of(70, 5, dtype="float64", preprocessing=steps)
    layer, (given,) = folded(network), network.layers
    expected = -0.5 * steps[2].matrix @ given.weight / (255 * steps[1].scale[:, None])
    np.testing.assert_allclose(layer.weight, expected, rtol=1e-9, atol=1e-12)
    y = np.zeros(70)
    for step in steps:
        y = step(y)
    np.testing.assert_allclose(layer(np.zeros(70)), given(y), rtol=1e-9)


ALIKE = np.eye(64) * 100 - (100 - 1 / 8) / 64  # the whitening matrix of nearly equal inputs
FIRST = np.eye(64)[0]


@pytest.mark.parametrize(
    ("step", "is_folded"),
    [
        (xpnet.Standardize(1.9, 1.0), True),  # up to 2 deviations
        (xpnet.Standardize(-2.1, 1.0), False),
        (xpnet.Standardize(2.1 * FIRST, 1.0), False),
        (xpnet.Standardize(2.1 * FIRST, 1.1), True),
        (xpnet.Whiten(np.full(64, 1.9), np.eye(64)), True),
        (xpnet.Whiten(np.full(64, 2.1), np.eye(64)), False),
        (xpnet.Whiten(np.full(64, 1.9), ALIKE), True),
        (xpnet.Whiten(np.full(64, 2.1), ALIKE), False),
        (xpnet.Whiten(np.full(64, 2.1), -ALIKE), False),
        (xpnet.Standardize(0.1 * np.ones(63), 2.0), False),  # too few inputs
        (xpnet.Standardize(np.zeros(63), 2.0), True),
        (xpnet.Whiten(np.full(63, 0.1), np.eye(63)), False),
        (xpnet.Whiten(np.zeros(63), np.eye(63)), True),
    ],
    ids=map(str, range(13)),
)
def test_means_that_are_many_deviations_from_0_stay(step, is_folded):
    n_in = 64 if isinstance(step.mean, float) else len(step.mean)
    layer = xpnet.Dense(np.ones((n_in, 5)), np.ones(5))
    assert (folded_layer([step], layer) is not None) == is_folded
    assert (folded_layer([SCALE, step], layer) is not None) == is_folded


@pytest.mark.parametrize(
    ("step", "weight", "is_folded"),
    [
        (xpnet.Standardize(0.0, 1e37), 0.5, True),
        (xpnet.Standardize(0.0, 1e38), 0.5, False),  # below the smallest normal number
        (xpnet.Standardize(0.0, 2.0**-60), 0.5, True),
        (xpnet.Standardize(0.0, 2.0**-126), 0.5, False),  # 2**60 might overflow
        (xpnet.Standardize(-1.0, 1.0), 1e35, True),
        (xpnet.Standardize(-1.0, 1.0), 5e36, False),  # 64 of them, and the bias
        (xpnet.Whiten(np.zeros(64), np.eye(64) * 1e-37), 0.5, True),
        (xpnet.Whiten(np.zeros(64), np.eye(64) * 1e-38), 0.5, False),
        (xpnet.Whiten(np.zeros(64), np.eye(64) * 1e38), 10.0, False),
    ],
    ids=map(str, range(9)),
)
def test_a_step_stays_where_parameters_would_leave_the_normal_range(step, weight, is_folded):
    layer = xpnet.Dense(np.full((64, 2), weight, "f4"), np.full(2, 3e38, "f4"))
    network = xpnet.Network([layer], step)
    with np.errstate(all="raise"):
        assert (folded(network) is not None) == is_folded


@pytest.mark.parametrize(
    ("dtype", "weight", "factors", "is_folded"),
    [
        ("float32", 1.0, [1e-37], True),
        ("float32", 1.0, [1e-38], False),  # the smallest normal number is 1.2e-38
        ("float32", 1e-20, [1e-25], False),
        ("float32", 1.0, [2.0**60], True),
        ("float32", 1.0, [3e38], False),  # 2**60 might overflow
        ("float32", 1e30, [1e20, 1e-10], False),  # the last one comes first
        ("float32", 1e30, [1e-30, 1e20], False),
        ("float64", 1.0, [1e-300], True),
        ("float64", 1e-10, [1e-300], False),
        ("float64", 1e10, [1e300], False),
        ("float16", 1.0, [0.5], False),
    ],
)
def test_a_factor_stays_where_weights_would_leave_the_normal_range(
    dtype, weight, factors, is_folded
):
    weights = np.full((4, 3), weight, dtype)
    weights[1, 1] = 0.0  # zero stays zero
    layer = xpnet.Dense(weights, np.zeros(3, dtype))
    with np.errstate(all="raise"):
        found = folded_layer(list(map(xpnet.Scale, factors)), layer)
    assert (found is not None) == is_folded
    assert found is None or found.weight[1, 1] == 0


def test_a_power_of_two_changes_no_bit():
    layer = network_of(784, 50).layers[0]
    found = folded_layer([xpnet.Scale(-4.0), xpnet.Scale(2.0**-10)], layer)
    np.testing.assert_array_equal(found.weight, layer.weight * np.float32(-(2.0**-8)))


@pytest.mark.parametrize(
    ("n_out", "steps", "is_folded"),
    [
        (512, [SCALE], True),
        (513, [SCALE], False),
        (128, [SCALE, xpnet.Whiten(np.zeros(512), np.eye(512))], True),
        (129, [SCALE, xpnet.Whiten(np.zeros(512), np.eye(512))], False),
    ],
    ids=map(str, range(4)),
)
def test_a_large_weight_is_not_folded(n_out, steps, is_folded):
    network = network_of(512, n_out, preprocessing=steps)
    assert (folded(network) is not None) == is_folded
    assert share_of_bound(network, PIXELS[:, :512]) <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_parameters(bad):
    weight = np.ones((64, 3), "f4")
    weight[3, 1] = bad
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(3, "f4"))], SCALE, "values")
    assert folded(network) is None
    with np.errstate(invalid="ignore"):
        y = xpnet.predict(network, np.full((2, 64), 255, np.uint8))
    np.testing.assert_allclose(y, np.resize([64.0, bad, 64.0], (2, 3)), rtol=1e-6)
