"""Properties of functions along an axis for random rows, on every backend."""

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import xpnet
from xpnet.arrays.namespace import library_of
from xpnet.functions.softmax import log_softmax_bound, softmax_bound, sparsemax_bound

EPS = float(np.finfo(np.float32).eps)
ALONG_AXIS = ("softmax", "log_softmax", "sparsemax")

# A backend is the same for all examples.
few = settings(
    derandomize=True,
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def rows(limit):
    """Draw rows that are short and rows that are not: some libraries have a way for each."""
    elements = st.floats(-3, 3, width=32) | st.floats(-limit, limit, width=32)
    return st.sampled_from([(5, 1), (4, 7), (2, 66)]).flatmap(
        lambda shape: hnp.arrays(np.float32, shape, elements=elements)
    )


def compute(xp_backend, name, x, **options):
    """Return a function's values in float64, and the name of the library."""
    argument = xp_backend.asarray(x)
    result = getattr(xpnet, name)(argument, **options)
    shape = x.shape[:-1] if name == "logsumexp" else x.shape
    values = xp_backend.check(result, dtype="float32", shape=shape)
    return values.astype(np.float64), library_of(argument)


def compute_each(xp_backend, names, x):
    """Return pairs of names and values, computed as one array: faster in Dask than many."""
    argument = xp_backend.asarray(x)
    results = xp_backend.xp.stack([getattr(xpnet, name)(argument) for name in names])
    values = xp_backend.check(results, dtype="float32", shape=(len(names), *x.shape))
    return zip(names, values.astype(np.float64), strict=True)


@few
@given(x=rows(10_000))
def test_probabilities_sum_to_one(xp_backend, x):
    for name, y in compute_each(xp_backend, ["softmax", "sparsemax"], x):
        assert np.min(y) >= 0
        n = x.shape[-1]
        # Sparsemax subtracts one rounded level from all numbers: their errors add up.
        bound = n * EPS if name == "softmax" else n * sparsemax_bound(n, "float32")
        assert np.max(np.abs(np.sum(y, axis=-1) - 1)) <= bound


@few
@given(x=rows(10_000))
def test_log_probabilities_are_at_most_zero(xp_backend, x):
    y, _ = compute(xp_backend, "log_softmax", x)
    assert np.max(y) <= 0


@few
@given(x=rows(10_000))
def test_the_order_is_kept(xp_backend, x):
    order = np.argsort(x, axis=-1)
    for _, y in compute_each(xp_backend, ALONG_AXIS, x):
        assert np.all(np.diff(np.take_along_axis(y, order, axis=-1), axis=-1) >= 0)


@few
@given(x=rows(1_000), shift=st.integers(-64, 64))
def test_a_shift_that_rounds_nothing_changes_nothing(xp_backend, x, shift):
    whole = np.round(x)
    both = np.stack([whole, whole + np.float32(shift)])
    for _, (y, shifted) in compute_each(xp_backend, ALONG_AXIS, both):
        np.testing.assert_array_equal(shifted, y)


@few
@given(x=rows(100), shift=st.floats(-1000, 1000))
def test_a_shift_changes_no_more_than_its_rounding(xp_backend, x, shift):
    # The moved logits are x + shift + d with |d| <= e, the rounding. Then the logarithm of a sum
    # of exponentials moves by shift and at most e, a log-probability by at most 2 e, and a
    # probability by the factor exp(2 e). To that come the errors of either computation.
    moved = (x + np.float32(shift)).astype(np.float32)
    d = moved.astype(np.float64) - x - float(np.float32(shift))
    e, n = np.max(np.abs(d), axis=-1, keepdims=True), x.shape[-1]
    below = np.max(x, axis=-1, keepdims=True) - x.astype(np.float64)
    y, library = compute(xp_backend, "softmax", x)
    z, _ = compute(xp_backend, "softmax", moved)
    own = softmax_bound(below + 2 * e, n, library, "float32")
    assert np.all(np.abs(z - y) <= np.maximum(y, z) * (np.expm1(2 * e) + 2 * own) + 1e-37)
    y, _ = compute(xp_backend, "log_softmax", x)
    z, _ = compute(xp_backend, "log_softmax", moved)
    own = log_softmax_bound(below + 2 * e, n, library, "float32")
    assert np.all(np.abs(z - y) <= 2 * e + 2 * own)
    y, _ = compute(xp_backend, "logsumexp", x)
    z, _ = compute(xp_backend, "logsumexp", moved)
    # As log_softmax of the peak itself, and the rounding when the peak is added.
    own = log_softmax_bound(0.0, n, library, "float32") + EPS * np.maximum(np.abs(y), np.abs(z))
    assert np.all(np.abs(z - y - float(np.float32(shift))) <= e[:, 0] + 2 * own)


@few
@given(x=rows(100), shift=st.floats(-1000, 1000))
def test_a_shift_of_sparsemax_changes_no_more_than_its_rounding(xp_backend, x, shift):
    # A projection moves no farther than what it projects: |d| <= sqrt(n) e. The errors of either
    # computation are those of sums of up to n numbers between -1 and 1, below 2 n eps.
    moved = (x + np.float32(shift)).astype(np.float32)
    d = moved.astype(np.float64) - x - float(np.float32(shift))
    y, _ = compute(xp_backend, "sparsemax", x)
    z, _ = compute(xp_backend, "sparsemax", moved)
    n = x.shape[-1]
    assert np.max(np.abs(z - y)) <= np.sqrt(n) * np.max(np.abs(d)) + 2 * 2 * n * EPS


@few
@given(x=rows(1_000))
def test_log_softmax_is_the_logit_less_the_logarithm_of_the_sum(xp_backend, x):
    logs, library = compute(xp_backend, "log_softmax", x)
    total, _ = compute(xp_backend, "logsumexp", x)
    below = np.max(x, axis=-1, keepdims=True) - x.astype(np.float64)
    limit = 2 * log_softmax_bound(below, x.shape[-1], library, "float32")
    expected = x.astype(np.float64) - total[:, None]
    assert np.all(np.abs(logs - expected) <= limit + EPS * np.abs(total)[:, None])


@few
@given(x=rows(10_000))
def test_sparsemax_cuts_off_what_lies_one_below(xp_backend, x):
    y, _ = compute(xp_backend, "sparsemax", x)
    below = np.max(x, axis=-1, keepdims=True).astype(np.float64) - x
    assert np.all(y[below >= 1] == 0)
    assert np.all(y[below == 0] > 0)


def test_the_sum_of_a_long_row_of_sparsemax(xp_backend):
    x = np.zeros((1, 66), np.float32)
    x[0, 0] = 0.49627575  # was found to be off by 2.5e-5, more than 66 eps
    y, _ = compute(xp_backend, "sparsemax", x)
    assert abs(np.sum(y) - 1) <= 66 * sparsemax_bound(66, "float32")
