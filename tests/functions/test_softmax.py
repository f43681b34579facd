"""Softmax, log_softmax, sparsemax and logsumexp, on every backend."""

import math

import numpy as np
import pytest

import xpnet
from xpnet.functions.along_axis import _has_slow_rows

INF, NAN = math.inf, math.nan
LARGEST = float(np.finfo(np.float32).max)
ALONG_AXIS = {
    "softmax": xpnet.softmax,
    "log_softmax": xpnet.log_softmax,
    "sparsemax": xpnet.sparsemax,
}
NAMES = [*ALONG_AXIS, "logsumexp"]


def reference(x, axis):
    """Return softmax, log_softmax and logsumexp in float64."""
    shifted = x.astype(np.float64) - np.max(x, axis=axis, keepdims=True)
    log_sum = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    logs = shifted - log_sum
    peak = np.max(x, axis=axis, keepdims=True)
    return np.exp(logs), logs, np.squeeze(log_sum + peak, axis=axis)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(xp_backend, axis, dtype):
    x = np.random.default_rng(0).normal(0, 10, (3, 4, 5)).astype(dtype)
    probabilities, logs, log_sum = reference(x, axis)
    eps = np.finfo(dtype).eps
    # exp amplifies the rounding of x - max, up to half an ULP of a spread of some 60 nats.
    spread = np.max(x) - np.min(x)
    argument = xp_backend.asarray(x, dtype)
    np.testing.assert_allclose(
        xp_backend.check(xpnet.softmax(argument, axis=axis), dtype=dtype, shape=x.shape),
        probabilities,
        rtol=eps * (8 + spread),
    )
    np.testing.assert_allclose(
        xp_backend.check(xpnet.log_softmax(argument, axis=axis), dtype=dtype, shape=x.shape),
        logs,
        atol=eps * (8 + spread),
    )
    np.testing.assert_allclose(
        xp_backend.check(xpnet.logsumexp(argument, axis=axis), dtype=dtype, shape=log_sum.shape),
        log_sum,
        atol=eps * (8 + spread),
    )


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


def row_and_result(name, row):
    x, *results = ROWS[row]
    column = {"softmax": 0, "sparsemax": 0, "log_softmax": 1, "logsumexp": 2}[name]
    return x, np.asarray(results[column], np.float32)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", NAMES)
def test_edges(xp_backend, name, row):
    numbers, expected = row_and_result(name, row)
    # A second, plain row must not be affected.
    x = xp_backend.asarray([numbers, [0.0, 0.0]])
    shape = (2,) if name == "logsumexp" else (2, 2)
    values = xp_backend.check(getattr(xpnet, name)(x), dtype="float32", shape=shape)
    np.testing.assert_allclose(values[0], expected, rtol=1e-6)
    plain = {"log_softmax": -math.log(2), "logsumexp": math.log(2)}.get(name, 0.5)
    np.testing.assert_allclose(values[1], plain, rtol=1e-6)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", NAMES)
def test_edges_compiled_by_jax(name, row):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    numbers, expected = row_and_result(name, row)
    result = jax.jit(getattr(xpnet, name))(jax.numpy.asarray(numbers, dtype="float32"))
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-6)


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


@pytest.mark.parametrize("n", [1, 2, 5, 63, 64, 300])
@pytest.mark.parametrize("spread", [0.01, 1.0, 50.0])
def test_sparsemax_projects_onto_the_probabilities(xp_backend, n, spread):
    x = np.random.default_rng(n).normal(0, spread, (4, n)).astype(np.float32)
    values = xp_backend.check(
        xpnet.sparsemax(xp_backend.asarray(x)), dtype="float32", shape=x.shape
    )
    expected = [project(row) for row in x.astype(np.float64)]
    np.testing.assert_allclose(values, expected, atol=2e-7 * (1 + n / 8))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [63, 64])
def test_short_and_long_rows_are_the_columns_of_the_transpose(xp_backend, name, n):
    x = np.random.default_rng(2).normal(0, 5, (7, n)).astype(np.float32)
    function = getattr(xpnet, name)
    shape = (7,) if name == "logsumexp" else (7, n)
    rows = xp_backend.check(function(xp_backend.asarray(x)), dtype="float32", shape=shape)
    columns = xp_backend.check(
        function(xp_backend.asarray(x.T), axis=0), dtype="float32", shape=shape[::-1]
    )
    np.testing.assert_allclose(rows, columns.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALONG_AXIS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays_stay_empty(xp_backend, name, shape):
    result = ALONG_AXIS[name](xp_backend.asarray(np.zeros(shape)))
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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [2, -3, 7])
def test_axis_out_of_range_is_rejected(xp_backend, name, axis):
    x = xp_backend.asarray(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=f"`axis` must be one of the array's 2 axes; got {axis}"):
        getattr(xpnet, name)(x, axis=axis)


@pytest.mark.parametrize("name", NAMES)
def test_a_number_has_no_axis(name):
    with pytest.raises(ValueError, match="0 axes"):
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
