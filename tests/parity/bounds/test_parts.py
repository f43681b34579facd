"""Parts of the bounds: floating-point formats, norms of weights, and rowwise activations."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity.bounds.propagation import Propagation, spectral_bound
from xpnet.parity.bounds.rounding import FORMATS, format_of, function_error, rowwise_error

F32 = np.float32


def numbers(n, low, high):
    return st.lists(st.floats(low, high), min_size=n, max_size=n)


def network_of(activation="identity", dtype=F32, **options):
    weight, bias = np.ones((2, 2), dtype), np.zeros(2, dtype)
    return xpnet.Network([xpnet.Dense(weight, bias, activation, options)])


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_formats_are_those_of_numpy(name):
    precision, info = format_of(network_of(dtype=name)), np.finfo(name)
    assert 2.0 * precision.unit == info.eps
    assert (precision.largest, precision.normal) == (info.max, info.smallest_normal)
    assert precision.floor == (info.smallest_subnormal if name == "float16" else info.tiny)


@pytest.mark.parametrize("confidence", [1.0 - 1e-6, 1.0])
def test_bounds_follow_the_derivation(confidence):
    given = ((3, 0.25, "tanh"), (1, 0.0, "relu"))
    layers = [xpnet.Dense(np.ones((n, 1), F32), F32([bias]), f) for n, bias, f in given]
    propagation, u = Propagation(xpnet.Network(layers), 1, confidence), 2.0**-24
    _, (y, first), (_, second) = propagation.stages(F32([[0.25, 0.25, 0.25]]))
    factor, slope = propagation.factor, 1.0 - np.tanh(1.0) ** 2
    drift = 2.0 * u * ACTIVATIONS["tanh"].ulp_bound("float32") * y
    own = 6.0 * u * slope if confidence == 1.0 else factor * 8.0**0.5 * u * slope
    np.testing.assert_allclose(first, own + drift, rtol=1e-4)
    last = 4.0 * u * y + own if confidence == 1.0 else np.hypot(factor * 6.0**0.5 * u * y, own)
    np.testing.assert_allclose(second, last + drift, rtol=1e-4)


@given(n=st.integers(0, 2**25), factor=st.floats(1.0, 10.0))
def test_roundings_add_up(n, factor):
    precision, first_order = FORMATS["float32"], math.sqrt(n) * 2.0**-24
    spread, worst = precision.spread(n, factor), float(precision.worst(n))
    assert first_order <= spread * (1.0 + 1e-12)
    assert spread <= first_order * (1.0 + factor * first_order)
    if n < 2**24:  # (1 + u)^n - 1 bounds the relative error of n roundings
        assert math.expm1(n * math.log1p(2.0**-24)) <= worst * (1.0 + 1e-12)
    else:
        assert worst == math.inf


@given(data=st.data())
def test_the_bound_of_the_largest_singular_value_holds_and_is_close(data):
    shape = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    weight = np.reshape(data.draw(numbers(math.prod(shape), -1.0, 1.0)), shape)
    weight /= np.max(np.abs(weight)) or 1.0
    largest, found = np.linalg.norm(weight, 2), spectral_bound(weight)
    assert largest <= found * (1.0 + 1e-12) <= largest * 6.0 ** (1 / 16) * (1.0 + 1e-4)


@pytest.mark.parametrize(
    ("activation", "options", "n_units"),
    [
        ("relu", {}, 0.0),
        ("tanh", {}, 2.0 * ACTIVATIONS["tanh"].ulp_bound("float32")),
        ("leaky_relu", {"negative_slope": 0.5}, 2.0),
        ("leaky_relu", {"negative_slope": 0.5 + 2.0**-26}, 2.5),
    ],
)
def test_errors_of_functions_include_those_of_rounded_options(activation, options, n_units):
    y = np.asarray([[-8.0, 0.0, math.inf]])
    network = network_of(activation, **options)
    found = function_error(network.layers[0], y, y, FORMATS["float32"], 0.0)
    np.testing.assert_allclose(found, [[8.0 * n_units * 2.0**-24, 0.0, 0.0]], atol=1e-30)


ROWWISE = sorted(name for name, row in ACTIVATIONS.items() if not row.is_elementwise)


@pytest.mark.parametrize("activation", ROWWISE)
@given(data=st.data())
def test_rowwise_activations_stay_within_their_bound(activation, data):
    n = data.draw(st.integers(1, 6))
    z = np.asarray([data.draw(numbers(n, -50.0, 50.0))])
    error = np.asarray([data.draw(numbers(n, 0.0, 3.0))])
    share = np.asarray([data.draw(numbers(n, -1.0, 1.0))])
    y, moved = (ACTIVATIONS[activation](x, np) for x in (z, z + share * error))
    bound = rowwise_error(activation, z, y, error, FORMATS["float32"])
    assert np.all(np.abs(moved - y) <= bound)
    assert np.all(rowwise_error(activation, z, y, 0.0 * error, FORMATS["float32"]) <= 1e-4)
