"""Elementwise functions at extreme options and arguments."""

import functools
import itertools
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


X = np.asarray(
    [-INF, np.finfo(np.float32).min, 0.0, np.finfo(np.float32).max, INF, -0.0, NAN], np.float32
)


def expected_at(edges):
    """Return the values at the edges, -0.0 and NaN in float32."""
    limits = np.finfo(np.float32)
    numbers = [float({LOW: limits.min, HIGH: limits.max}.get(value, value)) for value in edges]
    return [*numbers, numbers[2], NAN]


# The square plus of the lowest number is subnormal, and may be flushed to 0.
NEAR = {"rtol": 4 * float(np.finfo(np.float32).eps), "atol": float(np.finfo(np.float32).tiny)}


def test_extreme_options(xp_backend, assert_near, subtests):
    for name, options, edges in OPTIONS_AT_EDGES:
        with subtests.test(name=name, **options):
            result = getattr(xpnet, name)(xp_backend.asarray(X), **options)
            got = xp_backend.check(result, dtype="float32", shape=X.shape)
            assert_near(X, got, expected_at(edges), **NEAR)


def test_extreme_options_compiled_by_jax(assert_near, subtests):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    for name, options, edges in OPTIONS_AT_EDGES:
        with subtests.test(name=name, **options):
            got = jax.jit(functools.partial(getattr(xpnet, name), **options))(X)
            assert_near(X, np.asarray(got), expected_at(edges), **NEAR)


def test_the_sign_of_zero_is_kept(xp_backend):
    for name in ["erf", "identity", "tanh", "softsign", "hard_tanh"]:
        result = getattr(xpnet, name)(xp_backend.asarray([-0.0, 0.0]))
        values = xp_backend.check(result, dtype="float32", shape=(2,))
        assert np.signbit(values).tolist() == [True, False], name


@pytest.mark.parametrize("shape", [(), (5,)])
def test_numpy_does_not_warn(elementwise, shape, subtests):
    for name, value in itertools.product(elementwise, [-INF, -1e30, 0.0, 1e30, INF, NAN]):
        x = np.full(shape, value, np.float32)
        with (
            subtests.test(name=name, value=value),
            np.errstate(over="raise", invalid="raise", divide="raise"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error")
            y = getattr(xpnet, name)(x)
            assert np.shape(y) == shape
            assert np.all(np.isnan(y)) == math.isnan(value)
