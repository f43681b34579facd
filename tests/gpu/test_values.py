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
CASES: list[tuple[str, dict[str, str]]] = [(name, {}) for name in NAMES] + [
    ("gelu", {"approximate": "tanh"})
]
# Around those at which a reduction takes another way.
LENGTHS = (1, 2, 31, 33, 257, 1025, 70_000)


def numbers(dtype):
    """Return every float16, or a million of float32's 2^32 patterns."""
    if dtype == "float16":
        return np.arange(2**16, dtype=np.uint16).view(np.float16)
    bits = np.random.default_rng(0).integers(0, 2**32, 2**20, np.uint32)
    return np.concatenate([bits.view(np.float32), np.linspace(-20, 20, 2**18, dtype=np.float32)])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_elementwise(gpu, here, name, options, dtype):
    x, limits = numbers(dtype), np.finfo(dtype)
    function, tiny = getattr(xpnet, name), float(limits.tiny)
    got = here(function(gpu.asarray(x), **options), dtype).astype(np.float64)
    exact = function(x.astype(np.float64), **options)
    at_zero = function(np.zeros(1), **options)
    # A subnormal x may be taken for 0, and a result below 2^-120 may be 0.
    slack = 2.0**-120 if dtype == "float32" else tiny
    is_right = (got == exact) | (np.isnan(got) & np.isnan(exact))
    is_right |= (np.abs(x) < tiny) & (got == at_zero)
    is_right |= (np.abs(exact) < slack) & (np.abs(got - exact) <= slack)
    top = float(limits.max)
    ulp = np.spacing(np.clip(np.abs(exact), tiny, top).astype(dtype)).astype(np.float64)
    beyond = np.abs(exact) >= top + float(np.spacing(limits.max)) / 2
    is_right |= beyond & np.isinf(got) & (np.sign(got) == np.sign(exact))
    # A millionth for the error of NumPy's float64.
    bound = ACTIVATIONS[name].ulp_bound(dtype) + 1e-6
    is_right |= np.abs(got - exact) <= bound * ulp
    wrong = np.flatnonzero(~is_right)
    assert not wrong.size, (x[wrong[0]], got[wrong[0]], exact[wrong[0]])


def special_rows(n, dtype):
    """Return rows of this length, of kinds for which reductions were wrong."""
    plain = np.random.default_rng(n).normal(0, 3, n).astype(dtype)
    rows = [plain, np.full(n, -np.inf), np.full(n, np.finfo(dtype).min), np.zeros(n)]
    for i in (0, n // 2, n - 1):
        for value, rest in ((0.0, np.full(n, -np.inf)), (-np.inf, plain), (np.inf, plain)):
            rows.append(np.where(np.arange(n) == i, value, rest))
        rows.append(np.where(np.arange(n) == i, np.nan, plain))
    return np.asarray(rows, dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_rows(gpu, here, n, dtype):
    rows = special_rows(n, dtype)
    x, exact = gpu.asarray(rows), rows.astype(np.float64)
    below = np.max(exact, axis=-1, keepdims=True) - exact
    tiny = float(np.finfo(dtype).tiny)
    truth = xpnet.softmax(exact)
    limit = softmax_bound(below, n, dtype) * np.maximum(truth, tiny) + tiny
    for function, expected, bound in (
        (xpnet.softmax, truth, limit),
        (xpnet.log_softmax, xpnet.log_softmax(exact), log_softmax_bound(below, n, dtype)),
    ):
        for got in (here(function(x), dtype), here(function(gpu.asarray(rows.T), axis=0), dtype).T):
            is_right = (got == expected) | (np.isnan(got) & np.isnan(expected))
            is_right |= np.abs(got.astype(np.float64) - expected) <= bound
            is_right |= np.isneginf(got) & (expected - bound < float(np.finfo(dtype).min))
            assert is_right.all(), np.flatnonzero(~is_right.all(axis=1))
