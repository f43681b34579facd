"""Functions on a GPU against NumPy's float64: every float16, and float32 of all magnitudes.

The tables of true values are covered by the tests of the functions on all backends.
"""

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import log_softmax_bound, softmax_bound

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of NumPy, of infinities and NaN
]

NAMES = sorted({row.name for row in ACTIVATIONS.values() if row.is_elementwise})
CASES = [(name, "none") for name in NAMES] + [("gelu", "tanh")]


def numbers(dtype):
    """Return every float16, or a million of float32's 2^32 patterns."""
    if dtype == "float16":
        return np.arange(2**16, dtype=np.uint16).view(np.float16)
    bits = np.random.default_rng(0).integers(0, 2**32, 2**20, np.uint32)
    return np.concatenate([bits.view(np.float32), np.linspace(-20, 20, 2**18, dtype=np.float32)])


def is_within(got, expected, bound):
    """Return where numbers are as close as a bound, or equally infinite, or both NaN."""
    is_same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    return is_same | (np.abs(got.astype(np.float64) - expected) <= bound)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(("name", "approximate"), CASES)
def test_elementwise(gpu, here, name, approximate, dtype):
    x, function, limits = numbers(dtype), getattr(xpnet, name), np.finfo(dtype)
    options = {"approximate": approximate} if name == "gelu" else {}
    got = here(function(gpu.asarray(x), **options), dtype)
    exact, at_zero = (function(y, **options) for y in (x.astype(np.float64), np.zeros(1)))
    tiny, top = float(limits.tiny), float(limits.max)
    ulp = np.spacing(np.clip(np.abs(exact), tiny, top).astype(dtype)).astype(np.float64)
    # A millionth for the error of NumPy's float64.
    bound = (ACTIVATIONS[name].ulp_bound(dtype) + 1e-6) * ulp
    # A subnormal x may be taken for 0, and a result below 2^-120 may be 0.
    slack = 2.0**-120 if dtype == "float32" else tiny
    is_right = is_within(
        got, exact, np.where(np.abs(exact) < slack, np.maximum(bound, slack), bound)
    )
    is_right |= (np.abs(x) < tiny) & (got == at_zero)
    beyond = np.abs(exact) >= top + float(np.spacing(limits.max)) / 2
    is_right |= beyond & np.isinf(got) & (np.sign(got) == np.sign(exact))
    wrong = np.flatnonzero(~is_right)
    assert not wrong.size, (x[wrong[0]], got[wrong[0]], exact[wrong[0]])


def special_rows(n, dtype):
    """Return rows of this length, of kinds for which reductions were wrong."""
    plain = np.random.default_rng(n).normal(0, 3, n).astype(dtype)
    low = np.full(n, -np.inf)
    rows = [plain, low, np.full(n, np.finfo(dtype).min), np.zeros(n)]
    for i in (0, n // 2, n - 1):
        for value, rest in ((0.0, low), (-np.inf, plain), (np.inf, plain), (np.nan, plain)):
            rows.append(np.where(np.arange(n) == i, value, rest))
    return np.asarray(rows, dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 31, 33, 257, 1025, 70_000])  # a reduction takes other ways
def test_rows(gpu, here, n, dtype):
    rows, limits = special_rows(n, dtype), np.finfo(dtype)
    x, exact, tiny = gpu.asarray(rows), rows.astype(np.float64), float(limits.tiny)
    below = np.max(exact, axis=-1, keepdims=True) - exact
    truth, logarithms = xpnet.softmax(exact), xpnet.log_softmax(exact)
    limit = softmax_bound(below, n, dtype) * np.maximum(truth, tiny) + tiny
    for function, expected, bound in (
        (xpnet.softmax, truth, limit),
        (xpnet.log_softmax, logarithms, log_softmax_bound(below, n, dtype)),
    ):
        for got in (here(function(x), dtype), here(function(gpu.asarray(rows.T), axis=0), dtype).T):
            is_right = is_within(got, expected, bound)
            is_right |= np.isneginf(got) & (expected - bound < float(limits.min))
            assert is_right.all(), np.flatnonzero(~is_right.all(axis=1))
