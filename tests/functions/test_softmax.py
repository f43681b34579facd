"""Softmax, log_softmax and logsumexp, on every backend."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import xpnet

INF, NAN = math.inf, math.nan
LARGEST = float(np.finfo(np.float32).max)
ALONG_AXIS = {"softmax": xpnet.softmax, "log_softmax": xpnet.log_softmax}


def reference(x, axis):
    """Return softmax, log_softmax and logsumexp in float64."""
    shifted = x.astype(np.float64) - np.max(x, axis=axis, keepdims=True)
    log_sum = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    logs = shifted - log_sum
    peak = np.max(x, axis=axis, keepdims=True)
    return np.exp(logs), logs, np.squeeze(log_sum + peak, axis=axis)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(backend, axis, dtype):
    x = np.random.default_rng(0).normal(0, 10, (3, 4, 5)).astype(dtype)
    probabilities, logs, log_sum = reference(x, axis)
    eps = np.finfo(dtype).eps
    # The rounding of x - max, up to half an ULP of a spread of some 60 nats, is amplified by exp.
    spread = np.max(x) - np.min(x)
    argument = backend.asarray(x, dtype)
    np.testing.assert_allclose(
        backend.check(xpnet.softmax(argument, axis=axis), dtype=dtype, shape=x.shape),
        probabilities,
        rtol=eps * (8 + spread),
    )
    np.testing.assert_allclose(
        backend.check(xpnet.log_softmax(argument, axis=axis), dtype=dtype, shape=x.shape),
        logs,
        atol=eps * (8 + spread),
    )
    np.testing.assert_allclose(
        backend.check(xpnet.logsumexp(argument, axis=axis), dtype=dtype, shape=log_sum.shape),
        log_sum,
        atol=eps * (8 + spread),
    )


ROWS = {
    "large": [1000.0, 1000.0],
    "nan": [NAN, 0.0],
    "inf": [INF, 0.0],
    "two infs": [INF, INF],
    "inf and -inf": [INF, -INF],
    "one -inf": [-INF, 0.0],
    "all -inf": [-INF, -INF],
    "the whole range": [-LARGEST, LARGEST],
    "all lowest": [-LARGEST, -LARGEST],
}
NANS = [NAN, NAN]
EXPECTED = {
    "softmax": {
        "large": [0.5, 0.5],
        "nan": NANS,
        "inf": NANS,
        "two infs": NANS,
        "inf and -inf": NANS,
        "one -inf": [0, 1],
        "all -inf": NANS,
        "the whole range": [0, 1],
        "all lowest": [0.5, 0.5],
    },
    "log_softmax": {
        "large": [-math.log(2), -math.log(2)],
        "nan": NANS,
        "inf": NANS,
        "two infs": NANS,
        "inf and -inf": NANS,
        "one -inf": [-INF, 0],
        "all -inf": NANS,
        "the whole range": [-INF, 0],
        "all lowest": [-math.log(2), -math.log(2)],
    },
    "logsumexp": {
        "large": 1000 + math.log(2),
        "nan": NAN,
        "inf": INF,
        "two infs": INF,
        "inf and -inf": INF,
        "one -inf": 0,
        "all -inf": -INF,
        "the whole range": LARGEST,
        "all lowest": -LARGEST,
    },
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_edges_give_no_warning_and_the_stated_values(backend, name, row):
    # The row stands beside a plain one, which it must leave alone.
    x = backend.asarray([ROWS[row], [0.0, 0.0]])
    shape = (2,) if name == "logsumexp" else (2, 2)
    values = backend.check(getattr(xpnet, name)(x), dtype="float32", shape=shape)
    expected = np.asarray(EXPECTED[name][row], np.float32)
    np.testing.assert_allclose(values[0], expected, rtol=1e-6)
    plain = {"softmax": 0.5, "log_softmax": -math.log(2), "logsumexp": math.log(2)}[name]
    np.testing.assert_allclose(values[1], plain, rtol=1e-6)


@pytest.mark.parametrize("name", ALONG_AXIS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays_stay_empty(backend, name, shape):
    result = ALONG_AXIS[name](backend.asarray(np.zeros(shape)))
    backend.check(result, dtype="float32", shape=shape)


def test_logsumexp_of_nothing_is_minus_infinity(backend):
    result = xpnet.logsumexp(backend.asarray(np.zeros((3, 0))))
    np.testing.assert_array_equal(backend.check(result, dtype="float32", shape=(3,)), [-INF] * 3)


def test_logsumexp_keeps_the_axis_when_asked(backend):
    x = backend.asarray(np.zeros((2, 3)))
    result = backend.check(xpnet.logsumexp(x, axis=0, keepdims=True), dtype="float32", shape=(1, 3))
    np.testing.assert_allclose(result, math.log(2), rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("axis", [2, -3, 7])
def test_axis_out_of_range_is_refused(backend, name, axis):
    x = backend.asarray(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=f"`axis` must be one of the array's 2 axes; got {axis}"):
        getattr(xpnet, name)(x, axis=axis)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_a_number_has_no_axis(name):
    with pytest.raises(ValueError, match="0 axes"):
        getattr(xpnet, name)(1.0)


logits = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=20),
    elements=st.floats(-1e4, 1e4, width=32),
)


@given(logits)
def test_softmax_rows_sum_to_one(x):
    total = np.sum(xpnet.softmax(x), axis=-1, dtype=np.float64)
    assert np.all(np.abs(total - 1) <= x.shape[-1] * np.finfo(np.float32).eps)


@given(logits, st.integers(-64, 64))
def test_softmax_is_shift_invariant(x, shift):
    whole = np.round(x)  # so that the shift itself rounds nothing
    np.testing.assert_array_equal(xpnet.softmax(whole + shift), xpnet.softmax(whole))


@given(logits)
def test_softmax_keeps_the_order(x):
    np.testing.assert_array_equal(
        np.take_along_axis(xpnet.softmax(x), np.argmax(x, -1)[:, None], -1)[:, 0],
        np.max(xpnet.softmax(x), -1),
    )


@pytest.mark.parametrize("axis", [None, "a", 1.0, (0, 1)])
def test_an_axis_is_a_whole_number(axis):
    with pytest.raises(TypeError, match="`axis` must be a whole number; got"):
        xpnet.softmax(np.zeros((2, 2)), axis=axis)
