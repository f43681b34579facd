"""Derivatives by differences and automatically, and gradients along an axis."""

import functools
import importlib

import numpy as np
import pytest
from function_cases import ALONG_AXIS, DIFFERENTIABLE, POINTS, ROWS, assert_near

import xpnet

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # off in public functions
NAMES = [name for name, options in DIFFERENTIABLE if not options]
FAR = np.asarray([81.0, 95.0, 200.0, 710.0, 1e3, 1e5, 1e10, 1e30])


def derivative(name, x, xp=np, **options):
    row = ROWS[name]
    return row.derivative(x, row.function(x, xp, **options), xp, **options)


def derivatives(xp_backend, cases, x, dtype):
    """Return the derivatives of cases, computed as one array: faster in Dask than many."""
    argument, xp = xp_backend.asarray(x, dtype), xp_backend.xp
    slopes = xp.stack([derivative(name, argument, xp, **options) for name, options in cases])
    return xp_backend.check(slopes, dtype=dtype, shape=(len(cases), *x.shape))


def test_difference_quotients(xp_backend, subtests):
    h = 1e-5
    ahead, behind = POINTS + h, POINTS - h
    slopes = derivatives(xp_backend, DIFFERENTIABLE, POINTS, "float64")
    for (name, options), found in zip(DIFFERENTIABLE, slopes, strict=True):
        with subtests.test(name=name, **options):
            y, before = (ROWS[name](x, np, **options) for x in (ahead, behind))
            # The quotient errs by h^2 / 6 times the third derivative, and eps / h times the value.
            limit = 1e-9 + 1e-10 * np.abs(y)
            assert_near(POINTS, found, (y - before) / (ahead - behind), atol=limit)


def test_float32_is_near_float64(xp_backend, subtests):
    rounded = np.concatenate([POINTS, -FAR, FAR[:1]]).astype(np.float32)
    slopes = derivatives(xp_backend, DIFFERENTIABLE, rounded, "float32")
    for (name, options), found in zip(DIFFERENTIABLE, slopes, strict=True):
        with subtests.test(name=name, **options):
            exact = derivative(name, rounded.astype(np.float64), **options)
            assert_near(rounded, found, exact, rtol=1e-5, atol=1e-5)


def at_zero(name):
    """Return the slopes just below and just above 0."""
    h = 2.0**-24
    before, middle, after = ROWS[name](np.asarray([-h, 0.0, h]), np)
    return (middle - before) / h, (after - middle) / h


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_infinities_and_the_ends_of_the_dtype(xp_backend, dtype, subtests):
    limits = np.finfo(dtype)
    x = np.asarray([-np.inf, limits.min, limits.max, np.inf, 0.0, -0.0], dtype)
    slopes = derivatives(xp_backend, [(name, {}) for name in NAMES], x, dtype)
    for name, found in zip(NAMES, slopes, strict=True):
        with subtests.test(name=name):
            # Far from 0 every function but exp is linear; there is no limit at inf for exp.
            far = ROWS[name](np.asarray([-1.001e6, -1e6, 1e6, 1.001e6]), np)
            low, high = round((far[1] - far[0]) / 1e3, 9), np.inf
            if name != "exponential":
                high = round((far[3] - far[2]) / 1e3, 9)
            assert_near(x[:4], found[:4], [low, low, high, high], rtol=1e-6, atol=limits.tiny)
            assert found[4] == found[5]
            assert any(float(found[4]) == pytest.approx(side, abs=1e-6) for side in at_zero(name))


def by_torch(function, x):
    torch = importlib.import_module("torch")
    x = torch.asarray(x).requires_grad_()
    function(x).sum().backward()
    return x.grad.numpy()


def by_jax(function, x):
    jax = importlib.import_module("jax")
    with jax.enable_x64(new_val=True):
        return np.asarray(jax.jit(jax.vmap(jax.grad(function)))(jax.numpy.asarray(x)))


@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_automatic_differentiation(library, dtype, subtests):
    pytest.importorskip(library, reason=f"differentiates by {library}")
    differentiate = {"torch": by_torch, "jax": by_jax}[library]
    # Beside all sizes, where a formula for large or small numbers ends.
    ends = np.asarray([5.5, 10.0, 20.0, 40.0, 88.0, 709.0])
    everywhere = np.concatenate([POINTS, FAR, -FAR, ends, -ends])
    for name, options in DIFFERENTIABLE:
        with subtests.test(name=name, **options):
            # exp is constant beyond its range, in automatic differentiation.
            chosen = everywhere[everywhere <= 81.0] if name == "exponential" else everywhere
            x = chosen.astype(dtype)
            expected = derivative(name, x.astype(np.float64), **options)
            tolerance = 1e-5 if dtype == "float32" else 1e-11
            function = functools.partial(getattr(xpnet, name), **options)
            assert_near(x, differentiate(function, x), expected, rtol=tolerance, atol=tolerance)
            # At a corner, JAX and torch share the gradient of a minimum between both sides.
            if not options:
                zeros = np.zeros(2, dtype)
                mean = sum(at_zero(name)) / 2
                assert_near(zeros, differentiate(function, zeros), mean, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_pullbacks(xp_backend, name):
    x, gradient, direction = np.random.default_rng(3).normal(0, 1.5, (3, 6, 80))
    row, h = ROWS[name], 1e-6
    point = xp_backend.asarray(x, "float64")
    pulled = row.gradient(
        xp_backend.asarray(gradient, "float64"), point, row(point, xp_backend.xp), xp_backend.xp
    )
    found = xp_backend.check(pulled, dtype="float64", shape=x.shape)
    change = (row(x + h * direction, np) - row(x - h * direction, np)) / (2 * h)
    np.testing.assert_allclose(
        np.sum(found * direction, axis=-1), np.sum(gradient * change, axis=-1), atol=1e-7
    )
    if xp_backend.library == "torch":
        point.requires_grad_()
        getattr(xpnet, name)(point).backward(xp_backend.asarray(gradient, "float64"))
        np.testing.assert_allclose(found, point.grad.cpu().numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_in_short_dtypes(xp_backend, dtype, subtests):
    xp = xp_backend.xp
    if not hasattr(xp, dtype):
        pytest.skip(f"the backend has no {dtype}")
    x, gradient = np.asarray([[-1.5, -0.25, 0.75, 2.25], [1.0, -0.5, 0.25, 2.0]])
    short, pulled = (xp.astype(xp_backend.asarray(a), getattr(xp, dtype)) for a in (x, gradient))
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    for name, row in ROWS.items():
        if row.is_learnable:
            with subtests.test(name=name):
                ours = row.gradient(pulled, short, row(short, xp), xp)
                values = xp_backend.check(ours, dtype=dtype, shape=(4,))
                exact = row.gradient(gradient, x, row(x, np), np)
                assert_near(x, values.astype(float), exact, rtol=8 * eps, atol=8 * eps)


def test_gelu_far_below_zero():
    exact = [-5.73347239874e-7, -3.97960726109e-14, -7.61840009646e-22]
    found = derivative("gelu", np.asarray([-5.5, -8.0, -10.0]))
    np.testing.assert_allclose(found, exact, rtol=1e-6)
