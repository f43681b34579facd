"""Derivatives at 0, far from it and at infinity; by automatic differentiation, too."""

import math

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS

INF = math.inf
DIFFERENTIABLE = [name for name, row in ACTIVATIONS.items() if row.derivative is not None]


def derivative(name, x, xp=np, **options):
    row = ACTIVATIONS[name]
    return row.derivative(x, row.function(x, xp, **options), xp, **options)


# The limits of the derivative at -inf and inf; exponential has none at inf.
LIMITS = dict.fromkeys(DIFFERENTIABLE, (0.0, 0.0)) | dict.fromkeys(
    (
        *("celu", "elu", "gelu", "hard_silu", "mish", "relu", "silu", "softplus"),
        *("sparse_plus", "squareplus", "threshold"),
    ),
    (0.0, 1.0),
)
LIMITS |= dict.fromkeys(
    ("hard_shrink", "identity", "linear", "soft_shrink", "tanh_shrink"), (1.0, 1.0)
)
LIMITS |= {
    "exponential": (0.0, INF),
    "leaky_relu": (0.01, 1.0),
    "log_sigmoid": (1.0, 0.0),
    "selu": (0.0, 1.0507009873554805),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_and_the_ends_of_the_dtype(xp_backend, name, dtype):
    limits = np.finfo(dtype)
    x = np.asarray([-INF, limits.min, limits.max, INF], dtype)
    slope = derivative(name, xp_backend.asarray(x, dtype), xp_backend.xp)
    values = xp_backend.check(slope, dtype=dtype, shape=(4,))
    below, above = LIMITS[name]
    np.testing.assert_allclose(values, [below, below, above, above], rtol=1e-6, atol=limits.tiny)


# At 0; where a corner is, in the middle of both slopes by automatic differentiation.
AT_ZERO = {
    "celu": 1.0,
    "elu": 1.0,
    "erf": 2 / math.sqrt(math.pi),
    "exponential": 1.0,
    "gelu": 0.5,
    "hard_shrink": 0.0,
    "hard_sigmoid": 1 / 6,
    "hard_silu": 0.5,
    "hard_tanh": 1.0,
    "identity": 1.0,
    "leaky_relu": (0.01, 0.505),
    "linear": 1.0,
    "log_sigmoid": 0.5,
    "mish": 0.6,
    "relu": (0.0, 0.5),
    "relu6": (0.0, 0.5),
    "selu": (1.7580993408473766, (1.7580993408473766 + 1.0507009873554805) / 2),
    "sigmoid": 0.25,
    "silu": 0.5,
    "soft_shrink": 0.0,
    "softplus": 0.5,
    "softsign": 1.0,
    "sparse_plus": 0.5,
    "sparse_sigmoid": 0.5,
    "squareplus": 0.5,
    "tanh": 1.0,
    "tanh_shrink": 0.0,
    "threshold": 0.0,
}


def at_zero(name):
    """Return the derivative at 0: the row's, and that of automatic differentiation."""
    slopes = AT_ZERO[name]
    return slopes if isinstance(slopes, tuple) else (slopes, slopes)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_zero(xp_backend, name):
    slope = derivative(name, xp_backend.asarray([0.0, -0.0]), xp_backend.xp)
    values = xp_backend.check(slope, dtype="float32", shape=(2,))
    np.testing.assert_allclose(values, at_zero(name)[0], rtol=1e-6)


def by_torch(name, x, **options):
    torch = pytest.importorskip("torch", reason="differentiates by torch")
    x = torch.asarray(x).requires_grad_()
    getattr(xpnet, ACTIVATIONS[name].name)(x, **options).sum().backward()
    return x.grad.numpy()


def by_jax(name, x, **options):
    jax = pytest.importorskip("jax", reason="differentiates by JAX")
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003 (JAX's own signature)
    function = getattr(xpnet, ACTIVATIONS[name].name)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: function(x, **options))))
    return np.asarray(slope(jax.numpy.asarray(x)))


@pytest.mark.parametrize("differentiate", [by_torch, by_jax])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_automatic_differentiation_at_zero(name, dtype, differentiate):
    slopes = differentiate(name, np.zeros(2, dtype))
    np.testing.assert_allclose(slopes, at_zero(name)[1], rtol=1e-6)


@pytest.mark.parametrize("differentiate", [by_torch, by_jax])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_automatic_differentiation_elsewhere(differentiable_case, points, dtype, differentiate):
    name, options = differentiable_case
    far = [81.0, 95.0, 200.0, 1e3, 1e5, 1e10, 1e30]
    x = np.concatenate([points, far, np.negative(far)]).astype(dtype)
    if name == "exponential":  # beyond its range it is constant, as far as a library can tell
        x = x[x <= 81.0]
    expected = derivative(name, x.astype(np.float64), **options)
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(
        differentiate(name, x, **options), expected, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("differentiate", [by_torch, by_jax])
@pytest.mark.parametrize(
    ("name", "dtype", "ends"),
    [
        ("erf", "float32", [3.92]),
        ("erf", "float64", [5.95]),
        ("gelu", "float64", [40.0]),
        ("log_sigmoid", "float32", [20.0, 88.0]),
        ("log_sigmoid", "float64", [40.0, 709.0]),
        ("mish", "float32", [88.0, 1000.0]),
        ("sigmoid", "float32", [88.0]),
        ("sigmoid", "float64", [709.0]),
        ("silu", "float32", [88.0, 1000.0]),
        ("softplus", "float32", [20.0]),
        ("softplus", "float64", [40.0]),
        ("squareplus", "float64", [1e15]),
        ("tanh_shrink", "float64", [1.0]),
    ],
)
def test_automatic_differentiation_where_a_formula_ends(name, dtype, ends, differentiate):
    x = np.asarray([*np.negative(ends), *ends], dtype)
    expected = derivative(name, x.astype(np.float64))
    np.testing.assert_allclose(differentiate(name, x), expected, rtol=1e-5, atol=1e-6)
