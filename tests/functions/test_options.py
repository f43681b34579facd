"""Options of the functions: valid and invalid values, and effects."""

import math
from fractions import Fraction

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS

ALPHAS = [(name, "alpha") for name in ("celu", "elu")]
NUMERIC = [*ALPHAS, ("leaky_relu", "negative_slope")]
# Option, whether only that of `alpha`, value, error, and a word of its message.
OUTSIDE = [
    *((*option, value) for option in ALPHAS for value in [0, -1.0, math.nextafter(1e-6, 0), 2e6]),
    *((*NUMERIC[-1], value) for value in [-0.01, math.nextafter(1, 2), math.nextafter(1e-30, 0)]),
    *((*option, value) for option in NUMERIC for value in [math.nan, math.inf, 10**400]),
]
WRONG_TYPES = [*("0.5", None, [0.5], 1j, True, b"1", np.True_, np.complex64(1)), np.asarray([0.5])]
REJECTED = [
    *((*case, ValueError, f"`{case[1]}`") for case in OUTSIDE),
    *((*option, value, TypeError, f"`{option[1]}`") for option in NUMERIC for value in WRONG_TYPES),
    *(
        ("gelu", "approximate", x, ValueError, "'none'")
        for x in ["Tanh", "", None, True, 1, ["none"]]
    ),
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
        ("softplus", {"beta": 1.0}, "'beta'.*none"),
        ("softmax", {"axis": 0}, "'axis'"),
        ("linear", {"x": 0}, "'x'"),
    ],
)
def test_unknown_options(name, options, word):
    with pytest.raises(ValueError, match=word):
        ACTIVATIONS[name].checked(options)
    with pytest.raises(ValueError, match=word):
        xpnet.Dense([[1.0]], [0.0], name, options)


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional argument"):
        xpnet.elu([1.0], 0.5)


def test_allowed_numbers(xp_backend, subtests):
    x = xp_backend.asarray([-2.0, 0.0, 0.5, 3.0])
    allowed = {"alpha": [1e-6, 1, 1e6], "negative_slope": [0, 1e-30, 0.5, 1]}
    for name, option in NUMERIC:
        for value in allowed[option]:
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
    assert type(ACTIVATIONS["elu"].checked({"alpha": value})["alpha"]) is float


def test_a_string_of_numpy_becomes_a_python_string():
    options = ACTIVATIONS["gelu"].checked({"approximate": np.str_("tanh")})
    assert options == {"approximate": "tanh"}
    assert type(options["approximate"]) is str


EFFECTS = [
    ("celu", {"alpha": 0.5}, -1.0, -0.43233235838169365),
    ("elu", {"alpha": 0.5}, -1.0, -0.31606027941427883),
    ("gelu", {"approximate": "tanh"}, 1.0, 0.8411919906082768),
    ("leaky_relu", {"negative_slope": 0.25}, -2.0, -0.5),
]


@pytest.mark.parametrize(("name", "options", "x", "expected"), EFFECTS)
def test_options_reach_function_network_and_gradient(xp_backend, name, options, x, expected):
    row, xp, point = ACTIVATIONS[name], xp_backend.xp, xp_backend.asarray([x])
    weight, bias = xp_backend.asarray([[1.0]]), xp_backend.asarray([0.0])
    network = xpnet.Network([xpnet.Dense(weight, bias, name, options)])
    public = getattr(xpnet, name)(point, **options)
    forward = xpnet.forward(network, xp_backend.asarray([[x]]))
    slope = row.gradient(xp_backend.asarray([4.0]), point, public, xp, **options)
    h = np.asarray([1e-6])
    quotient = (row(x + h, np, **options) - row(x - h, np, **options)) / 2e-6
    for result, shape, value in (
        (public, (1,), expected),
        (forward, (1, 1), expected),
        (slope, (1,), 4 * quotient[0]),
    ):
        values = xp_backend.check(result, dtype="float32", shape=shape)
        assert float(values.flat[0]) == pytest.approx(value, rel=1e-6)
