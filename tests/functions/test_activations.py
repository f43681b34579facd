"""The activation functions and their table, on every backend."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from xpnet.functions.activations import ACTIVATIONS

NAMES = ("step", "sigmoid", "relu", "identity", "tanh")
FUNCTIONS = {name: getattr(xpnet, name) for name in NAMES}
INF, NAN = math.inf, math.nan

# What each function gives at the edges: pairs of x and the result.
EDGES = {
    "step": [(-INF, 0), (-1.0, 0), (-0.0, 0), (0.0, 0), (1e-30, 1), (INF, 1), (NAN, NAN)],
    "sigmoid": [(-INF, 0), (-1e30, 0), (-0.0, 0.5), (0.0, 0.5), (1e30, 1), (INF, 1), (NAN, NAN)],
    "relu": [(-INF, 0), (-2.0, 0), (-0.0, 0), (0.0, 0), (3.0, 3), (INF, INF), (NAN, NAN)],
    "identity": [(-INF, -INF), (-2.0, -2), (-0.0, 0), (0.0, 0), (INF, INF), (NAN, NAN)],
    "tanh": [(-INF, -1), (-1e30, -1), (-0.0, 0), (0.0, 0), (1e30, 1), (INF, 1), (NAN, NAN)],
}


def reference(name: str, x: float) -> float:
    """Return the function's value by the standard library, in double precision."""
    if name == "sigmoid":
        return math.exp(x) / (1 + math.exp(x)) if x < 0 else 1 / (1 + math.exp(-x))
    return {"step": float(x > 0), "relu": max(x, 0.0), "identity": x, "tanh": math.tanh(x)}[name]


def ulps(result: Any, exact: Any) -> Any:
    """Return the distance of results from exact values, in ULP of the result's dtype."""
    spacing = np.spacing(np.abs(exact).astype(result.dtype))
    return np.abs(result.astype(np.float64) - exact) / spacing


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges(backend, name, dtype):
    x, expected = np.asarray(EDGES[name], dtype).T
    values = backend.check(FUNCTIONS[name](backend.asarray(x, dtype)), dtype=dtype, shape=x.shape)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("name", NAMES)
def test_values_in_float32_are_within_the_stated_bound(backend, name):
    x = np.random.default_rng(0).normal(0, 20, 20_000).astype(np.float32)
    exact = np.asarray([reference(name, float(value)) for value in x])
    result = backend.check(FUNCTIONS[name](backend.asarray(x)), dtype="float32", shape=x.shape)
    normal = np.abs(exact) >= np.finfo(np.float32).tiny
    bound = 7 if name == "tanh" else 4
    assert np.max(ulps(result, exact)[normal]) <= bound
    assert np.max(np.abs(result - exact)[~normal], initial=0) <= np.finfo(np.float32).tiny


@pytest.mark.parametrize("name", NAMES)
def test_values_in_float64_are_near_the_standard_librarys(backend, name):
    x = np.random.default_rng(1).normal(0, 20, 2_000)
    expected = np.asarray([reference(name, float(value)) for value in x])
    result = backend.check(
        FUNCTIONS[name](backend.asarray(x, "float64")), dtype="float64", shape=x.shape
    )
    # The reference is off by an ULP or two itself.
    assert np.max(ulps(result, expected)) <= 7 + 2


def test_sigmoid_keeps_the_digits_of_its_negative_tail(backend):
    result = backend.check(
        xpnet.sigmoid(backend.asarray([-30.0, -80.0])), dtype="float32", shape=(2,)
    )
    np.testing.assert_allclose(result, [math.exp(-30), math.exp(-80)], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4)])
def test_shape_is_kept(backend, name, shape):
    result = FUNCTIONS[name](backend.asarray(np.ones(shape)))
    backend.check(result, dtype="float32", shape=shape)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_integers_become_the_default_floating_dtype(backend, name, dtype):
    x = backend.asarray([0, 1], dtype)
    default = backend.xp.__array_namespace_info__().default_dtypes(device=backend.device)
    result = FUNCTIONS[name](x)
    assert result.dtype == default["real floating"]


@pytest.mark.parametrize("name", NAMES)
def test_complex_is_refused(name):
    with pytest.raises(TypeError, match="`x` must hold real numbers; got dtype complex128"):
        FUNCTIONS[name](np.asarray([1j]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("x", [0.5, [0.5, -1], (1, 2)])
def test_numbers_and_lists_become_numpy(name, x):
    result = FUNCTIONS[name](x)
    assert isinstance(result, np.ndarray | np.float64)
    np.testing.assert_array_equal(result, FUNCTIONS[name](np.asarray(x)))


@pytest.mark.parametrize("x", ["0.5", None, {1: 2}, object()])
def test_other_things_are_refused(x):
    with pytest.raises(TypeError, match=rf"`x` must be an array.*got {type(x).__name__}"):
        xpnet.sigmoid(x)


@given(st.floats(width=32, allow_nan=False))
def test_sigmoid_is_complementary(x):
    total = xpnet.sigmoid(np.float32(x)) + xpnet.sigmoid(np.float32(-x))
    assert abs(total - 1) <= 2 * np.finfo(np.float32).eps


@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
@pytest.mark.parametrize("name", NAMES)
def test_functions_are_monotone_up_to_the_bound(name, a, b):
    low, high = FUNCTIONS[name](np.asarray(sorted([a, b]), np.float32))
    assert low <= high or low - high <= 8 * np.spacing(high)


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if row.derivative])
def test_derivatives_equal_difference_quotients(backend, name):
    row = ACTIVATIONS[name]
    x = np.linspace(-3.05, 3.05, 62)  # no kink at 0
    h = 1e-6
    quotient = (row.function(x + h, np) - row.function(x - h, np)) / (2 * h)
    point = backend.asarray(x)
    slope = row.derivative(point, row.function(point, backend.xp), backend.xp)
    values = backend.check(slope, dtype="float32", shape=x.shape)
    np.testing.assert_allclose(values, quotient, atol=1e-6)


def test_the_table_holds_every_public_activation():
    assert set(ACTIVATIONS) == {*NAMES, "linear"}
    assert ACTIVATIONS["linear"] is ACTIVATIONS["identity"]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_and_the_public_function_agree(backend, name):
    x = backend.asarray([-2.0, 0.0, 0.5])
    ours = backend.check(FUNCTIONS[name](x), dtype="float32", shape=(3,))
    table = backend.check(ACTIVATIONS[name].function(x, backend.xp), dtype="float32", shape=(3,))
    np.testing.assert_array_equal(ours, table)


SLOPES = {"sigmoid": 0.25, "tanh": 1.0, "identity": 1.0, "relu": 0.5}


@pytest.mark.parametrize("name", SLOPES)
def test_automatic_differentiation_at_zero_by_jax(name):
    jax = pytest.importorskip("jax", reason="differentiates by JAX")
    assert float(jax.grad(FUNCTIONS[name])(0.0)) == SLOPES[name]


@pytest.mark.parametrize("name", SLOPES)
def test_automatic_differentiation_at_zero_by_torch(name):
    torch = pytest.importorskip("torch", reason="differentiates by torch")
    x = torch.zeros(1, requires_grad=True)
    FUNCTIONS[name](x).sum().backward()
    assert float(x.grad[0]) == SLOPES[name]
