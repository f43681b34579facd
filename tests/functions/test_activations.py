"""The activation functions and their table: what goes in, what comes out, on every backend."""

import inspect
import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.losses import LOSSES

ALONG_AXIS = ("log_softmax", "softmax", "sparsemax")
NOT_LEARNABLE = ("step",)


def reference(name, x):
    """Return a function's value by the standard library, in double precision."""
    sigmoid = math.exp(x) / (1 + math.exp(x)) if x < 0 else 1 / (1 + math.exp(-x))
    softplus = max(x, 0.0) + math.log1p(math.exp(-abs(x)))
    return {
        "celu": max(x, 0.0) + math.expm1(min(x, 0.0)),
        "elu": max(x, 0.0) + math.expm1(min(x, 0.0)),
        "erf": math.erf(x),
        "exponential": math.exp(x),
        "gelu": 0.5 * x * math.erfc(-x / math.sqrt(2)),
        "hard_shrink": x if abs(x) > 0.5 else 0.0,
        "hard_sigmoid": min(max((x + 3) / 6, 0.0), 1.0),
        "hard_silu": x * min(max((x + 3) / 6, 0.0), 1.0),
        "hard_tanh": min(max(x, -1.0), 1.0),
        "identity": x,
        "leaky_relu": x if x > 0 else 0.01 * x,
        "log_sigmoid": x - softplus,
        "mish": x * math.tanh(softplus),
        "relu": max(x, 0.0),
        "relu6": min(max(x, 0.0), 6.0),
        "selu": 1.0507009873554805 * max(x, 0.0) + 1.7580993408473766 * math.expm1(min(x, 0.0)),
        "sigmoid": sigmoid,
        "silu": x * sigmoid,
        "soft_shrink": math.copysign(max(abs(x) - 0.5, 0.0), x),
        "softplus": softplus,
        "softsign": x / (1 + abs(x)),
        "sparse_plus": x if x > 1 else max(x + 1, 0.0) ** 2 / 4,
        "sparse_sigmoid": min(max((x + 1) / 2, 0.0), 1.0),
        "squareplus": (x + math.sqrt(x * x + 4)) / 2,
        "step": float(x > 0),
        "tanh": math.tanh(x),
        "tanh_shrink": x - math.tanh(x),
        "threshold": x if x > 1 else 0.0,
    }[name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_those_of_the_definition(xp_backend, elementwise, dtype):
    x = np.random.default_rng(0).normal(0, 4, 300).astype(dtype)
    exact = [reference(elementwise, float(value)) for value in x]
    result = getattr(xpnet, elementwise)(xp_backend.asarray(x, dtype))
    values = xp_backend.check(result, dtype=dtype, shape=x.shape)
    # The definitions cancel: down to some 1e-15 is all that they tell. How many digits the
    # results have is for the tables of true values.
    rtol = 1e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(values, exact, rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4)])
def test_shape_is_kept(xp_backend, elementwise, shape):
    result = getattr(xpnet, elementwise)(xp_backend.asarray(np.ones(shape)))
    xp_backend.check(result, dtype="float32", shape=shape)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_whole_numbers_become_the_default_floating_dtype(xp_backend, elementwise, dtype):
    default = xp_backend.xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
    result = getattr(xpnet, elementwise)(xp_backend.asarray([0, 1], dtype))
    assert result.dtype == default["real floating"]
    floats = xp_backend.xp.astype(xp_backend.asarray([0, 1], dtype), default["real floating"])
    expected = to_numpy(getattr(xpnet, elementwise)(floats))
    np.testing.assert_array_equal(to_numpy(result), expected)


@pytest.mark.parametrize(
    ("library", "dtype"),
    [
        ("numpy", "float16"),
        ("torch", "float16"),
        ("torch", "bfloat16"),
        ("jax.numpy", "float16"),
        ("jax.numpy", "bfloat16"),
    ],
)
def test_short_dtypes_are_kept(elementwise, library, dtype):
    module = pytest.importorskip(library, reason=f"needs {library}")
    numbers = [-5.5, -1.0, 0.0, 0.25, 2.0]
    x = module.asarray(numbers, dtype=getattr(module, dtype))
    result = getattr(xpnet, elementwise)(x)
    assert result.dtype == x.dtype
    exact = getattr(xpnet, elementwise)(np.asarray(numbers))
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    np.testing.assert_allclose(result.tolist(), exact, rtol=eps, atol=1e-7)


def test_complex_is_refused(elementwise):
    with pytest.raises(TypeError, match="`x` must hold real numbers; got dtype complex128"):
        getattr(xpnet, elementwise)(np.asarray([1j]))


@pytest.mark.parametrize("x", [0.5, [0.5, -1], (1, 2), True, [[1.5], [2.5]]])
def test_numbers_and_lists_become_numpy(elementwise, x):
    result = getattr(xpnet, elementwise)(x)
    assert isinstance(result, np.ndarray | np.float64)
    assert (result.dtype, np.shape(result)) == (np.float64, np.shape(x))
    np.testing.assert_array_equal(result, getattr(xpnet, elementwise)(np.asarray(x, float)))


@pytest.mark.parametrize("x", ["0.5", None, {1: 2}, object()])
def test_other_things_are_refused(elementwise, x):
    with pytest.raises(TypeError, match=rf"`x` must be an array.*got {type(x).__name__}"):
        getattr(xpnet, elementwise)(x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numpy_scalars(elementwise, dtype):
    x = np.dtype(dtype).type(0.625)
    result = getattr(xpnet, elementwise)(x)
    assert (result.dtype, np.shape(result)) == (x.dtype, ())
    assert result == getattr(xpnet, elementwise)(np.asarray([0.625], dtype))[0]


@pytest.mark.parametrize(
    "view",
    [lambda x: x[::-2], lambda x: x.T, lambda x: x[:, 1], lambda x: np.broadcast_to(x[0], (3, 4))],
    ids=["reversed", "transposed", "column", "broadcast"],
)
def test_views_and_read_only_arrays(elementwise, view):
    x = np.random.default_rng(1).normal(0, 2, (6, 4))
    x.flags.writeable = False
    before, seen = x.copy(), view(x)
    np.testing.assert_array_equal(
        getattr(xpnet, elementwise)(seen), getattr(xpnet, elementwise)(seen.copy())
    )
    np.testing.assert_array_equal(x, before)


def test_nothing_is_written_into_the_argument(xp_backend, elementwise):
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    argument = xp_backend.asarray(x)
    getattr(xpnet, elementwise)(argument)
    np.testing.assert_array_equal(xp_backend.check(argument, dtype="float32", shape=(13,)), x)


def test_sigmoid_keeps_the_digits_of_its_negative_tail(xp_backend):
    x = xp_backend.asarray([-30.0, -80.0])
    result = xp_backend.check(xpnet.sigmoid(x), dtype="float32", shape=(2,))
    np.testing.assert_allclose(result, [math.exp(-30), math.exp(-80)], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_a_row_is_its_public_function(xp_backend, name):
    row = ACTIVATIONS[name]
    x = xp_backend.asarray([-2.0, 0.0, 0.5, 4.0])
    ours = xp_backend.check(getattr(xpnet, row.name)(x), dtype="float32", shape=(4,))
    of_row = xp_backend.check(row(x, xp_backend.xp), dtype="float32", shape=(4,))
    np.testing.assert_array_equal(ours, of_row)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_a_rows_options_are_its_functions(name):
    row = ACTIVATIONS[name]
    public = inspect.signature(getattr(xpnet, row.name)).parameters
    defaults = {
        key: parameter.default
        for key, parameter in public.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key != "axis"
    }
    assert row.checked({}) == defaults
    assert dict(row.options).keys() == defaults.keys()


def test_the_table_names_what_a_layer_can_have():
    public = {name for name in xpnet.__all__ if name in dir(xpnet) and name.islower()}
    functions = {
        name
        for name in public
        if getattr(getattr(xpnet, name), "__module__", "").startswith("xpnet.functions.")
    }
    # glu halves its axis, logsumexp drops it, and losses take what should come out.
    functions -= {*LOSSES}
    assert set(ACTIVATIONS) == functions - {"glu", "logsumexp"} | {"linear"}
    assert len(functions) == 33


def test_linear_is_the_identity():
    assert ACTIVATIONS["linear"] is ACTIVATIONS["identity"]
    assert {name for name, row in ACTIVATIONS.items() if row.name != name} == {"linear"}


def test_kinds_of_rows():
    assert {name for name, row in ACTIVATIONS.items() if not row.is_elementwise} == {*ALONG_AXIS}
    assert {name for name, row in ACTIVATIONS.items() if not row.is_learnable} == {*NOT_LEARNABLE}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        ACTIVATIONS["swish"] = ACTIVATIONS["silu"]
