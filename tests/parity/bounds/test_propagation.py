"""Parts of the bounds: floating-point formats, norms of weights, and rowwise activations."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity.bounds.error_terms import spectral_bound
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import format_of, in_float64, relative_error, rowwise_error

F32 = np.float32


def numbers(n, low, high):
    return st.lists(st.floats(low, high), min_size=n, max_size=n)


def network_of(activation="identity", dtype=F32, **options):
    weight, bias = np.ones((2, 2), dtype), np.zeros(2, dtype)
    return xpnet.Network([xpnet.Dense(weight, bias, activation, options)])


NAMES = ("float16", "float32", "float64")
FORMATS = {name: format_of(network_of(dtype=name)) for name in NAMES}


@pytest.mark.parametrize("name", FORMATS)
def test_precisions_are_those_of_numpy(name):
    precision, info = FORMATS[name], np.finfo(name)
    assert precision.name == name
    assert 2.0 * precision.unit == info.eps
    assert precision.largest == info.max
    assert precision.floor == (info.smallest_subnormal if name == "float16" else info.tiny)


@pytest.mark.parametrize("name", FORMATS)
@given(value=st.floats(2.0**-14, 60000.0))
def test_an_ulp_is_the_distance_of_numbers(name, value):
    number = np.asarray(value, name)
    assert FORMATS[name].ulp(float(number)) == np.spacing(number)
    assert FORMATS[name].ulp(-float(number)) == np.spacing(number)


def test_there_are_no_subnormal_ulps():
    assert FORMATS["float32"].ulp(0.0) == 2.0**-149
    assert FORMATS["float32"].ulp(1e-45) == 2.0**-149


@given(n=st.integers(1, 10**6), factor=st.floats(1.0, 10.0))
def test_roundings_spread_by_the_square_root_of_their_number(n, factor):
    spread = FORMATS["float32"].spread(n, factor)
    first_order = math.sqrt(n) * 2.0**-24
    assert first_order <= spread * (1.0 + 1e-12)
    assert spread <= first_order * (1.0 + factor * first_order)


@given(n=st.integers(0, 2**25))
def test_roundings_at_worst_add_up(n):
    worst = float(FORMATS["float32"].worst(n))
    if n < 2**24:
        # (1 + u)^n - 1 bounds the relative error of n roundings.
        assert math.expm1(n * math.log1p(2.0**-24)) <= worst * (1.0 + 1e-12)
    else:
        assert worst == math.inf


def test_other_dtypes_have_no_precision():
    network = network_of()
    object.__setattr__(network.layers[0], "weight", np.ones((2, 2), np.complex64))
    message = "^`network` must be of float16, bfloat16, float32, float64; got complex64$"
    with pytest.raises(TypeError, match=message):
        format_of(network)


def matrices():
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 6))
    return shapes.flatmap(
        lambda shape: numbers(math.prod(shape), -1e3, 1e3).map(
            lambda flat: np.asarray(flat).reshape(shape)
        )
    )


@given(weight=matrices())
def test_the_bound_of_the_largest_singular_value_holds_and_is_close(weight):
    largest = np.linalg.norm(weight, 2)
    found = spectral_bound(weight)
    assert largest <= found * (1.0 + 1e-12)
    # At most the 16th root of the number of singular values.
    assert found <= largest * 6.0 ** (1 / 16) * (1.0 + 1e-4)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150])
@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_the_largest_singular_value_of_wide_weights(scale, shape):
    weight = np.random.default_rng(0).normal(size=shape) * scale
    largest = np.linalg.norm(weight / scale, 2) * scale
    assert largest <= spectral_bound(weight) <= 1.45 * largest


def test_zeros_have_no_length():
    assert spectral_bound(np.zeros((3, 2))) == 0.0


def test_options_are_rounded_to_the_precision():
    layers = in_float64(network_of("leaky_relu", negative_slope=0.1)).layers
    assert layers[0].options["negative_slope"] == float(F32(0.1))
    assert layers[0].weight.dtype == np.float64
    layers = in_float64(network_of("leaky_relu", "float64", negative_slope=0.1)).layers
    assert layers[0].options["negative_slope"] == 0.1


@pytest.mark.parametrize(
    ("activation", "options", "ulp"),
    [
        ("relu", {}, 0),
        ("sigmoid", {}, 4),
        ("tanh", {}, 5),
        ("softplus", {}, 4),
        ("softplus", {"beta": 3.0}, 6),
        ("gelu", {"approximate": "none"}, 6),
        ("gelu", {"approximate": "tanh"}, 4),
    ],
)
def test_relative_errors_are_the_largest_of_all_libraries(activation, options, ulp):
    layer = network_of(activation, **options).layers[0]
    assert relative_error(layer, FORMATS["float32"]) == ulp * 2.0**-23


ROWWISE = sorted(name for name, row in ACTIVATIONS.items() if not row.is_elementwise)


@pytest.mark.parametrize("activation", ROWWISE)
@given(data=st.data())
def test_rowwise_activations_stay_within_their_bound(activation, data):
    n = data.draw(st.integers(1, 6))
    z = np.asarray([data.draw(numbers(n, -50.0, 50.0))])
    error = np.asarray([data.draw(numbers(n, 0.0, 3.0))])
    share = np.asarray([data.draw(numbers(n, -1.0, 1.0))])
    function = ACTIVATIONS[activation]
    y, moved = (function(x, np) for x in (z, z + share * error))
    bound = rowwise_error(activation, z, y, error, FORMATS["float32"])
    assert bound.shape == (1, n)
    assert np.all(np.abs(moved - y) <= bound)


def test_the_confidence_is_shared_by_all_results():
    few, many = (Propagation(network_of(), n, 1.0 - 1e-6).factor for n in (1, 10**6))
    assert 2.0 * math.exp(-(few**2) / 2.0) == pytest.approx(1e-6)
    assert 2e6 * math.exp(-(many**2) / 2.0) == pytest.approx(1e-6)


def test_measured_errors_match_the_variance():
    # Over many rows the root mean square error is below its standard, and not far below.
    rng = np.random.default_rng(0)
    n_in, n_rows = 400, 500
    weight = rng.normal(size=(n_in, 1)).astype(F32)
    layer = xpnet.Dense(weight, np.zeros(1, F32))
    rows = rng.normal(size=(n_rows, n_in)).astype(F32)
    total = np.cumsum(rows * weight[:, 0], axis=1, dtype=F32)[:, -1]
    propagation = Propagation(xpnet.Network([layer]), n_rows, 1.0 - 1e-6)
    _, (values, bound) = propagation.stages(rows)
    standard = bound[:, 0] / propagation.factor
    errors = (total - values[:, 0]) / standard
    assert 0.02 < np.sqrt(np.mean(errors**2)) < 1.0
