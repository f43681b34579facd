"""Options of the functions: valid and invalid values, and effects."""

import math
from fractions import Fraction

import numpy as np
import pytest
from function_cases import CASES

import xpnet
from xpnet.functions.activations import ACTIVATIONS

ALPHAS = [(name, "alpha") for name in ("celu", "elu")]
NUMERIC = [*ALPHAS, ("leaky_relu", "negative_slope")]
# Function, option, value.
OUTSIDE = [
    *((*option, value) for option in ALPHAS for value in [0, -1.0, math.nextafter(1e-6, 0), 2e6]),
    *((*NUMERIC[-1], value) for value in [-0.01, math.nextafter(1, 2), math.nextafter(1e-30, 0)]),
    *((*option, value) for option in NUMERIC for value in [math.nan, math.inf, 10**400]),
]
WRONG_TYPES = [*("0.5", None, [0.5], 1j, True, b"1", np.True_, np.complex64(1)), np.asarray([0.5])]
REJECTED = [
    *((*case, ValueError, f"`{case[1]}`") for case in OUTSIDE),
    *((*option, value, TypeError, f"`{option[1]}`") for option in NUMERIC for value in WRONG_TYPES),
    *(("gelu", "approximate", x, ValueError, "'none'") for x in ["Tanh", "", None, 1, ["none"]]),
]


@pytest.mark.parametrize(
    ("name", "option", "value", "error", "word"), REJECTED, ids=lambda x: repr(x)[:20]
)
def test_rejected_values(name, option, value, error, word):
    with pytest.raises(error, match=word):
        getattr(xpnet, name)(np.zeros(2), **{option: value})
    with pytest.raises(error, match=word):
        xpnet.Dense([[1.0]], [0.0], name, {option: value})


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("relu", {"alpha": 1.0}, "'alpha'.*none"),
        ("elu", {"beta": 1.0}, "'beta'.*alpha"),
        ("softmax", {"axis": 0}, "'axis'"),
        ("linear", {"x": 0}, "'x'"),
    ],
)
def test_unknown_options(name, options, word):
    with pytest.raises(ValueError, match=word):
        ACTIVATIONS[name].checked(options)
    with pytest.raises(ValueError, match=word):
        xpnet.Dense([[1.0]], [0.0], name, options)


def test_allowed_numbers(xp_backend, subtests):
    x = xp_backend.asarray([-2.0, 0.0, 0.5, 3.0])
    allowed = {"alpha": [1e-6, 1, 1e6], "negative_slope": [0, 1e-30, 0.5, 1]}
    for name, option in NUMERIC:
        for value in [*allowed[option], np.float32(0.5), np.float64(0.5), Fraction(1, 2)]:
            with subtests.test(name=name, option=option, value=repr(value)):
                result = getattr(xpnet, name)(x, **{option: value})
                values = xp_backend.check(result, dtype="float32", shape=(4,))
                assert np.all(np.isfinite(values))
                assert type(ACTIVATIONS[name].checked({option: value})[option]) is float


def test_a_string_of_numpy_becomes_a_python_string():
    assert type(ACTIVATIONS["gelu"].checked({"approximate": np.str_("tanh")})["approximate"]) is str


EFFECTS = [case for case in CASES if case[1]]


@pytest.mark.parametrize(("name", "options"), EFFECTS)
def test_options_reach_network_and_gradient(xp_backend, name, options):
    row, xp, point = ACTIVATIONS[name], xp_backend.xp, xp_backend.asarray([[-1.5], [1.0]])
    layer = xpnet.Dense(np.ones((1, 1), "f4"), np.zeros(1, "f4"), name, options)
    network = xpnet.Network([layer]).map_arrays(xp_backend.make)
    y = xpnet.forward(network, point)
    slope = row.gradient(xp_backend.asarray([[4.0], [4.0]]), point, y, xp, **options)
    x, h = np.asarray([[-1.5], [1.0]]), 1e-6
    quotient = (row(x + h, np, **options) - row(x - h, np, **options)) / (2 * h)
    for result, expected in ((y, row(x, np, **options)), (slope, 4 * quotient)):
        found = xp_backend.check(result, dtype="float32", shape=(2, 1))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
