"""Lipschitz constants of activations on intervals: never too small, and hardly too large."""

import math

import numpy as np
import pytest
from function_cases import CASES, ROWS, assert_near

INF = math.inf
# Points at which the slope of some activation is largest, or jumps.
CORNERS = np.asarray(
    [-3.0, -2.3993572805154677, -1.4185040087908284, -1, 0, 0.5, 1, 2.0**0.5, 1.49057, 3, 6]
)
CONTINUOUS = [case for case in CASES if case[0] != "step"]


def intervals():
    """Return the ends of intervals of all widths, also 0, and around the corners."""
    random = np.random.default_rng(11)
    centers = np.concatenate([random.normal(0, 4, 60), np.repeat(CORNERS, 4)])
    halves = 10 ** random.uniform(-3, 1.2, centers.size)
    low = np.concatenate([centers - halves * random.uniform(0, 1, centers.size), centers[:20]])
    high = np.concatenate([centers + halves, centers[:20]])
    return low, high


def slope(case, low, high, xp=np):
    name, options = case
    return ROWS[name].slope(low, high, xp, **options)


def steepness(case, x):
    name, options = case
    row = ROWS[name]
    return np.abs(row.derivative(x, row(x, np, **options), np, **options))


def test_the_slope_is_the_least_bound_of_all_differences(subtests):
    low, high = intervals()
    share = np.concatenate([np.random.default_rng(12).uniform(0, 1, (400, 1)), [[0.0], [1.0]]])
    x = np.sort(low + share * (high - low), axis=0)
    grid = low + np.linspace(0, 1, 2001)[:, None] * (high - low)
    for case in CONTINUOUS:
        with subtests.test(name=case[0], **case[1]):
            bound, y = slope(case, low, high), ROWS[case[0]](x, np, **case[1])
            for step in (1, 7, 401):
                rise = np.abs(y[step:] - y[:-step])
                rounding = 1e-14 * (1 + np.abs(y[step:]))
                limit = bound * (x[step:] - x[:-step]) * (1 + 1e-9) + rounding
                assert x[step:][rise > limit].tolist() == []
            largest = np.max(steepness(case, grid), 0)
            assert np.all(bound <= 1.01 * largest + 1e-9)
            assert np.all(bound >= largest * (1 - 1e-12))
            middle = (low + high) / 2
            np.testing.assert_array_equal(slope(case, middle, middle), steepness(case, middle))


@pytest.mark.slow_on("dask")
def test_every_backend_gives_the_same(xp_backend, subtests):
    low, high = (
        np.append(ends, end).astype(np.float32)
        for ends, end in zip(intervals(), (-INF, INF), strict=True)
    )
    ends, xp = (xp_backend.asarray(low), xp_backend.asarray(high)), xp_backend.xp
    # All in one array: Dask computes it faster than many.
    results = xp.stack([slope(case, *ends, xp) for case in CONTINUOUS])
    values = xp_backend.check(results, dtype="float32", shape=(len(CONTINUOUS), low.size))
    for case, found in zip(CONTINUOUS, values, strict=True):
        with subtests.test(name=case[0], **case[1]):
            expected = slope(case, low.astype(np.float64), high.astype(np.float64))
            assert_near(low, found, expected, rtol=1e-5, atol=1e-5)


def test_all_numbers(subtests):
    everything = np.full(1, -INF), np.full(1, INF)
    x = np.concatenate([np.linspace(-10, 10, 20_001), CORNERS, -CORNERS, *everything])
    for case in CONTINUOUS:  # every maximum is in x
        with subtests.test(name=case[0], **case[1]):
            largest = np.max(steepness(case, x))
            assert slope(case, *everything) == pytest.approx(largest, rel=1e-9)


def test_a_slope_across_a_jump_is_infinite(xp_backend):
    low, high = [-9.0, 0.1, -0.1, 0.0, -1.0, 0.0], [-0.1, 9.0, 0.1, 0.0, 0.0, 1.0]
    ends = xp_backend.asarray(low), xp_backend.asarray(high)
    result = ROWS["step"].slope(*ends, xp_backend.xp)
    values = xp_backend.check(result, dtype="float32", shape=(6,))
    assert values.tolist() == [0.0, 0.0, INF, INF, INF, INF]
