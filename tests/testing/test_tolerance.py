"""Allowed errors: computation, limits, and messages about deviations."""

import math

import numpy as np
import pytest

from xpnet.testing.tolerance import Tolerance

TINY = float(np.finfo("float32").smallest_normal)
TOP = float(np.finfo("float32").max)
EPS = 2.0**-23


INFINITE = np.asarray([-math.inf, -7.0, math.nan])


@pytest.mark.parametrize(
    ("options", "arrays", "errors", "words"),
    [
        ({"bound": 3}, [], [3 * EPS, 3 * 1024 * EPS], "3 ULP"),
        ({"bound": [0.5, math.inf]}, [], [0.5, math.inf], "`bound`"),
        ({"bound": np.asarray(0.25)}, [], [0.25, 0.25], "`bound`"),
        ({"rtol": 0.5}, [], [0.5, 512.0], "rtol = 0.5"),
        ({"rtol": 1e-12}, [], [4 * EPS, 4096 * EPS], "rtol = 4.77e-07"),
        ({"rtol": 0.0, "atol": 0.5}, [], [0.5 + 4 * EPS, 0.5 + 4096 * EPS], "atol = 0.5"),
        ({}, [np.full((2, 9), 2048.0)], [8 * 3 * EPS * 2048] * 2, "n = 9 (the longest axis)"),
        ({}, [np.asarray([True])], [8 * math.sqrt(2) * EPS * 1024] * 2, "n = 2 "),
        ({}, [1e4 * np.ones(2), np.asarray([10**6])], [8 * math.sqrt(2) * EPS * 1e4] * 2, "n = 2"),
        ({}, [1e3 * INFINITE], [8 * math.sqrt(3) * EPS * 7000] * 2, "scale = 7000"),
        ({}, [np.ones((10, 10))], [8 * math.sqrt(50) * EPS * 1024] * 2, "numbers of each result"),
        ({"n": 100}, [], [8 * 10 * EPS * 1024] * 2, "n = 100"),
    ],
)
def test_allowed_errors(options, arrays, errors, words):
    tolerance = Tolerance(**options, arrays=arrays)
    found, origin = tolerance.allowed_error(np.asarray([1.0, 1024.0]), "float32")
    np.testing.assert_allclose(found, np.asarray(errors) + TINY, rtol=1e-15)
    assert words in origin


def test_absolute_errors_for_float64_are_coarser_in_float32():
    tolerance = Tolerance(np.asarray(1e-12), is_rounded=True)
    errors, words = tolerance.allowed_error(np.zeros(1), "float32")
    np.testing.assert_allclose(errors, 1e-12 * 2**29 + TINY, rtol=1e-15)
    assert "lack of float64" in words


def fault_of(actual, exact, error=0.25):
    tolerance = Tolerance(np.asarray(error))
    return tolerance.fault(np.asarray(actual), np.asarray(exact), "float32")


@pytest.mark.parametrize(
    ("actual", "exact", "error"),
    [
        (1.25, 1.0, 0.25),
        (math.nan, math.nan, 0.25),
        (math.inf, math.inf, 0.25),
        (math.inf, 1e39, 0.25),
        (-math.inf, -TOP, 2.0**104),  # it rounds to infinity from within its bound
        (math.inf, 1.0, math.inf),
        (complex(-math.inf, 0.0), complex(math.inf, math.inf), 0.25),
        (np.zeros((0, 3)), np.zeros((0, 3)), 0.25),
        (True, True, 0.25),
    ],
)
def test_within_the_bound(actual, exact, error):
    assert fault_of(actual, exact, error) is None


@pytest.mark.parametrize(
    ("actual", "exact", "error"),
    [
        (1.26, 1.0, 0.25),
        (0.0, math.nan, 0.25),
        (math.nan, 0.0, 0.25),
        (math.nan, 0.0, math.inf),
        (math.inf, 1e30, 0.25),
        (math.inf, -1e39, 0.25),
        (TOP, math.inf, 0.25),
        (-math.inf, math.inf, 0.25),
        (2, 3, 9.0),  # integers are exact
        (2.0 + 1.0j, 2.0, 0.25),
    ],
)
def test_out_of_the_bound(actual, exact, error):
    assert "1 of 1 values" in fault_of(actual, exact, error)


def test_the_message_shows_the_largest_excess():
    fault = fault_of([[3.0, 1.5]], [[0.0, 1.0]], [[1.0, 0.001]])
    assert "2 of 2 values out of bound, the worst at [0, 1]: 1.5 instead of 1.0, off by" in fault
    assert "0.5 (4.19e+06 ULP), the bound is 0.001" in fault
    assert "the worst: 2.0 instead of 1.0" in fault_of(2.0, 1.0)
