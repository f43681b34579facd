"""Allowed errors: computation, limits, and messages about deviations."""

import math

import numpy as np
import pytest

from xpnet.testing.tolerance import AllowedError, Tolerance, describe_deviation, spacing

TINY = float(np.finfo("float32").smallest_normal)
EPS = 2.0**-23


@pytest.mark.parametrize(
    ("exact", "dtype", "ulp"),
    [
        (1.0, "float32", 2.0**-23),
        (-1.5, "float32", 2.0**-23),
        (2.0, "float64", 2.0**-51),
        (4.0, "float16", 2.0**-8),
        (0.0, "float32", 2.0**-149),
        (1e300, "float32", 2.0**104),
        (math.inf, "float32", 2.0**104),
    ],
)
def test_spacing(exact, dtype, ulp):
    assert spacing(exact, dtype) == ulp


def test_a_bound_in_ulp_grows_with_the_result():
    limit = Tolerance(3).allowed_error(np.asarray([1.0, 1024.0]), "float32", [])
    np.testing.assert_array_equal(limit.error, [3 * EPS + TINY, 3 * 1024 * EPS + TINY])
    assert limit.words == "3 ULP of float32"


def test_absolute_errors_are_as_given():
    limit = Tolerance([0.5, math.inf]).allowed_error(np.zeros((3, 2)), "float32", [])
    np.testing.assert_array_equal(limit.error, [[0.5 + TINY, math.inf]] * 3)
    assert limit.words == "`bound`"


def test_absolute_errors_for_float64_are_coarser_in_float32():
    limit = Tolerance(np.asarray(1e-12)).allowed_error(np.zeros(1), "float32", [], is_rounded=True)
    np.testing.assert_array_equal(limit.error, 1e-12 * 2**29 + TINY)
    assert limit.words == "`bound` times 5.36871e+08, for lack of float64"


@pytest.mark.parametrize(
    ("tolerance", "arguments", "n", "scale", "word"),
    [
        (Tolerance(), [np.full((2, 9), 3.0), 1e30], 9, 3.0, "the longest axis"),
        (Tolerance(), [np.asarray([True])], 2, 1.0, "the longest axis"),
        (Tolerance(), [np.asarray([-math.inf, -7.0, math.nan])], 3, 7.0, "the longest axis"),
    ],
)
def test_the_bound_by_a_count(tolerance, arguments, n, scale, word):
    limit = tolerance.allowed_error(np.asarray([0.0, 0.5]), "float32", arguments)
    np.testing.assert_allclose(limit.error, [8 * math.sqrt(n) * EPS * scale + TINY] * 2, rtol=1e-15)
    words = f"8 * sqrt(n) * eps * scale, n = {n} ({word}), eps = 1.19e-07, scale = {scale:g}"
    assert limit.words == words


def test_empty_results_have_no_deviation():
    limit = Tolerance().allowed_error(np.zeros((0, 3)), "float32", [np.zeros(0)])
    assert limit.error.shape == (0, 3)
    assert describe_deviation(np.zeros((0, 3)), np.zeros((0, 3)), limit, "float32") is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bound": 1, "atol": 1}, TypeError, "`bound` and `rtol` or `atol` must not both"),
        ({"bound": "tight"}, TypeError, "`bound` must be a number of ULP or an array.*; got str"),
        ({"bound": True}, TypeError, "`bound` must be a number of ULP or an array.*; got bool"),
        ({"bound": np.asarray(["a"])}, TypeError, "`bound` must be a number .*; got dtype <U1"),
        ({"bound": [1j]}, TypeError, "`bound` must be a number .*; got dtype complex128"),
        ({"bound": -1}, ValueError, "`bound` must be finite, 0 or more; got -1"),
        ({"bound": math.nan}, ValueError, "`bound` must be finite, 0 or more; got nan"),
        ({"bound": math.inf}, ValueError, "`bound` must be finite, 0 or more; got inf"),
        ({"bound": [1.0, -2.0]}, ValueError, "`bound` must hold absolute errors.*; got -2.0"),
        ({"bound": [math.nan]}, ValueError, "`bound` must hold absolute errors.*; got nan"),
    ],
)
def test_invalid_bounds_are_rejected(options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        Tolerance(**options)


def test_a_bound_that_does_not_fit_is_rejected():
    with pytest.raises(ValueError, match=r"`bound` must fit the result's shape \(3,\); got .*\(2,"):
        Tolerance([1.0, 2.0]).allowed_error(np.zeros(3), "float32", [])


TOP = float(np.finfo("float32").max)


@pytest.mark.parametrize(
    ("actual", "exact"),
    [
        (1.25, 1.0),
        (math.nan, math.nan),
        (math.inf, math.inf),
        (math.inf, 1e39),
    ],
)
def test_within_the_bound(actual, exact):
    limit = AllowedError(np.asarray([0.25]), "")
    assert describe_deviation(np.asarray([actual]), np.asarray([exact]), limit, "float32") is None


@pytest.mark.parametrize(
    ("actual", "exact"),
    [
        (1.26, 1.0),
        (0.0, math.nan),
        (math.nan, 0.0),
        (math.inf, 1e30),
        (math.inf, -1e39),
        (TOP, math.inf),
        (-math.inf, math.inf),
    ],
)
def test_out_of_the_bound(actual, exact):
    limit = AllowedError(np.asarray([0.25]), "words")
    fault = describe_deviation(np.asarray([actual]), np.asarray([exact]), limit, "float32")
    assert fault.startswith(f"1 of 1 values out of bound, the worst at [0]: {actual:.9g} instead")
    assert fault.endswith(f"instead of {exact:.9g}, the bound is 0.25 (words)") or "ULP" in fault


def test_a_result_may_round_to_infinity_from_within_its_bound():
    limit = AllowedError(np.asarray([2.0**104]), "")
    assert describe_deviation(np.asarray([-math.inf]), np.asarray([-TOP]), limit, "float32") is None


def test_an_infinite_bound_allows_all_but_nan():
    limit = AllowedError(np.asarray([math.inf]), "")
    assert describe_deviation(np.asarray([math.inf]), np.asarray([1.0]), limit, "float32") is None
    assert (
        describe_deviation(np.asarray([math.nan]), np.asarray([1.0]), limit, "float32") is not None
    )


def test_the_message_shows_the_largest_excess():
    limit = AllowedError(np.asarray([[1.0, 0.001]]), "words")
    fault = describe_deviation(np.asarray([[3.0, 1.5]]), np.asarray([[0.0, 1.0]]), limit, "float32")
    assert fault == (
        "2 of 2 values out of bound, the worst at [0, 1]: 1.5 instead of 1,"
        " off by 0.5 (4.19e+06 ULP), the bound is 0.001 (words)"
    )


def test_a_single_value_has_no_index():
    fault = describe_deviation(
        np.asarray(2.0), np.asarray(1.0), AllowedError(np.asarray(0.0), ""), "float64"
    )
    assert "the worst: 2 instead of 1, off by 1 (4.5e+15 ULP)" in fault
