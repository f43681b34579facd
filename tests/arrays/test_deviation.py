"""Largest deviations: bounds, NaN and infinities, indices, and units in the last place."""

import math

import numpy as np
import pytest

from xpnet.arrays.deviation import Deviation, deviation, ulp

INF, NAN = math.inf, math.nan


def judged(found, expected, bound, dtype="float64"):
    return deviation(np.asarray(found), np.asarray(expected), np.asarray(bound, dtype))


def test_the_largest_difference_and_the_largest_share():
    found = judged([[1.0, 5.0, 2.0], [3.0, 4.0, 8.0]], [[1, 2, 2.5], [3, 4, 8]], [[1, 4, 0.25]] * 2)
    assert found == Deviation(1, 0, 3.0, (0, 1), 2.0, (0, 2))


def test_equal_and_empty_arrays_and_numbers():
    same = [[1.0, 2.0]]
    assert judged(same, same, [[0.0, 1.0]]) == Deviation(furthest=(0, 0), worst=(0, 0))
    for x in (np.ones(0), np.ones((0, 3))):
        assert judged(x, x, x) == Deviation()
    assert judged(3.0, 1.0, 4.0) == Deviation(0, 0, 2.0, (), 0.5, ())


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_the_same_nonfinite_value(value):
    assert judged([value, 1.0], [value, 2.0], [0.0, 2.0]) == Deviation(0, 0, 1.0, (1,), 0.5, (1,))


@pytest.mark.parametrize(
    ("found", "expected"),
    [(NAN, 1.0), (1.0, NAN), (INF, 1.0), (1.0, -INF), (INF, -INF), (NAN, INF), (INF, NAN)],
)
def test_another_nonfinite_value(found, expected):
    assert judged([0.0, found], [0.0, expected], [1.0, 1.0]) == Deviation(
        1, 0, INF, (1,), INF, (1,)
    )


@pytest.mark.parametrize("found", [NAN, INF, 1e300])
def test_an_infinite_bound_accepts_any_value(found):
    assert judged([found, 1.0], [0.0, 3.0], [INF, 2.0]) == Deviation(0, 1, 2.0, (1,), 1.0, (1,))


def test_a_difference_with_a_bound_of_zero():
    found = judged([1.0, 1.0 + 1e-15], [1.0, 1.0], [0.0, 0.0])
    assert (found.n_exceeding, found.worst) == (1, (1,))
    assert 1.0 < found.share < INF


def test_complex_numbers():
    assert judged([3.0 + 4.0j], [0.0], [2.5]) == Deviation(1, 0, 5.0, (0,), 2.0, (0,))


def test_the_dtype_of_the_bounds_is_that_of_the_shares():
    found = judged([1.0], [1.0 + 2.0**-30], [1.0], "float32")
    assert found.share == found.difference == 2.0**-30
    assert judged([1e300], [0.0], [1.0], "float32").difference == INF


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [1.0, -1.5, 0.999, 1e-4, 1000.0, 65504.0])
def test_units_in_the_last_place(dtype, value):
    info, number = np.finfo(dtype), np.dtype(dtype).type(value)
    found = ulp(np.asarray([number]), *map(float, (info.eps, info.smallest_normal, info.max)))
    assert (found.dtype, found.shape) == ("float64", (1,))
    # The largest number has a neighbour below it only.
    inner = min(abs(number), np.nextafter(info.max, number * 0))
    assert found[0] == np.spacing(inner)


def test_units_beyond_the_normal_numbers():
    limits = 2.0**-23, 2.0**-126, (2.0 - 2.0**-23) * 2.0**127
    values = [0.0, 1e-45, NAN, 1e300, INF]
    np.testing.assert_array_equal(ulp(values, *limits), [2.0**-149] * 3 + [2.0**104] * 2)
