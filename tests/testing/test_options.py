"""Options of parity: bounds, expected results, comparisons, dtypes and sweeps."""

import math

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace as ns
from xpnet.testing import parity

pytest.importorskip("array_api_strict")
STRICT = ["numpy", "array-api-strict"]
X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def softmax(x):
    xp = ns(x)
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


@pytest.mark.filterwarnings("ignore:overflow encountered in multiply")
def test_numbers_beyond_the_range_are_infinite(xp_backend):
    x = np.asarray([1e30, -1e30, 1.0], "float32")
    parity(bound=np.full(3, math.inf), backends=["numpy"])(lambda x: x * 1e30 * 1e-30, x)
    parity(backends=[xp_backend.name])(lambda x: x * 1e30, x)


def test_float64_is_rounded_on_devices_without_it():
    # With the unrounded argument, the result would be off by 0.1.
    x = np.asarray([0.1 + 2.0**-30])
    parity(bound=[1e-3], backends=["array-api-strict:no_float64"])(lambda x: (x - 0.1) * 2.0**30, x)


def test_the_dtype_of_results_can_be_given(assert_fails):
    def pixels(x):
        return ns(x).astype(x, ns(x).float32) / 255.0

    x = np.arange(4, dtype="uint8")
    assert_fails(r"on numpy.* dtype float64; got float32.*parity\(dtype", pixels, x)
    for dtype in ("float32", np.float32):
        parity(dtype=dtype, backends=STRICT)(pixels, x)


def test_float32_arguments_have_float32_errors():
    widened = lambda x: ns(x).astype(x / 3.0, ns(x).float64)
    parity(dtype="float64", backends=["array-api-strict:device1"])(widened, X)


@pytest.mark.parametrize("options", [{"bound": 2}, {"bound": [1e-6]}, {"rtol": 1e-6}, {}])
def test_each_bound_detects_larger_errors(options, only_on, assert_fails):
    x = np.asarray([0.5, 1.0], "float32")
    wrong = only_on("strict", lambda x: x, lambda x: x * (1.0 + 2.0**-15))
    message = assert_fails("2 of 2 values out of bound", wrong, x, **options)
    assert ", array-api-strict:device1, " in message
    for right in ({"bound": np.full(2, 2.0**-15)}, {"rtol": 2.0**-15}, {"atol": 2.0**-15}):
        parity(backends=STRICT, **right)(wrong, x)


@pytest.mark.parametrize("other", [1e30, np.arange(0, 2000, 7)], ids=["number", "indices"])
def test_the_default_bound_is_that_of_floating_point_arrays(other, assert_fails):
    def wrong(x, _):
        return x + 0.02 * ("strict" in ns(x).__name__)

    assert_fails("out of bound", wrong, X, other)


def test_the_bound_of_a_sum_over_all_axes_counts_all_its_numbers(only_on, assert_fails):
    x, drift = np.full((60, 60), 0.1, "float32"), 2e-3  # less than 8 * sqrt(3600) * eps * 360
    total = lambda x: ns(x).sum(x)
    parity(backends=STRICT)(only_on("strict", total, lambda x: total(x) + drift), x)
    assert_fails("n = 3600", only_on("strict", total, lambda x: total(x) + 15 * drift), x)


def test_a_variant_of_one_number_has_the_bound_of_the_arguments(only_on):
    off = 8 * 3 * 2.0**-52  # more than 8 * eps, the bound of one number
    shifted = only_on("strict", lambda x: x * 1.0, lambda x: x * (1.0 + off))
    parity(backends=STRICT, shapes="0d")(shifted, np.linspace(1.0, 1.2, 25))


# The function, the array, and whether the default bound is coarse.
BOUNDS = {
    "small results": (lambda x: x / 1e6, [1e6, 1.0], True),
    "one large number": (lambda x: x + 1.0, [1e6, 1.0, 1.0], True),
    "differences": (lambda x: x - ns(x).mean(x, axis=0), 1e4 + X[:, :3].repeat(20, axis=0), True),
    "tiny": (lambda x: x * 2.0, np.full(3, 2.0**-126), False),
    "zero": (lambda x: x * 2.0, np.zeros(3), False),
    "large": (lambda x: x * 2.0, [*X[0], 300.0], False),
}


@pytest.mark.parametrize(("function", "x", "is_coarse"), BOUNDS.values(), ids=BOUNDS)
def test_a_coarse_bound_causes_a_warning(recwarn, function, x, is_coarse):
    parity(backends=STRICT)(function, np.asarray(x, "float32"))
    found = [(str(x.message).partition(": ")[0], x.filename) for x in recwarn]
    assert found == [("the bound is coarse", __file__)] * is_coarse


def test_sweeps_without_effect_cause_a_warning():
    with pytest.warns(UserWarning, match="sweeps change nothing"):
        parity(specials=True, backends=STRICT)(lambda x: x + 1, np.arange(3))


@pytest.mark.parametrize("expected", [X * 2.0, lambda x: x * 2.0], ids=["array", "function"])
def test_expected_results_may_be_independent(expected, assert_fails):
    parity(expected=expected, backends=STRICT)(lambda x: x + x, X)
    assert_fails("on 5 of 5 backends:\n  numpy, arr", lambda x: x * 3.0, X, expected=expected)


def test_expected_results_are_in_float64(assert_fails):
    def third(x):
        return ns(x).astype(x, ns(x).float32) / 3.0

    x = np.asarray([1], "uint8")
    nearest = abs(float(np.float32(1) / np.float32(3)) - 1 / 3)
    for dtype in ("uint8", "float32"):
        options = {"expected": [1 / 3], "dtype": "float32", "backends": STRICT}
        parity(bound=[1.01 * nearest], **options)(third, x.astype(dtype))
        assert_fails("numpy", third, x.astype(dtype), bound=[0.99 * nearest], **options)
    assert_fails("instead of 1.5", lambda x: x * 1, np.asarray([1]), expected=[1.5])


def test_an_expected_function_that_fails_or_does_not_fit_is_named(assert_fails):
    wrong = lambda x, axis: x * axis
    assert_fails("^`expected` fails .*: TypeErr", wrong, X, keywords={"axis": 1}, expected=np.exp)
    for expected in (X[0], lambda x: (x, x)):
        assert_fails("as `expected`", softmax, X, expected=expected)


@pytest.mark.parametrize(
    ("compare", "change"),
    [(np.abs, lambda x: -x), (np.sort, lambda x: ns(x).flip(x, axis=-1))],
    ids=["sign", "order"],
)
def test_results_may_differ_in_sign_or_order(compare, change, only_on, assert_fails):
    function = only_on("strict", lambda x: x * 1.0, change)
    for x in (X, np.where(X > 1.0, np.nan, X)):
        parity(compare=compare, backends=STRICT, lazy=False)(function, x)
    assert_fails("out of bound", function, X)
    shifted = only_on("strict", lambda x: x * 1.0, lambda x: x + 2.0)
    assert_fails("out of bound", shifted, X, compare=compare)


def test_compared_results_may_have_another_dtype_or_shape(only_on, assert_fails):
    integers = np.asarray([0, 0])
    with np.errstate(all="ignore"):
        parity(compare=lambda x: x / x, backends=STRICT)(lambda x: x + 0, integers)
    parity(compare=lambda x: x > 0, backends=STRICT)(softmax, X)
    different = only_on(
        "strict", lambda x: x + 0, lambda x: x + ns(x).asarray([0, 1], device=x.device)
    )
    assert_fails("shape", different, integers, compare=np.unique)


def test_sweeps_repeat_the_call(only_on, assert_fails):
    def reciprocal(x):
        return 1.0 / ns(x).where(x == 0, 1.0, x) if x.size else ns(x).zeros(3)

    message = assert_fails(r"\(empty\): ", reciprocal, X, shapes="0d,empty,batched", dtypes="float")
    assert "(0d" not in message
    parity(shapes="0d,batched", dtypes="float", specials=True, backends=STRICT)(reciprocal, X)
    wrong = only_on("strict", lambda x: x * 1.0, lambda x: x[None, ...])
    assert_fails(r"strict \(all variants\), ", wrong, np.asarray(1.0), dtypes="float")


def test_a_failure_on_numpy_in_a_sweep_is_a_fault(assert_fails):
    first = lambda x: x[0, ...] * 1.0
    message = assert_fails(r"fails on 1 of .*:\n  numpy \(0d\): the", first, X, shapes="0d")
    assert "It is right" not in message  # no other backend ran the variant


def test_a_batch_holds_two_entries(assert_fails):
    def standardized(x):
        return x / ns(x).max(ns(x).abs(x))

    def expected(x):
        return x / np.abs(x).max(axis=(-2, -1), keepdims=True)

    parity(shapes="batched", backends=STRICT)(standardized, X)
    assert_fails(r"numpy \(batched\)", standardized, X, expected=expected, shapes="batched")
