"""Largest deviations: bounds, NaN and infinities, indices, and units in the last place."""

import math

import numpy as np
import pytest

from xpnet.arrays.deviation import Deviation, deviation, ulp

INF, NAN = math.inf, math.nan


def judged(found, expected, bound, dtype="float64"):
    return deviation(np.asarray(found), np.asarray(expected), np.asarray(bound, dtype))


def test_the_largest_difference_and_the_largest_share():
    two_places = judged([[1, 5, 2], [3, 8, 8]], [[1, 2, 2.5], [3, 4, 8]], [[1, 4, 0.25]] * 2)
    assert two_places == Deviation(1, 0, 4.0, (1, 1), 2.0, (0, 2))
    equal = judged([[1.0, 2.0]], [[1.0, 2.0]], [[0.0, 1.0]])
    assert equal == Deviation(furthest=(0, 0), worst=(0, 0))
    assert judged(*[np.ones((0, 3))] * 3) == Deviation()
    assert judged(3.0, 1.0, 4.0) == Deviation(0, 0, 2.0, (), 0.5, ())
    at_the_bound = judged([2.0, 3.0], [1.0, 1.0], [1.0, 2.0])
    assert at_the_bound == Deviation(0, 0, 2.0, (1,), 1.0, (0,))
    assert judged([3.0 + 4.0j], [0.0], [2.5]) == Deviation(1, 0, 5.0, (0,), 2.0, (0,))


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_nonfinite_values(value):
    same = judged([value, 1.0], [value, 2.0], [0.0, 2.0])
    assert same == Deviation(0, 0, 1.0, (1,), 0.5, (1,))
    for other in {1.0, INF, NAN} - {value}:
        for found, expected in ((value, other), (other, value)):
            out = Deviation(1, 0, INF, (1,), INF, (1,))
            assert judged([0.0, found], [0.0, expected], [1.0, 1.0]) == out
    unbounded = judged([value, 1.0], [0.0, 1.5], [INF, 2.0])
    assert unbounded == Deviation(0, 1, 0.5, (1,), 0.25, (1,))


def test_a_bound_of_zero_and_the_dtype_of_the_bounds():
    found = judged([1.0, 1.0 + 1e-15], [1.0, 1.0], [0.0, 0.0])
    assert (found.n_exceeding, found.worst, 1.0 < found.share < INF) == (1, (1,), True)
    found = judged([1.0], [1.0 + 2.0**-30], [1.0], "float32")
    assert found.share == found.difference == 2.0**-30
    assert judged([1e300], [0.0], [1.0], "float32").difference == INF


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_units_in_the_last_place(dtype):
    info, values = np.finfo(dtype), [1.0, -1.5, 0.999, 1e-4, 1000.0, 65504.0]
    numbers = np.asarray(values, dtype)
    eps, smallest, largest = map(float, (info.eps, info.smallest_normal, info.max))
    # The largest number has a neighbour below it only.
    expected = np.spacing(np.minimum(abs(numbers), np.nextafter(info.max, numbers * 0)))
    found = ulp(numbers, eps, smallest, largest)
    np.testing.assert_array_equal(found, expected.astype(float), strict=True)
    beyond = ulp([0.0, smallest / 2, NAN, INF, -INF], eps, smallest, largest)
    top = largest - float(np.nextafter(info.max, numbers.dtype.type(0)))
    assert beyond.tolist() == [smallest * eps] * 3 + [top] * 2
