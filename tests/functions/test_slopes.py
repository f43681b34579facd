"""Lipschitz constants of activations on intervals: never too small, and hardly too large."""

import math

import numpy as np
import pytest

from xpnet.functions.activations import ACTIVATIONS

INF = math.inf
# Points at which the slope of some activation is largest, or jumps.
CORNERS = (-3.0, -2.3993572805154677, -1.4185040087908284, -1.0, 0.0, 0.5, 1.0, 1.49057, 3.0, 6.0)
SLOPING = [name for name, row in ACTIVATIONS.items() if row.is_elementwise and not row.jumps()]


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
    return ACTIVATIONS[name].slope(low, high, xp, **options)


def steepness(case, x):
    name, options = case
    row = ACTIVATIONS[name]
    return np.abs(row.derivative(x, row.function(x, np, **options), np, **options))


@pytest.fixture(scope="module")
def continuous(cases):
    """Return the cases without a jump."""
    return [case for case in cases if not ACTIVATIONS[case[0]].jumps(**case[1])]


def test_no_two_points_are_further_apart(continuous, subtests):
    low, high = intervals()
    random = np.random.default_rng(12)
    share = np.concatenate([random.uniform(0, 1, (400, 1)), [[0.0], [1.0]]])
    x = np.sort(low + share * (high - low), axis=0)
    for case in continuous:
        name, options = case
        with subtests.test(name=name, **options):
            bound = slope(case, low, high)
            y = ACTIVATIONS[name].function(x, np, **options)
            for step in (1, 7, 401):
                distance = x[step:] - x[:-step]
                rise = np.abs(y[step:] - y[:-step])
                rounding = 1e-14 * (1 + np.abs(y[step:]))
                too_steep = rise > bound * distance * (1 + 1e-9) + rounding
                assert x[step:][too_steep].tolist() == []


def test_the_bound_is_reached(continuous, subtests):
    low, high = intervals()
    x = low + np.linspace(0, 1, 2001)[:, None] * (high - low)
    for case in continuous:
        with subtests.test(name=case[0], **case[1]):
            largest = np.max(steepness(case, x), 0)
            bound = slope(case, low, high)
            assert np.all(bound <= 1.01 * largest + 1e-9)
            assert np.all(bound >= largest * (1 - 1e-12))


def test_an_interval_of_one_point(continuous, subtests):
    x = np.asarray([-7.0, -1.3, 0.0, 0.2, 2.0, 7.5])
    for case in continuous:
        with subtests.test(name=case[0], **case[1]):
            np.testing.assert_array_equal(slope(case, x, x), steepness(case, x))


@pytest.mark.slow_on("dask")
def test_every_backend_gives_the_same(xp_backend, continuous, assert_near, subtests):
    low, high = (
        np.append(ends, end).astype(np.float32)
        for ends, end in zip(intervals(), (-INF, INF), strict=True)
    )
    ends, xp = (xp_backend.asarray(low), xp_backend.asarray(high)), xp_backend.xp
    # All in one array: Dask computes it faster than many.
    results = xp.stack([slope(case, *ends, xp) for case in continuous])
    values = xp_backend.check(results, dtype="float32", shape=(len(continuous), low.size))
    for case, found in zip(continuous, values, strict=True):
        with subtests.test(name=case[0], **case[1]):
            expected = slope(case, low.astype(np.float64), high.astype(np.float64))
            assert_near(low, found, expected, rtol=1e-5, atol=1e-5)


def test_all_numbers(subtests):
    # Every maximum is on the grid, or a limit at infinity.
    x = np.concatenate([np.linspace(-10, 10, 20_001), [-INF, INF]])
    for name in SLOPING:
        with subtests.test(name=name):
            (value,) = ACTIVATIONS[name].slope(-INF * np.ones(1), INF * np.ones(1), np)
            assert value == pytest.approx(np.max(steepness((name, {}), x)), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exponential", INF),
        ("gelu", 0.5 * math.erfc(-1.0) + math.exp(-1.0) / math.sqrt(math.pi)),
        ("mish", 1.0884982),
        ("selu", 1.7580993408473766),
        ("silu", 1.0998394),
    ],
)
def test_known_maxima(name, expected):
    value = float(ACTIVATIONS[name].slope(-INF * np.ones(1), INF * np.ones(1), np)[0])
    assert value == pytest.approx(expected, rel=1e-14 if name in {"gelu", "selu"} else 1e-7)


@pytest.mark.parametrize("name", ["log_softmax", "softmax", "sparsemax"])
def test_functions_along_an_axis_have_no_slope(name):
    with pytest.raises(ValueError, match=f"activation '{name}' has no slope"):
        ACTIVATIONS[name].slope(np.zeros(1), np.ones(1), np)


def test_a_slope_across_a_jump_is_infinite(xp_backend, cases, subtests):
    for case in cases:
        name, options = case
        row = ACTIVATIONS[name]
        jumps = row.jumps(**options)
        if not jumps:
            continue
        with subtests.test(name=name, **options):
            for jump in jumps:
                before, after = row.function(np.asarray([jump - 1e-9, jump + 1e-9]), np, **options)
                assert abs(after - before) > 0.1
            # The pieces between jumps, then intervals around jumps and of nothing but a jump.
            low = [-9.0, *(jump + 0.1 for jump in jumps)]
            high = [*(jump - 0.1 for jump in jumps), 9.0]
            middles = np.add(low, high) / 2
            inside = [slope(case, np.float64(x), np.float64(x)) for x in middles]
            low += [jump - 0.1 for jump in jumps] + [*jumps]
            high += [jump + 0.1 for jump in jumps] + [*jumps]
            ends = xp_backend.asarray(low), xp_backend.asarray(high)
            result = slope(case, *ends, xp_backend.xp)
            values = xp_backend.check(result, dtype="float32", shape=(len(low),))
            assert values.tolist() == [*inside, *[INF] * 2 * len(jumps)]


@pytest.mark.parametrize(
    ("name", "options"),
    [("threshold", {"threshold": 0.5, "value": 0.5}), ("hard_shrink", {"threshold": 0.0})],
)
def test_a_jump_of_height_0_does_not_count(name, options):
    low, high = np.asarray([-1.0]), np.asarray([1.0])
    assert ACTIVATIONS[name].slope(low, high, np, **options).tolist() == [1.0]
