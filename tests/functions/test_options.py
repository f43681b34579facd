"""Options of the functions: valid and invalid values, error messages and effects."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest

import xpnet
from xpnet.functions.activation import finite, not_negative, positive, share
from xpnet.functions.activations import ACTIVATIONS

POSITIVE = "a number from 1e-6 to 1e6"
NOT_NEGATIVE = "a number from 0 to 1e30"
FINITE = "a number from -1e30 to 1e30"
SHARE = "0, or from 1e-30 to 1"
WORDING = {finite: FINITE, not_negative: NOT_NEGATIVE, positive: POSITIVE, share: SHARE}
RULES = {
    (name, option): WORDING[check]
    for name, row in ACTIVATIONS.items()
    for option, check in row.options.items()
    if check in WORDING
}
OUTSIDE = {
    POSITIVE: [0, -1.0, math.nextafter(1e-6, 0), math.nextafter(1e6, math.inf)],
    NOT_NEGATIVE: [-1, -1e-300, math.nextafter(1e30, math.inf)],
    SHARE: [-0.01, math.nextafter(1, 2), 2, math.nextafter(1e-30, 0)],
    FINITE: [math.nextafter(-1e30, -math.inf), 1e300],
}
INSIDE = {
    POSITIVE: [1e-6, 1, 1e6],
    NOT_NEGATIVE: [0, -0.0, 1e30],
    SHARE: [0, 1e-30, 0.5, 1],
    FINITE: [-1e30, -3, 0, 1e30],
}
WRONG_NUMBERS = [
    (*key, value, rule)
    for key, rule in RULES.items()
    for value in [float("nan"), float("inf"), -float("inf"), *OUTSIDE[rule]]
]
WRONG_TYPES = [*("0.5", None, [0.5], 1j, True, b"1", np.True_, np.complex64(1)), np.asarray([0.5])]


def message_of(rule, name, value):
    return f"^{re.escape(f'`{name}` must be {rule}; got {value!r}')}$"


def assert_rejected(error, message, name, option, value):
    with pytest.raises(error, match=message):
        getattr(xpnet, name)(np.zeros(2), **{option: value})
    with pytest.raises(error, match=message):
        xpnet.Dense([[1.0]], [0.0], name, {option: value})


def test_numbers_out_of_range(subtests):
    for name, option, value, rule in WRONG_NUMBERS:
        with subtests.test(name=name, option=option, value=value):
            message = message_of(rule, option, value)
            assert_rejected(ValueError, message, name, option, value)


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_values_that_are_not_numbers(value, subtests):
    for (name, option), rule in RULES.items():
        with subtests.test(name=name, option=option):
            assert_rejected(TypeError, message_of(rule, option, value), name, option, value)


def test_an_integer_beyond_all_floats(subtests):
    for (name, option), rule in RULES.items():
        message = f"`{option}` must be {re.escape(rule)}; got 1000"
        with subtests.test(name=name, option=option), pytest.raises(ValueError, match=message):
            getattr(xpnet, name)(np.zeros(2), **{option: 10**400})


@pytest.mark.parametrize("value", ["Tanh", "", None, True, 1, ["none"]])
def test_unknown_strings(value):
    message = message_of("'none' or 'tanh'", "approximate", value)
    assert_rejected(ValueError, message, "gelu", "approximate", value)


def test_allowed_numbers(xp_backend, subtests):
    x = xp_backend.asarray([-2.0, 0.0, 0.5, 3.0])
    for (name, option), rule in RULES.items():
        for value in INSIDE[rule]:
            with subtests.test(name=name, option=option, value=value):
                result = getattr(xpnet, name)(x, **{option: value})
                values = xp_backend.check(result, dtype="float32", shape=(4,))
                assert np.all(np.isfinite(values))


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), Fraction(1, 2)])
def test_numbers_of_any_kind_do_not_change_the_dtype(xp_backend, value):
    x = xp_backend.asarray([-2.0, 0.0, 0.5, 3.0])
    result = xp_backend.check(xpnet.elu(x, alpha=value), dtype="float32", shape=(4,))
    expected = xp_backend.check(xpnet.elu(x, alpha=0.5), dtype="float32", shape=(4,))
    np.testing.assert_array_equal(result, expected)
    assert ACTIVATIONS["elu"].checked({"alpha": value}) == {"alpha": 0.5}
    assert type(ACTIVATIONS["elu"].checked({"alpha": value})["alpha"]) is float


def test_a_string_of_numpy_becomes_a_python_string():
    options = ACTIVATIONS["gelu"].checked({"approximate": np.str_("tanh")})
    assert options == {"approximate": "tanh"}
    assert type(options["approximate"]) is str


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("relu", {"alpha": 1.0}, "activation 'relu' has no option 'alpha'; its options: none"),
        ("elu", {"beta": 1.0}, "activation 'elu' has no option 'beta'; its options: alpha"),
        (
            "threshold",
            {"value": 1.0, "default_value": 0.0},
            "activation 'threshold' has no option 'default_value'; its options: threshold, value",
        ),
        ("softmax", {"axis": 0}, "activation 'softmax' has no option 'axis'; its options: none"),
        ("linear", {"x": 0}, "activation 'identity' has no option 'x'; its options: none"),
    ],
)
def test_unknown_names(name, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ACTIVATIONS[name].checked(options)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        xpnet.Dense([[1.0]], [0.0], name, options)


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional argument"):
        xpnet.elu([1.0], 0.5)


OPTIONS = [
    ("celu", {"alpha": 0.5}, -1.0, -0.43233235838169365),
    ("elu", {"alpha": 0.5}, -1.0, -0.31606027941427883),
    ("gelu", {"approximate": "tanh"}, 1.0, 0.8411919906082768),
    ("hard_shrink", {"threshold": 2.0}, 1.5, 0.0),
    ("leaky_relu", {"negative_slope": 0.25}, -2.0, -0.5),
    ("soft_shrink", {"threshold": 2.0}, 3.0, 1.0),
    ("softplus", {"beta": 2.0}, 0.0, 0.34657359027997264),
    ("squareplus", {"b": 9.0}, 4.0, 4.5),
    ("threshold", {"threshold": 0.5, "value": -3.0}, 0.5, -3.0),
]


def test_options_have_their_effect(xp_backend, subtests):
    weight, bias = xp_backend.asarray([[1.0]]), xp_backend.asarray([0.0])
    for name, options, x, expected in OPTIONS:
        with subtests.test(name=name, **options):
            public = getattr(xpnet, name)(xp_backend.asarray([x]), **options)
            network = xpnet.Network([xpnet.Dense(weight, bias, name, options)])
            forward = xpnet.forward(network, xp_backend.asarray([[x]]))
            for result, shape in ((public, (1,)), (forward, (1, 1))):
                values = xp_backend.check(result, dtype="float32", shape=shape)
                assert float(values.flat[0]) == pytest.approx(expected, rel=1e-6)
