"""Arguments of the functions: what is refused, which options are allowed, and what they change."""

import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from function_cases import ALONG_AXIS, CASES, ELEMENTWISE

import xpnet
from xpnet.functions.activations import ACTIVATIONS

TABLE, ROW, ONE = np.zeros((2, 3)), np.zeros(3), np.ones(1)
CROSS, BINARY, SQUARE = xpnet.cross_entropy, xpnet.binary_cross_entropy, xpnet.mean_squared_error
NUMERIC = [("celu", "alpha"), ("elu", "alpha"), ("leaky_relu", "negative_slope")]
OUTSIDE = {
    "alpha": [0, -1.0, math.nextafter(1e-6, 0), 2e6, math.nan, math.inf, 10**400],
    "negative_slope": [-0.01, math.nextafter(1, 2), math.nextafter(1e-30, 0), math.nan, 10**400],
}
NO_NUMBERS = ["0.5", None, [0.5], 1j, True, b"1", np.True_, np.complex64(1), np.asarray([0.5])]
# Function, option, value, error, word.
OPTIONS = [
    *((f, key, x, ValueError, f"`{key}`") for f, key in NUMERIC for x in OUTSIDE[key]),
    *((f, key, x, TypeError, f"`{key}`") for f, key in NUMERIC for x in NO_NUMBERS),
    *(("gelu", "approximate", x, ValueError, "'none'") for x in ["Tanh", "", None, 1, ["none"]]),
]
UNKNOWN = [("relu", "alpha", "none"), ("elu", "beta", "alpha"), ("softmax", "axis", "none")]
UNKNOWN += [("linear", "x", "none")]


def dense(name, option, value):
    return partial(xpnet.Dense, [[1.0]], [0.0], name, {option: value})


def beside_strict(loss, x):
    return loss(x, pytest.importorskip("array_api_strict").asarray([1]))


# Call, class of the error, word of the message.
REFUSED = [
    *((partial(getattr(xpnet, f), ROW, **{key: x}), e, word) for f, key, x, e, word in OPTIONS),
    *((dense(f, key, x), error, word) for f, key, x, error, word in OPTIONS),
    *((dense(f, key, 0), ValueError, f"'{key}'.*{word}") for f, key, word in UNKNOWN),
    *((partial(getattr(xpnet, f), ONE * 1j), TypeError, "complex128") for f in ELEMENTWISE),
    (lambda: ACTIVATIONS["step"].gradient(ONE, ONE, ONE, np), ValueError, "step"),
    (lambda: ACTIVATIONS["softmax"].ulp_bound("float32"), ValueError, "softmax"),
    (lambda: ACTIVATIONS["log_softmax"].slope(ONE, ONE, np), ValueError, "log_softmax"),
    # Axes.
    *(
        (partial(getattr(xpnet, f), x, axis=axis), error, word)
        for f in [*ALONG_AXIS, "logsumexp"]
        for x, axis, error, word in [
            *((TABLE, axis, ValueError, f"2 axes; got {axis}") for axis in (2, -3, 7)),
            (1.0, -1, ValueError, "0 axes"),
            *((TABLE, axis, TypeError, "integer") for axis in (None, "a", 1.0, (0, 1))),
        ]
    ),
    # Losses.
    (lambda: CROSS([[0.0, 1.0]], [1.0]), TypeError, "`labels`"),
    (lambda: CROSS([[0.0, 1.0]], [[1.0, 0.0]]), TypeError, "one-hot"),
    (lambda: CROSS(TABLE, np.zeros(3, int)), ValueError, "`labels`"),
    (lambda: CROSS(TABLE, np.zeros(2, int), axis=2), ValueError, "axes"),
    *(
        (partial(loss, x, target), error, word)
        for loss in (BINARY, SQUARE)
        for x, target, error, word in [
            (TABLE * 1j, TABLE, TypeError, "complex128"),
            (TABLE, TABLE * 1j, TypeError, "`targets`.*complex128"),
            ("x", TABLE, TypeError, "must be an array"),
            (TABLE, None, TypeError, "`targets`"),
            (TABLE, ROW, ValueError, "`targets`.*shape"),
        ]
    ),
    (partial(beside_strict, CROSS, TABLE[:1]), TypeError, "array_api_strict"),
    (partial(beside_strict, BINARY, ROW[:1]), TypeError, "array_api_strict"),
    (partial(beside_strict, SQUARE, ROW[:1]), TypeError, "array_api_strict"),
]


@pytest.mark.parametrize(("call", "error", "word"), REFUSED)
def test_what_is_refused(call, error, word):
    with pytest.raises(error, match=word):
        call()


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


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[1]])
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
