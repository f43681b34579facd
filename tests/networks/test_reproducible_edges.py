"""Edges of reproducible results, where a simpler form would be wrong: the smallest examples."""

from fractions import Fraction

import numpy as np
import pytest

import xpnet
from xpnet.functions.exact_products import SlicedWeight
from xpnet.testing.backends import open_backend


def forward(network, x):
    return xpnet.reproducible(network)(x)


def one_unit(weight, steps=None):
    """Return a float32 network of one unit, whose weights are given."""
    weight = np.asarray(weight, np.float32).reshape(-1, 1)
    return xpnet.Network([xpnet.Dense(weight, np.zeros(1, np.float32))], steps)


@pytest.mark.parametrize(
    ("x", "weight"), [((1e12, 1e-3), (1e-12, 1e3)), ((0.0, 0.3), (1e30, 1.0))], ids=str
)
def test_inputs_of_different_sizes_are_as_accurate_as_in_float32(x, weight):
    network, x = one_unit(weight), np.asarray([x])
    np.testing.assert_allclose(forward(network, x), network(x), rtol=1e-6)


def test_the_error_is_as_stated_for_wide_layers():
    number = 0.5 + 2.0**-21 + 0.99 * 2.0**-43
    x, weight = np.full((1, 2049), number), np.full((2049, 1), number)
    x[0, 0], weight[1, 0] = 0.51, 0.51
    (found,) = SlicedWeight(weight, "float32", np).multiply(x, np)[:, 0].tolist()
    true = sum(Fraction(a) * Fraction(b) for a, b in zip(x[0], weight[:, 0], strict=True))
    assert abs(Fraction(found) - true) <= 2049 * Fraction(0.51) ** 2 / 2**38


def test_traced_parameters_are_refused():
    jax = pytest.importorskip("jax")
    backend = open_backend("jax")
    with backend.flags:
        x, bias = backend.asarray(np.ones((1, 2))), backend.asarray(np.zeros(1))

        def of_weight(weight):
            return forward(xpnet.Network([xpnet.Dense(weight, bias)]), x)

        with pytest.raises(TypeError, match="cannot be traced"):
            jax.jit(of_weight)(backend.asarray(np.ones((2, 1))))


@pytest.mark.parametrize(
    ("steps", "x"),
    [
        ((xpnet.Scale(1e-200), xpnet.Standardize(), xpnet.Scale(1e300)), 1e-110),
        ((xpnet.Standardize(0.0, 1e200), xpnet.Scale(1e250)), 1e-110),
    ],
    ids=["factor", "divisor"],
)
def test_subnormal_numbers_in_the_preprocessing(steps, x):
    pytest.importorskip("jax")
    backend, network, x = open_backend("jax"), one_unit(1.0, steps), np.asarray([[x]])
    with backend.flags:
        there = network.map_arrays(lambda v: backend.asarray(v, v.dtype))
        found = np.asarray(forward(there, backend.asarray(x, "float64")))
    assert found == forward(network, x)


@pytest.mark.parametrize(
    "steps",
    [
        (xpnet.Scale(1e-310),),
        (xpnet.Standardize(2.5e-308, 1.0),),
        (xpnet.Standardize(0.0, -1e-300),),
        (xpnet.Scale(1e-200), xpnet.Scale(1e-200)),
    ],
    ids=["factor", "mean", "scale", "product"],
)
def test_tiny_numbers_of_the_preprocessing_are_refused(steps):
    with pytest.raises(ValueError, match=r"preprocessing by numbers from 1\.18"):
        forward(one_unit(1.0, steps), np.ones((1, 1)))


@pytest.mark.parametrize(("large", "rest"), [(1e10, 3e-7), (1e13, 2e-4)])
def test_an_input_that_a_unit_does_not_use_costs_it_digits(large, rest):
    """The stated limit: the error is relative to the largest input times its largest weight."""
    identity = np.eye(2, dtype=np.float32)
    network = xpnet.Network([xpnet.Dense(identity, np.zeros(2, np.float32))])
    x = np.asarray([[large, 1.2345678]], np.float32)
    found = forward(network, x)[0]
    assert found[0] == x[0, 0]
    error = abs(float(found[1]) - float(x[0, 1]))
    assert 0.0 < error < rest
    assert error <= 2 * 2.0**-40 * large + 2.0**-24 * x[0, 1]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_weight_that_is_not_finite_shows_in_all_units(value):
    weight = np.asarray([[value, 1.0], [1.0, 1.0]], np.float32)
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(2, np.float32))])
    assert np.isnan(forward(network, np.ones((1, 2), np.float32))).all()
