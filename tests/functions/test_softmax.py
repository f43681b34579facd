"""Softmax, log_softmax and logsumexp, on every backend."""

import math

import numpy as np
import pytest
from function_cases import assert_near

import xpnet

# Dask computes when the functions, which compute with warnings off, have returned.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:dask")
INF, NAN = math.inf, math.nan
LARGEST = float(np.finfo(np.float32).max)
NAMES = ["softmax", "log_softmax", "logsumexp"]


def reference(x, axis):
    """Return softmax, log_softmax and logsumexp in float64."""
    peak = np.max(x.astype(np.float64), axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - peak), axis=axis, keepdims=True)) + peak
    return np.exp(x - total), x - total, np.squeeze(total, axis=axis)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (7, 63), (7, 64)], ids=str)
def test_values_along_each_axis(xp_backend, dtype, shape, subtests):
    x = np.random.default_rng(0).normal(0, 10, shape).astype(dtype)
    # exp amplifies the rounding of x - max, up to half an ULP of a spread of some 60 nats.
    near = np.finfo(dtype).eps * (8 + np.max(x) - np.min(x))
    argument = xp_backend.asarray(x, dtype)
    for axis in [*range(len(shape)), -1, -len(shape)]:
        with subtests.test(axis=axis):
            for name, values in zip(NAMES, reference(x, axis), strict=True):
                result = getattr(xpnet, name)(argument, axis=axis)
                found = xp_backend.check(result, dtype=dtype, shape=values.shape)
                seen = np.max(x, axis=axis) if name == "logsumexp" else x
                limit = {"rtol" if name == "softmax" else "atol": near}
                assert_near(seen, found, values, **limit)


NANS, HALVES, LOGS = [NAN, NAN], [0.5, 0.5], [-math.log(2), -math.log(2)]
# Rows, and their softmax, log_softmax and logsumexp.
ROWS = {
    "plain": ([0.0, 0.0], HALVES, LOGS, math.log(2)),
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
X = [row for row, *_ in ROWS.values()]


def check_edges(name, values, subtests):
    for (row, expected), value in zip(ROWS.items(), values, strict=True):
        with subtests.test(name=name, row=row):
            np.testing.assert_allclose(value, expected[1 + NAMES.index(name)], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_edges(xp_backend, name, subtests):
    result = getattr(xpnet, name)(xp_backend.asarray(X))
    shape = (len(X),) if name == "logsumexp" else (len(X), 2)
    check_edges(name, xp_backend.check(result, dtype="float32", shape=shape), subtests)


@pytest.mark.parametrize("name", NAMES)
def test_edges_compiled_by_jax(name, subtests):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    x = jax.numpy.asarray(X, dtype="float32")
    check_edges(name, np.asarray(jax.jit(getattr(xpnet, name))(x)), subtests)


@pytest.mark.parametrize("n", [1, 7, 66])
def test_properties_of_random_rows(xp_backend, n):
    random = np.random.default_rng(n)
    x = random.normal(0, 10.0 ** random.uniform(-2, 3, (40, 1)), (40, n)).round(3)
    x = np.sort(x.astype(np.float32), axis=-1)
    whole = np.round(x)
    argument = xp_backend.asarray(np.stack([x, whole, whole + np.float32(64)]))
    for function in (xpnet.softmax, xpnet.log_softmax):
        y, *shifted = xp_backend.check(function(argument), dtype="float32", shape=(3, 40, n))
        # A shift that rounds nothing changes nothing, and the order is kept.
        np.testing.assert_array_equal(*shifted)
        assert np.all(np.diff(y, axis=-1) >= 0)
        if function is xpnet.log_softmax:
            assert np.max(y) <= 0
            continue
        assert np.min(y) >= 0
        assert np.max(np.abs(np.sum(y, axis=-1, dtype=float) - 1)) <= n * 2.0**-23


@pytest.mark.parametrize("spread", [0.1, 5.0])
def test_a_float16_softmax_of_many_classes(xp_backend, spread):
    if not hasattr(xp_backend.xp, "float16"):
        pytest.skip("the backend has no float16")
    x = np.random.default_rng(1).uniform(-spread, 0, (2, 10_000)).astype(np.float16)
    result = xpnet.softmax(xp_backend.asarray(x, "float16"))
    found = xp_backend.check(result, dtype="float16", shape=x.shape).astype(np.float64)
    exact = reference(x, -1)[0]
    assert np.max(np.abs(found - exact) / np.spacing(exact.astype(np.float16))) <= 1
    # A sum in float16 would stop at a few thousand.
    assert np.sum(found, axis=-1) == pytest.approx(1.0, abs=0.01)


def test_empty_arrays_and_kept_axes(xp_backend):
    for shape in [(0, 3), (3, 0), (2, 0, 3)]:
        x = xp_backend.asarray(np.zeros(shape))
        for function in (xpnet.softmax, xpnet.log_softmax):
            xp_backend.check(function(x), dtype="float32", shape=shape)
    for shape, axis, value in [((3, 0), 1, -INF), ((2, 3), 0, math.log(2))]:
        x = xp_backend.asarray(np.zeros(shape))
        for keepdims in (False, True):
            expected = np.sum(np.zeros(shape), axis, keepdims=keepdims) + value
            result = xpnet.logsumexp(x, axis=axis, keepdims=keepdims)
            found = xp_backend.check(result, dtype="float32", shape=expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
