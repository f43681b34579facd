"""Elementwise functions at extreme options and arguments."""

import math
import warnings

import numpy as np
import pytest

import xpnet

INF, NAN = math.inf, math.nan
LOW, HIGH = "the lowest number", "the largest number"
LOG_2 = math.log(2.0)

# Options at the ends of their ranges, and the values at -inf, the lowest number, 0, the largest
# number and inf.
OPTIONS_AT_EDGES = [
    ("celu", {"alpha": 1e6}, (-1e6, -1e6, 0, HIGH, INF)),
    ("celu", {"alpha": 1e-6}, (-1e-6, -1e-6, 0, HIGH, INF)),
    ("elu", {"alpha": 1e6}, (-1e6, -1e6, 0, HIGH, INF)),
    ("elu", {"alpha": 1e-6}, (-1e-6, -1e-6, 0, HIGH, INF)),
    ("gelu", {"approximate": "tanh"}, (0, 0, 0, HIGH, INF)),
    ("hard_shrink", {"threshold": 0.0}, (-INF, LOW, 0, HIGH, INF)),
    ("hard_shrink", {"threshold": 1e4}, (-INF, LOW, 0, HIGH, INF)),
    ("leaky_relu", {"negative_slope": 0.0}, (0, 0, 0, HIGH, INF)),
    ("leaky_relu", {"negative_slope": 1e-30}, (-INF, -340282346.6385289, 0, HIGH, INF)),
    ("leaky_relu", {"negative_slope": 1.0}, (-INF, LOW, 0, HIGH, INF)),
    ("soft_shrink", {"threshold": 0.0}, (-INF, LOW, 0, HIGH, INF)),
    ("softplus", {"beta": 1e6}, (0, 0, LOG_2 / 1e6, HIGH, INF)),
    ("softplus", {"beta": 1e-6}, (0, 0, LOG_2 * 1e6, HIGH, INF)),
    ("squareplus", {"b": 1e6}, (0, 7.3468397e-34, 500, HIGH, INF)),
    ("squareplus", {"b": 1e-6}, (0, 0, 5e-4, HIGH, INF)),
    ("threshold", {"threshold": -2.0, "value": 7.0}, (7, 7, 0, HIGH, INF)),
    ("threshold", {"threshold": -1e30, "value": -1e30}, (-1e30, -1e30, 0, HIGH, INF)),
]


def check(name, options, edges, compute):
    """Compare the values at the edges, -0.0 and NaN in float32."""
    limits = np.finfo(np.float32)
    x = np.asarray([-INF, limits.min, 0.0, limits.max, INF, -0.0, NAN], np.float32)
    got = compute(lambda x: getattr(xpnet, name)(x, **options), x)
    numbers = [float({LOW: limits.min, HIGH: limits.max}.get(value, value)) for value in edges]
    expected = [*numbers, numbers[2], NAN]
    # The square plus of the lowest number is subnormal, and may be flushed to 0.
    np.testing.assert_allclose(got, expected, rtol=4 * float(limits.eps), atol=float(limits.tiny))


@pytest.mark.parametrize(("name", "options", "edges"), OPTIONS_AT_EDGES)
def test_extreme_options(xp_backend, name, options, edges):
    def compute(function, x):
        return xp_backend.check(function(xp_backend.asarray(x)), dtype="float32", shape=x.shape)

    check(name, options, edges, compute)


@pytest.mark.parametrize(("name", "options", "edges"), OPTIONS_AT_EDGES)
def test_extreme_options_compiled_by_jax(name, options, edges):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    check(name, options, edges, lambda function, x: np.asarray(jax.jit(function)(x)))


@pytest.mark.parametrize("name", ["erf", "identity", "tanh", "softsign", "hard_tanh"])
def test_the_sign_of_zero_is_kept(xp_backend, name):
    result = getattr(xpnet, name)(xp_backend.asarray([-0.0, 0.0]))
    values = xp_backend.check(result, dtype="float32", shape=(2,))
    np.testing.assert_array_equal(np.signbit(values), [True, False])


@pytest.mark.parametrize("shape", [(), (5,)])
@pytest.mark.parametrize("value", [-INF, -1e30, 0.0, 1e30, INF, NAN])
def test_numpy_does_not_warn(elementwise, value, shape):
    x = np.full(shape, value, np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        y = getattr(xpnet, elementwise)(x)
    assert np.shape(y) == shape
    assert np.all(np.isnan(y)) == math.isnan(value)
