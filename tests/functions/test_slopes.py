"""How steep an activation is at most in an interval: never less than it is, and hardly more."""

import math

import numpy as np
import pytest

from xpnet.functions.activations import ACTIVATIONS

INF = math.inf
# Points at which the slope of some activation is largest, or jumps.
CORNERS = (-3.0, -2.3993572805154677, -1.4185040087908284, -1.0, 0.0, 0.5, 1.0, 1.49057, 3.0, 6.0)


def intervals():
    """Return the ends of intervals, of all widths and also of none, and around the corners."""
    random = np.random.default_rng(11)
    centers = np.concatenate([random.normal(0, 4, 60), np.repeat(CORNERS, 4)])
    halves = 10 ** random.uniform(-3, 1.2, centers.size)
    low = np.concatenate([centers - halves * random.uniform(0, 1, centers.size), centers[:20]])
    high = np.concatenate([centers + halves, centers[:20]])
    return low, high


def slope(case, low, high, xp=np):
    name, options = case
    return ACTIVATIONS[name].slope(low, high, xp, **options)


def test_no_two_points_are_further_apart(sloping_case):
    name, options = sloping_case
    low, high = intervals()
    bound = slope(sloping_case, low, high)
    random = np.random.default_rng(12)
    share = np.concatenate([random.uniform(0, 1, (400, 1)), [[0.0], [1.0]]])
    x = np.sort(low + share * (high - low), axis=0)
    y = ACTIVATIONS[name].function(x, np, **options)
    for step in (1, 7, 401):
        distance = x[step:] - x[:-step]
        rise = np.abs(y[step:] - y[:-step])
        rounding = 1e-14 * (1 + np.abs(y[step:]))
        assert np.all(rise <= bound * distance * (1 + 1e-9) + rounding)


def test_the_bound_is_reached(sloping_case):
    name, options = sloping_case
    row = ACTIVATIONS[name]
    low, high = intervals()
    x = low + np.linspace(0, 1, 20_001)[:, None] * (high - low)
    largest = np.max(np.abs(row.derivative(x, row.function(x, np, **options), np, **options)), 0)
    bound = slope(sloping_case, low, high)
    assert np.all(bound <= 1.01 * largest + 1e-9)
    assert np.all(bound >= largest * (1 - 1e-12))


def test_an_interval_of_one_point(sloping_case):
    name, options = sloping_case
    row = ACTIVATIONS[name]
    x = np.asarray([-7.0, -1.3, 0.0, 0.2, 2.0, 7.5])
    steepness = np.abs(row.derivative(x, row.function(x, np, **options), np, **options))
    np.testing.assert_array_equal(slope(sloping_case, x, x), steepness)


def test_every_backend_gives_the_same(xp_backend, sloping_case):
    low, high = (ends.astype(np.float32) for ends in intervals())
    expected = slope(sloping_case, low.astype(np.float64), high.astype(np.float64))
    result = slope(sloping_case, xp_backend.asarray(low), xp_backend.asarray(high), xp_backend.xp)
    values = xp_backend.check(result, dtype="float32", shape=low.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


# Over all numbers; exponential is the one without a bound.
EVERYWHERE = {
    "celu": 1.0,
    "elu": 1.0,
    "erf": 2 / math.sqrt(math.pi),
    "exponential": INF,
    "gelu": 1.1289041451,  # at sqrt(2): Phi(sqrt(2)) + exp(-1) / sqrt(pi)
    "hard_sigmoid": 1 / 6,
    "hard_silu": 1.5,
    "hard_tanh": 1.0,
    "identity": 1.0,
    "leaky_relu": 1.0,
    "linear": 1.0,
    "log_sigmoid": 1.0,
    "mish": 1.0885,
    "relu": 1.0,
    "relu6": 1.0,
    "selu": 1.7580993408473766,
    "sigmoid": 0.25,
    "silu": 1.0998,
    "soft_shrink": 1.0,
    "softplus": 1.0,
    "softsign": 1.0,
    "sparse_plus": 1.0,
    "sparse_sigmoid": 0.5,
    "squareplus": 1.0,
    "tanh": 1.0,
    "tanh_shrink": 1.0,
}


def test_the_list_is_complete():
    rows = {name: row for name, row in ACTIVATIONS.items() if row.is_elementwise}
    assert set(EVERYWHERE) == {name for name, row in rows.items() if not row.jumps()}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_all_numbers(xp_backend, name):
    low, high = xp_backend.asarray([-INF]), xp_backend.asarray([INF])
    values = xp_backend.check(
        ACTIVATIONS[name].slope(low, high, xp_backend.xp), dtype="float32", shape=(1,)
    )
    assert float(values[0]) == pytest.approx(EVERYWHERE[name], rel=1e-4)


def test_the_largest_slope_of_gelu():
    x = math.sqrt(2.0)
    exact = 0.5 * math.erfc(-1.0) + math.exp(-1.0) / math.sqrt(math.pi)
    assert float(ACTIVATIONS["gelu"].slope(x * np.ones(1), np.asarray([9.0]), np)[0]) == (
        pytest.approx(exact, rel=1e-14)
    )


@pytest.mark.parametrize("name", ["log_softmax", "softmax", "sparsemax"])
def test_what_is_not_elementwise_has_no_slope(name):
    with pytest.raises(ValueError, match=f"activation '{name}' has no slope"):
        ACTIVATIONS[name].slope(np.zeros(1), np.ones(1), np)


# Where each jumps, and how steep it is below, between and above.
JUMPING = {
    ("step", ()): ([0.0], [0.0, 0.0]),
    ("threshold", ()): ([1.0], [0.0, 1.0]),
    ("threshold", (("threshold", -2.0), ("value", 5.0))): ([-2.0], [0.0, 1.0]),
    ("hard_shrink", ()): ([-0.5, 0.5], [1.0, 0.0, 1.0]),
    ("hard_shrink", (("threshold", 2.0),)): ([-2.0, 2.0], [1.0, 0.0, 1.0]),
}


def test_the_list_of_jumps_is_complete():
    rows = {name: row for name, row in ACTIVATIONS.items() if row.jumps()}
    assert set(rows) == {name for name, _ in JUMPING}


@pytest.mark.parametrize("case", JUMPING)
def test_there_is_none_across_a_jump(xp_backend, case):
    name, options = case[0], dict(case[1])
    jumps, pieces = JUMPING[case]
    low = [-9.0, *(jump + 0.1 for jump in jumps)]
    high = [*(jump - 0.1 for jump in jumps), 9.0]
    low += [jump - 0.1 for jump in jumps] + jumps
    high += [jump + 0.1 for jump in jumps] + jumps
    row = ACTIVATIONS[name]
    result = row.slope(xp_backend.asarray(low), xp_backend.asarray(high), xp_backend.xp, **options)
    values = xp_backend.check(result, dtype="float32", shape=(len(low),))
    assert values.tolist() == [*pieces, *[INF] * 2 * len(jumps)]


@pytest.mark.parametrize(
    ("name", "options"),
    [("threshold", {"threshold": 0.5, "value": 0.5}), ("hard_shrink", {"threshold": 0.0})],
)
def test_a_jump_of_no_height_is_none(name, options):
    low, high = np.asarray([-1.0]), np.asarray([1.0])
    assert ACTIVATIONS[name].slope(low, high, np, **options).tolist() == [1.0]
