"""Softmax, log_softmax, sparsemax and logsumexp, on every backend."""

import itertools
import math

import numpy as np
import pytest

import xpnet
from xpnet.functions.along_axis import _has_slow_rows

INF, NAN = math.inf, math.nan
LARGEST = float(np.finfo(np.float32).max)
ALONG_AXIS = ("softmax", "log_softmax", "sparsemax")
NAMES = [*ALONG_AXIS, "logsumexp"]


def reference(x, axis):
    """Return softmax, log_softmax and logsumexp in float64."""
    shifted = x.astype(np.float64) - np.max(x, axis=axis, keepdims=True)
    log_sum = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    logs = shifted - log_sum
    peak = np.max(x, axis=axis, keepdims=True)
    return np.exp(logs), logs, np.squeeze(log_sum + peak, axis=axis)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(xp_backend, dtype, assert_near, subtests):
    x = np.random.default_rng(0).normal(0, 10, (3, 4, 5)).astype(dtype)
    # exp amplifies the rounding of x - max, up to half an ULP of a spread of some 60 nats.
    near = np.finfo(dtype).eps * (8 + np.max(x) - np.min(x))
    argument = xp_backend.asarray(x, dtype)
    for axis in [0, 1, 2, -1, -3]:
        with subtests.test(axis=axis):
            expected = reference(x, axis)
            for name, values in zip(["softmax", "log_softmax", "logsumexp"], expected, strict=True):
                result = getattr(xpnet, name)(argument, axis=axis)
                found = xp_backend.check(result, dtype=dtype, shape=values.shape)
                seen = np.max(x, axis=axis) if name == "logsumexp" else x
                limit = {"rtol" if name == "softmax" else "atol": near}
                assert_near(seen, found, values, **limit)


NANS, HALVES, LOGS = [NAN, NAN], [0.5, 0.5], [-math.log(2), -math.log(2)]
# Rows, and their softmax (or sparsemax), log_softmax and logsumexp.
ROWS = {
    "large": ([1000.0, 1000.0], HALVES, LOGS, 1000 + math.log(2)),
    "nan": ([NAN, 0.0], NANS, NANS, NAN),
    "inf": ([INF, 0.0], NANS, NANS, INF),
    "two infs": ([INF, INF], NANS, NANS, INF),
    "inf and -inf": ([INF, -INF], NANS, NANS, INF),
    "one -inf": ([-INF, 0.0], [0, 1], [-INF, 0], 0),
    "all -inf": ([-INF, -INF], NANS, NANS, -INF),
    "the whole range": ([-LARGEST, LARGEST], [0, 1], [-INF, 0], LARGEST),
    "nearly the whole range": ([-1000.0, LARGEST], [0, 1], [-LARGEST, 0], LARGEST),
    "all lowest": ([-LARGEST, -LARGEST], HALVES, LOGS, -LARGEST),
}


# With a plain row, which the others must not affect.
X = [*(x for x, *_ in ROWS.values()), [0.0, 0.0]]


def check_edges(name, values, subtests):
    plain = {"log_softmax": LOGS, "logsumexp": math.log(2)}.get(name, HALVES)
    np.testing.assert_allclose(values[-1], plain, rtol=1e-6)
    column = {"log_softmax": 2, "logsumexp": 3}.get(name, 1)
    for row, value in zip(ROWS, values[:-1], strict=True):
        with subtests.test(name=name, row=row):
            expected = np.asarray(ROWS[row][column], np.float32)
            np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_edges(xp_backend, subtests):
    for name in NAMES:
        shape = (len(X),) if name == "logsumexp" else (len(X), 2)
        result = getattr(xpnet, name)(xp_backend.asarray(X))
        check_edges(name, xp_backend.check(result, dtype="float32", shape=shape), subtests)


def test_edges_compiled_by_jax(subtests):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    x = jax.numpy.asarray(X, dtype="float32")
    for name in NAMES:
        check_edges(name, np.asarray(jax.jit(getattr(xpnet, name))(x)), subtests)


def project(row):
    """Return the nearest probabilities, with the level found by bisection."""
    low, high = np.max(row) - 1, np.max(row)
    for _ in range(100):
        level = (low + high) / 2
        if np.sum(np.maximum(row - level, 0)) > 1:
            low = level
        else:
            high = level
    return np.maximum(row - level, 0)


def test_sparsemax_projects_onto_the_probabilities(xp_backend, assert_near, subtests):
    for n, spread in itertools.product([1, 2, 5, 63, 64, 300], [0.01, 1.0, 50.0]):
        with subtests.test(n=n, spread=spread):
            x = np.random.default_rng(n).normal(0, spread, (4, n)).astype(np.float32)
            result = xpnet.sparsemax(xp_backend.asarray(x))
            values = xp_backend.check(result, dtype="float32", shape=x.shape)
            expected = [project(row) for row in x.astype(np.float64)]
            assert_near(x, values, expected, atol=2e-7 * (1 + n / 8))


def test_short_and_long_rows_are_the_columns_of_the_transpose(xp_backend, subtests):
    for name, n in itertools.product(NAMES, [63, 64]):
        with subtests.test(name=name, n=n):
            x = np.random.default_rng(2).normal(0, 5, (7, n)).astype(np.float32)
            function = getattr(xpnet, name)
            shape = (7,) if name == "logsumexp" else (7, n)
            rows = xp_backend.check(function(xp_backend.asarray(x)), dtype="float32", shape=shape)
            columns = xp_backend.check(
                function(xp_backend.asarray(x.T), axis=0), dtype="float32", shape=shape[::-1]
            )
            np.testing.assert_allclose(rows, columns.T, rtol=1e-5, atol=1e-6)


def test_empty_arrays_stay_empty(xp_backend, subtests):
    for name, shape in itertools.product(ALONG_AXIS, [(0, 3), (3, 0), (2, 0, 3)]):
        with subtests.test(name=name, shape=shape):
            result = getattr(xpnet, name)(xp_backend.asarray(np.zeros(shape)))
            xp_backend.check(result, dtype="float32", shape=shape)


def test_logsumexp_of_nothing_is_minus_infinity(xp_backend):
    result = xpnet.logsumexp(xp_backend.asarray(np.zeros((3, 0))))
    np.testing.assert_array_equal(xp_backend.check(result, dtype="float32", shape=(3,)), [-INF] * 3)


def test_logsumexp_keeps_the_axis_when_asked(xp_backend):
    x = xp_backend.asarray(np.zeros((2, 3)))
    result = xp_backend.check(
        xpnet.logsumexp(x, axis=0, keepdims=True), dtype="float32", shape=(1, 3)
    )
    np.testing.assert_allclose(result, math.log(2), rtol=1e-6)


def test_axis_out_of_range_is_rejected(xp_backend, subtests):
    x = xp_backend.asarray(np.zeros((2, 3)))
    for name, axis in itertools.product(NAMES, [2, -3, 7]):
        message = f"`axis` must be one of the array's 2 axes; got {axis}"
        with subtests.test(name=name, axis=axis), pytest.raises(ValueError, match=message):
            getattr(xpnet, name)(x, axis=axis)


def test_a_number_has_no_axis(subtests):
    for name in NAMES:
        with subtests.test(name=name), pytest.raises(ValueError, match="0 axes"):
            getattr(xpnet, name)(1.0)


@pytest.mark.parametrize("axis", [None, "a", 1.0, (0, 1)])
def test_an_axis_is_an_integer(axis):
    with pytest.raises(TypeError, match="`axis` must be an integer; got"):
        xpnet.softmax(np.zeros((2, 2)), axis=axis)


@pytest.mark.parametrize(
    ("shape", "axis", "slow"),
    [
        ((5, 10), -1, True),
        ((5, 10), 1, True),
        ((2, 5, 63), 2, True),
        ((5, 64), -1, False),
        ((5, 10), 0, False),
        ((2, 5, 10), 1, False),
        ((10,), -1, False),
    ],
)
def test_numpys_short_rows_are_slow(shape, axis, slow):
    assert _has_slow_rows(np.zeros(shape), np, axis) is slow


def test_rows_are_slow_in_numpy_alone(xp_backend):
    x = xp_backend.asarray(np.zeros((5, 10)))
    assert _has_slow_rows(x, xp_backend.xp, -1) == (xp_backend.name == "numpy")
