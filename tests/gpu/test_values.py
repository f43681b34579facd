"""Functions on a GPU against true values: every float16, and float32 of all magnitudes.

The tables of true values, the edges and the promotion of integers are covered by the tests of the
functions on all backends. These tests add millions of numbers, because the kernels are CUDA's, and
rows of every length, because reductions use several algorithms.
"""

import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import largest
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import (
    log_softmax_bound,
    logsumexp_bound,
    softmax_bound,
    sparsemax_bound,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of NumPy, of infinities and NaN
]

INF, NAN = math.inf, math.nan
N_PATTERNS = 2**21
DIGITS = {"float16": 11, "float32": 24}
# Lengths around those at which a reduction takes another way.
LENGTHS = (1, 2, 10, 31, 32, 33, 64, 256, 257, 1000, 1025, 4097, 70_000)
NAMES = sorted({row.name for row in ACTIVATIONS.values() if row.is_elementwise})
CASES: dict[str, tuple[str, dict[str, str]]] = {name: (name, {}) for name in NAMES} | {
    "gelu_tanh": ("gelu", {"approximate": "tanh"})
}


def skip_without(gpu, dtype):
    """Return the dtype, if the device has it."""
    if not hasattr(gpu.xp, dtype):
        pytest.skip(f"{gpu.library} has no {dtype}")
    return dtype


@pytest.fixture(params=["float32", "float64", "float16"])
def dtype(request, gpu):
    return skip_without(gpu, request.param)


def patterns(dtype, n):
    """Return numbers of all magnitudes: every float16, or a sample of float32's 2^32 patterns."""
    if dtype == "float16":
        return np.arange(2**16, dtype=np.uint16).view(np.float16)
    bits = np.random.default_rng(0).integers(0, 2**32, n, np.uint32)
    limits = np.finfo(np.float32)
    edges = np.asarray([0.0, -0.0, INF, -INF, NAN, limits.max, limits.tiny], np.float32)
    return np.concatenate([bits.view(np.float32), np.linspace(-20, 20, n // 4, dtype="f4"), edges])


@pytest.fixture(params=DIGITS)
def numbers(request, gpu, on_card):
    """Return numbers of all magnitudes on the host; few of float32 in a rehearsal."""
    return patterns(skip_without(gpu, request.param), N_PATTERNS if on_card else N_PATTERNS // 2**7)


def compute(name, x):
    """Return the values of a function by its name among the cases."""
    function, options = CASES[name]
    return getattr(xpnet, function)(x, **options)


def in_ulp(got, exact, dtype):
    """Return errors in ULP, and where they count: where the true value is a normal number.

    Below that, float32 may be flushed to zero, and errs by the smallest normal number at most;
    float16 is computed in float32.
    """
    limits = np.finfo(dtype)
    largest_one, digits = float(limits.max), DIGITS[dtype]
    ulp = np.ldexp(1.0, np.maximum(np.frexp(exact)[1], limits.minexp + 1) - digits)
    step = math.ldexp(1.0, int(limits.maxexp) - digits)
    beyond = largest_one + step / 2
    error = np.abs(got - exact) / ulp
    is_same = (got == exact) | (np.isnan(got) & np.isnan(exact))
    # What rounds to infinity must be infinity.
    is_same |= np.isinf(got) & (np.sign(got) == np.sign(exact)) & (np.abs(exact) >= beyond)
    is_lost = np.isnan(got) | np.isnan(exact) | ((np.abs(exact) >= beyond + step) & ~is_same)
    error = np.where(is_same, 0.0, np.where(is_lost, INF, error))
    counts = (np.abs(exact) >= float(limits.tiny)) | (dtype == "float16") | np.isnan(exact)
    return error, counts


@pytest.mark.parametrize("name", CASES)
def test_elementwise(gpu, here, note, name, numbers):
    x, short_dtype = numbers, numbers.dtype.name
    tiny = float(np.finfo(short_dtype).tiny)
    got = here(compute(name, gpu.asarray(x)), short_dtype).astype(np.float64)
    # NumPy's float64 values err by some ULP of float64, which are none of float32.
    exact = compute(name, x.astype(np.float64))
    if short_dtype == "float32":  # where a subnormal number may be taken for 0
        at_zero = compute(name, np.zeros(1))
        exact = np.where((np.abs(x) < tiny) & (got == at_zero), got, exact)
    error, counts = in_ulp(got, exact, short_dtype)
    note(name, short_dtype, float(np.max(error[counts])))
    worst = np.argmax(np.where(counts, error, 0.0))
    said = f"{name}({x[worst]!r}) gave {got[worst]!r}, true is {exact[worst]!r}"
    # A millionth for the error of the true values.
    function, options = CASES[name]
    bound = ACTIVATIONS[function].ulp_bound(gpu.library, short_dtype, **options)
    assert error[worst] <= bound + 1e-6, said
    assert np.all(np.abs(got - exact)[~counts] <= tiny)


def special_rows(n, dtype):
    """Return rows of this length by name, of kinds for which reductions were wrong."""
    random = np.random.default_rng(n)
    plain = random.normal(0, 3, n).astype(dtype)
    ends = {"first": 0, "middle": n // 2, "last": n - 1}
    rows = {
        "plain": plain,
        "all -inf": np.full(n, -INF),
        "all lowest": np.full(n, np.finfo(dtype).min),
        "all equal": np.zeros(n),
        "two largest": np.where(np.isin(np.arange(n), [n // 3, n - 1]), 50.0, plain),
    }
    for place, i in ends.items():
        for word, value, rest in (
            ("0 among -inf", 0.0, np.full(n, -INF)),
            ("-inf", -INF, plain),
            ("inf", INF, plain),
            ("nan", NAN, plain),
            ("nan among -inf", NAN, np.full(n, -INF)),
        ):
            row = rest.copy()
            row[i] = value
            rows[f"{word}, {place}"] = row
    rows["nan twice"] = np.where(np.isin(np.arange(n), [n // 2, n - 1]), NAN, plain)
    return list(rows), np.asarray(list(rows.values()), dtype)


@pytest.mark.parametrize("n", LENGTHS)
def test_the_largest_number_of_special_rows(gpu, here, n, dtype):
    names, rows = special_rows(n, dtype)
    x = gpu.asarray(rows)
    highest = here(gpu.xp.max(x, axis=-1, keepdims=True), dtype)
    np.testing.assert_array_equal(highest, np.max(rows, axis=-1, keepdims=True))
    across = here(gpu.xp.max(gpu.asarray(rows.T.copy()), axis=0), dtype)
    np.testing.assert_array_equal(across, np.max(rows, axis=-1))
    places = here(largest(x, gpu.xp), "int64")
    expected = np.argmax(rows, axis=-1)
    # Of several NaN, CuPy may name another one than the first.
    several = np.isnan(rows).sum(axis=-1) > 1
    assert np.all(np.isnan(rows[several, places[several]]))
    wrong = np.flatnonzero(~several & (places != expected))
    assert not wrong.size, {names[i]: (int(places[i]), int(expected[i])) for i in wrong}


def row_limit(name, rows, exact, library, dtype):
    """Return the absolute error bounds of the results of rows."""
    n = rows.shape[-1]
    x = rows.astype(np.float64)
    below = np.max(x, axis=-1, keepdims=True) - x
    tiny = float(np.finfo(dtype).tiny)
    if name == "softmax":
        return softmax_bound(below, n, library, dtype) * np.maximum(exact, tiny) + tiny
    if name == "log_softmax":
        return log_softmax_bound(below, n, library, dtype)
    if name == "logsumexp":
        return logsumexp_bound(exact, n, library, dtype)
    return np.full_like(x, sparsemax_bound(n, dtype))


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sparsemax"])
def test_functions_of_special_rows(gpu, here, name, n, dtype):
    names, rows = special_rows(n, dtype)
    function = getattr(xpnet, name)
    exact = function(rows.astype(np.float64))
    limit = row_limit(name, rows, exact, gpu.library, dtype)
    along = here(function(gpu.asarray(rows)), dtype)
    across = here(function(gpu.asarray(rows.T.copy()), axis=0), dtype)
    for got in (along, across if name == "logsumexp" else across.T):
        beyond = np.abs(exact) + limit > float(np.finfo(dtype).max)
        is_right = (got == exact) | (np.isnan(got) & np.isnan(exact))
        is_right |= np.abs(got.astype(np.float64) - exact) <= limit
        is_right |= np.isinf(got) & (np.sign(got) == np.sign(exact)) & beyond
        wrong = np.flatnonzero(~is_right.reshape(len(rows), -1).all(axis=1))
        assert not wrong.size, [names[i] for i in wrong]
