"""Largest deviations: bounds, NaN and infinities, indices, and units in the last place."""

import math

import numpy as np
import pytest

from xpnet.arrays.deviation import Deviation, deviation, ulp

INF, NAN = math.inf, math.nan


def judged(found, expected, bound, dtype="float64"):
    return deviation(np.asarray(found), np.asarray(expected), np.asarray(bound, dtype))


@pytest.mark.parametrize(
    ("found", "expected", "bound", "result"),
    [
        ([[1, 5, 2], [3, 8, 8]], [[1, 2, 2.5], [3, 4, 8]], [[1, 4, 0.25]] * 2,
         Deviation(1, 0, 4.0, (1, 1), 2.0, (0, 2))),
        ([[1.0, 2.0]], [[1.0, 2.0]], [[0.0, 1.0]], Deviation(furthest=(0, 0), worst=(0, 0))),
        (np.ones((0, 3)), np.ones((0, 3)), np.ones((0, 3)), Deviation()),
        (3.0, 1.0, 4.0, Deviation(0, 0, 2.0, (), 0.5, ())),
        ([2.0, 3.0], [1.0, 1.0], [1.0, 2.0], Deviation(0, 0, 2.0, (1,), 1.0, (0,))),
        ([3.0 + 4.0j], [0.0], [2.5], Deviation(1, 0, 5.0, (0,), 2.0, (0,))),
    ],
    ids=["two places", "equal", "empty", "number", "at the bound", "complex"],
)  # fmt: skip
def test_the_largest_difference_and_the_largest_share(found, expected, bound, result):
    assert judged(found, expected, bound) == result


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


def test_a_difference_with_a_bound_of_zero():
    found = judged([1.0, 1.0 + 1e-15], [1.0, 1.0], [0.0, 0.0])
    assert (found.n_exceeding, found.worst) == (1, (1,))
    assert 1.0 < found.share < INF


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
