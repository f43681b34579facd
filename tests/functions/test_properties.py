"""Properties of elementwise functions for random numbers, on every backend."""

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import xpnet
from xpnet.arrays.namespace import library_of
from xpnet.functions.activations import ACTIVATIONS

MAX, TINY = (float(getattr(np.finfo(np.float32), name)) for name in ("max", "tiny"))
EPS = float(np.finfo(np.float32).eps)

# A backend is the same for all examples. An example is a whole array, of one size, since some
# libraries compile for each size anew.
few = settings(
    derandomize=True,
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
numbers = hnp.arrays(
    np.float32,
    (48,),
    elements=st.floats(-20, 20, width=32) | st.floats(width=32, allow_nan=False),
    fill=st.nothing(),
)

MONOTONE = [
    name
    for name, row in ACTIVATIONS.items()
    if row.is_elementwise
    and name == row.name  # not an alias
    and np.all(np.diff(row.function(np.linspace(-9, 9, 99), np)) >= 0)
]
ODD = ("erf", "hard_shrink", "hard_tanh", "identity", "soft_shrink", "softsign", "tanh")
ODD += ("tanh_shrink",)
# f(x) + f(-x) is 1, and f(x) - f(-x) is x.
COMPLEMENTARY = ("hard_sigmoid", "sigmoid", "sparse_sigmoid")
RECTIFYING = ("gelu", "hard_silu", "relu", "silu", "softplus", "sparse_plus", "squareplus")
RANGES = {
    "elu": (-1.0, np.inf),
    "erf": (-1.0, 1.0),
    "exponential": (0.0, np.inf),
    "gelu": (-0.17, np.inf),
    "hard_sigmoid": (0.0, 1.0),
    "hard_silu": (-0.37500003, np.inf),
    "hard_tanh": (-1.0, 1.0),
    "log_sigmoid": (-np.inf, 0.0),
    "mish": (-0.3089, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "selu": (-1.7580996, np.inf),
    "sigmoid": (0.0, 1.0),
    "silu": (-0.2785, np.inf),
    "softplus": (0.0, np.inf),
    "softsign": (-1.0, 1.0),
    "sparse_plus": (0.0, np.inf),
    "sparse_sigmoid": (0.0, 1.0),
    "squareplus": (0.0, np.inf),
    "tanh": (-1.0, 1.0),
}


def compute(xp_backend, names, x, **options):
    """Yield names, values in float64, and how far each may be from the true one.

    Below the smallest normal number a library may take a number for 0.
    """
    argument = xp_backend.asarray(x)
    # All in one array: Dask computes it faster than many.
    results = xp_backend.xp.stack([getattr(xpnet, name)(argument, **options) for name in names])
    values = xp_backend.check(results, dtype="float32", shape=(len(names), *x.shape))
    for name, y in zip(names, values, strict=True):
        spacing = np.spacing(np.minimum(np.abs(y), np.float32(MAX / 2))).astype(np.float64)
        bound = ACTIVATIONS[name].ulp_bound(library_of(argument), "float32", **options)
        yield name, y.astype(np.float64), np.maximum(bound * spacing, TINY)


def opposites(x):
    """Return the numbers and their opposites, as two rows."""
    return np.stack([x, -x])


@few
@given(x=numbers)
def test_functions_are_monotone_up_to_their_bounds(xp_backend, x):
    x = np.sort(x)
    for name, y, error in compute(xp_backend, MONOTONE, x):
        is_falling = y[:-1] - error[:-1] > y[1:] + error[1:]
        assert x[1:][is_falling].tolist() == [], name


@few
@given(x=numbers)
def test_values_stay_in_their_range(xp_backend, x):
    for name, y, _ in compute(xp_backend, RANGES, x):
        low, high = RANGES[name]
        assert x[~((low <= y) & (y <= high))].tolist() == [], name


@few
@given(x=numbers)
def test_odd_functions_are_odd(xp_backend, x):
    for name, (positive, negative), _ in compute(xp_backend, ODD, opposites(x)):
        np.testing.assert_array_equal(negative, -positive, name)


@few
@given(x=numbers)
def test_complements_sum_to_one(xp_backend, x):
    for name, (one, other), _ in compute(xp_backend, COMPLEMENTARY, opposites(x)):
        assert x[~(np.abs(one + other - 1) <= 2 * EPS)].tolist() == [], name


@few
@given(x=numbers)
def test_rectifiers_of_opposites_differ_by_the_number(xp_backend, x):
    x = np.clip(x, -MAX / 2, MAX / 2)
    for name, (one, other), errors in compute(xp_backend, RECTIFYING, opposites(x)):
        is_near = np.abs(one - other - x.astype(np.float64)) <= np.sum(errors, axis=0)
        assert x[~is_near].tolist() == [], name


@few
@given(x=numbers)
def test_the_logarithm_of_sigmoid_is_minus_the_softplus_of_the_opposite(xp_backend, x):
    x = np.clip(x, -MAX / 2, MAX / 2)
    pair = compute(xp_backend, ["log_sigmoid", "softplus"], opposites(x))
    (_, logs, error), (_, other, other_error) = pair
    assert np.all(np.abs(logs[0] + other[1]) <= error[0] + other_error[1])


@few
@given(x=numbers)
def test_the_forms_of_gelu_are_near_each_other(xp_backend, x):
    x = np.clip(x, -MAX / 2, MAX / 2)
    ((_, exact, error),) = compute(xp_backend, ["gelu"], x)
    ((_, near, other_error),) = compute(xp_backend, ["gelu"], x, approximate="tanh")
    assert np.all(np.abs(exact - near) <= 5e-4 + error + other_error)


@few
@given(x=numbers)
def test_shrinking_takes_at_most_the_threshold(xp_backend, x):
    x = np.clip(x, -MAX / 2, MAX / 2)
    ((_, soft, error),) = compute(xp_backend, ["soft_shrink"], x, threshold=2.0)
    taken = x.astype(np.float64) - soft
    assert np.all(np.abs(taken) <= 2.0 + error)
    assert np.all(taken * x >= 0)
