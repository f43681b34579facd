"""What the elementwise functions give at the ends of the dtypes, at 0 and at NaN."""

import math
import warnings

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS

INF, NAN = math.inf, math.nan
LOW, HIGH = "the lowest number", "the largest number"
LOG_2 = math.log(2.0)
SELU_FLOOR = -1.0507009873554805 * 1.6732632423543772

# The values at -inf, at the lowest number, at 0, at the largest number, and at inf.
EDGES = {
    "celu": (-1, -1, 0, HIGH, INF),
    "elu": (-1, -1, 0, HIGH, INF),
    "erf": (-1, -1, 0, 1, 1),
    "exponential": (0, 0, 1, INF, INF),
    "gelu": (0, 0, 0, HIGH, INF),
    "hard_shrink": (-INF, LOW, 0, HIGH, INF),
    "hard_sigmoid": (0, 0, 0.5, 1, 1),
    "hard_silu": (0, 0, 0, HIGH, INF),
    "hard_tanh": (-1, -1, 0, 1, 1),
    "identity": (-INF, LOW, 0, HIGH, INF),
    "leaky_relu": (-INF, "a hundredth of the lowest number", 0, HIGH, INF),
    "log_sigmoid": (-INF, LOW, -LOG_2, 0, 0),
    "mish": (0, 0, 0, HIGH, INF),
    "relu": (0, 0, 0, HIGH, INF),
    "relu6": (0, 0, 0, 6, 6),
    "selu": (SELU_FLOOR, SELU_FLOOR, 0, INF, INF),
    "sigmoid": (0, 0, 0.5, 1, 1),
    "silu": (0, 0, 0, HIGH, INF),
    "soft_shrink": (-INF, LOW, 0, HIGH, INF),
    "softplus": (0, 0, LOG_2, HIGH, INF),
    "softsign": (-1, -1, 0, 1, 1),
    "sparse_plus": (0, 0, 0.25, HIGH, INF),
    "sparse_sigmoid": (0, 0, 0.5, 1, 1),
    "squareplus": (0, 0, 1, HIGH, INF),
    "step": (0, 0, 0, 1, 1),
    "tanh": (-1, -1, 0, 1, 1),
    "tanh_shrink": (-INF, LOW, 0, HIGH, INF),
    "threshold": (0, 0, 0, HIGH, INF),
}
# Likewise, with options at the ends of what is allowed.
OPTIONS_AT_EDGES = [
    ("celu", {"alpha": 1e6}, (-1e6, -1e6, 0, HIGH, INF)),
    ("celu", {"alpha": 1e-6}, (-1e-6, -1e-6, 0, HIGH, INF)),
    ("elu", {"alpha": 1e6}, (-1e6, -1e6, 0, HIGH, INF)),
    ("elu", {"alpha": 1e-6}, (-1e-6, -1e-6, 0, HIGH, INF)),
    ("gelu", {"approximate": "tanh"}, (0, 0, 0, HIGH, INF)),
    ("hard_shrink", {"threshold": 0.0}, (-INF, LOW, 0, HIGH, INF)),
    ("hard_shrink", {"threshold": 1e4}, (-INF, LOW, 0, HIGH, INF)),
    ("leaky_relu", {"negative_slope": 0.0}, (0, 0, 0, HIGH, INF)),
    ("leaky_relu", {"negative_slope": 1e-30}, (-INF, -340282346.6385289, 0, HIGH, INF)),
    ("leaky_relu", {"negative_slope": 1.0}, (-INF, LOW, 0, HIGH, INF)),
    ("soft_shrink", {"threshold": 0.0}, (-INF, LOW, 0, HIGH, INF)),
    ("softplus", {"beta": 1e6}, (0, 0, LOG_2 / 1e6, HIGH, INF)),
    ("softplus", {"beta": 1e-6}, (0, 0, LOG_2 * 1e6, HIGH, INF)),
    ("squareplus", {"b": 1e6}, (0, 7.3468397e-34, 500, HIGH, INF)),
    ("squareplus", {"b": 1e-6}, (0, 0, 5e-4, HIGH, INF)),
    ("threshold", {"threshold": -2.0, "value": 7.0}, (7, 7, 0, HIGH, INF)),
    ("threshold", {"threshold": -1e30, "value": -1e30}, (-1e30, -1e30, 0, HIGH, INF)),
]


def inputs(dtype):
    """Return -inf, the lowest number, 0, the largest number, inf, -0.0 and NaN."""
    limits = np.finfo(dtype)
    return np.asarray([-INF, limits.min, 0.0, limits.max, INF, -0.0, NAN], dtype)


def expected(edges, dtype):
    """Return the values at the inputs, in float64."""
    limits = np.finfo(dtype)
    words = {LOW: limits.min, HIGH: limits.max, EDGES["leaky_relu"][1]: float(limits.min) / 100}
    numbers = [float(words.get(value, value)) for value in edges]
    return np.asarray([*numbers, numbers[2], NAN])


def compute(xp_backend, name, x, dtype, **options):
    """Return a function's values; without the dtype, where a namespace does not name it."""
    result = getattr(xpnet, name)(xp_backend.asarray(x, dtype), **options)
    if not hasattr(xp_backend.xp, dtype):  # Dask computes in float16, of which it does not speak
        assert str(result.dtype) == dtype
        return to_numpy(result)
    return xp_backend.check(result, dtype=dtype, shape=np.shape(x))


def check(values, edges, dtype):
    limits = np.finfo(dtype)
    np.testing.assert_allclose(
        values.astype(np.float64),
        expected(edges, dtype),
        rtol=4 * float(limits.eps),
        # The lowest number's squareplus is subnormal in float32, which may be flushed to 0.
        atol=float(limits.tiny),
    )


def skip_without(xp_backend, dtype):
    if dtype == "float16" and xp_backend.name.startswith("array-api-strict"):
        pytest.skip("array-api-strict has no float16")


def test_the_table_of_edges_is_complete():
    rows = {name for name, row in ACTIVATIONS.items() if row.is_elementwise}
    assert set(EDGES) == rows - {"linear"}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_edges(xp_backend, name, dtype):
    skip_without(xp_backend, dtype)
    check(compute(xp_backend, name, inputs(dtype), dtype), EDGES[name], dtype)


@pytest.mark.parametrize(("name", "options", "edges"), OPTIONS_AT_EDGES)
def test_edges_with_options(xp_backend, name, options, edges):
    check(compute(xp_backend, name, inputs("float32"), "float32", **options), edges, "float32")


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_edges_compiled_by_jax(name, dtype):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003 (JAX's own signature)
    result = jax.jit(getattr(xpnet, name))(jax.numpy.asarray(inputs(dtype)))
    assert result.dtype == dtype
    check(np.asarray(result), EDGES[name], dtype)


@pytest.mark.parametrize(("name", "options", "edges"), OPTIONS_AT_EDGES)
def test_edges_with_options_compiled_by_jax(name, options, edges):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    compiled = jax.jit(lambda x: getattr(xpnet, name)(x, **options))
    check(np.asarray(compiled(jax.numpy.asarray(inputs("float32")))), edges, "float32")


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_subnormal_numbers(xp_backend, name, dtype):
    skip_without(xp_backend, dtype)
    limits = np.finfo(dtype)
    sizes = np.asarray([limits.smallest_subnormal, limits.tiny / 2], dtype)
    values = compute(xp_backend, name, np.concatenate([-sizes, sizes]), dtype).astype(np.float64)
    if name == "step":  # a library may take a subnormal number for 0
        np.testing.assert_array_equal(values[:2], 0)
        assert set(values[2:]) <= {0.0, 1.0}
    else:
        at_zero = expected(EDGES[name], dtype)[2]
        # No slope exceeds SELU's of 1.76.
        limit = 2 * float(limits.tiny) + 2 * float(limits.eps) * abs(at_zero)
        assert np.max(np.abs(values - at_zero)) <= limit


@pytest.mark.parametrize("name", ["erf", "identity", "tanh", "softsign", "hard_tanh"])
def test_the_sign_of_zero_is_kept(xp_backend, name):
    values = compute(xp_backend, name, [-0.0, 0.0], "float32")
    np.testing.assert_array_equal(np.signbit(values), [True, False])


@pytest.mark.parametrize("shape", [(), (5,)])
@pytest.mark.parametrize("value", [-INF, -1e30, 0.0, 1e30, INF, NAN])
def test_numpy_is_silent_even_if_told_to_speak(elementwise, value, shape):
    x = np.full(shape, value, np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        y = getattr(xpnet, elementwise)(x)
    assert np.shape(y) == shape
    assert np.all(np.isnan(y)) == math.isnan(value)
