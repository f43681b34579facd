"""Derivatives against difference quotients, automatic differentiation and torch's functions."""

import importlib
import itertools

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS

ALONG_AXIS = [name for name, row in ACTIVATIONS.items() if not row.is_elementwise]
DIFFERENTIABLE = [name for name, row in ACTIVATIONS.items() if row.derivative is not None]
IN_TORCH = [name for name in DIFFERENTIABLE if ACTIVATIONS[name].torch] + ["erf"]


def derivative(name, x, xp=np, **options):
    row = ACTIVATIONS[name]
    return row.derivative(x, row.function(x, xp, **options), xp, **options)


def derivatives(xp_backend, cases, x, dtype):
    """Return the derivatives of cases, computed as one array: faster in Dask than many."""
    argument, xp = xp_backend.asarray(x, dtype), xp_backend.xp
    slopes = xp.stack([derivative(name, argument, xp, **options) for name, options in cases])
    return xp_backend.check(slopes, dtype=dtype, shape=(len(cases), *x.shape))


def values(name, *x, **options):
    return [float(y) for y in ACTIVATIONS[name].function(np.asarray(x), np, **options)]


def test_difference_quotients(xp_backend, differentiable, points, assert_near, subtests):
    h = 1e-5
    ahead, behind = points + h, points - h
    slopes = derivatives(xp_backend, differentiable, points, "float64")
    for (name, options), found in zip(differentiable, slopes, strict=True):
        with subtests.test(name=name, **options):
            y, before = (ACTIVATIONS[name].function(x, np, **options) for x in (ahead, behind))
            # The quotient errs by h^2 / 6 times the third derivative, and eps / h times the value.
            limit = 1e-9 + 1e-10 * np.abs(y)
            assert_near(points, found, (y - before) / (ahead - behind), atol=limit)


def test_float32_is_near_float64(xp_backend, differentiable, points, assert_near, subtests):
    rounded = points.astype(np.float32)
    slopes = derivatives(xp_backend, differentiable, rounded, "float32")
    for (name, options), found in zip(differentiable, slopes, strict=True):
        with subtests.test(name=name, **options):
            exact = derivative(name, rounded.astype(np.float64), **options)
            assert_near(rounded, found, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_and_the_ends_of_the_dtype(xp_backend, dtype, assert_near, subtests):
    limits = np.finfo(dtype)
    x = np.asarray([-np.inf, limits.min, limits.max, np.inf], dtype)
    slopes = derivatives(xp_backend, [(name, {}) for name in DIFFERENTIABLE], x, dtype)
    for name, found in zip(DIFFERENTIABLE, slopes, strict=True):
        with subtests.test(name=name):
            # Far from 0 every function but exp is linear; there is no limit at inf for exp.
            below, above = values(name, -1e6, -1.001e6), values(name, 1e6, 1.001e6)
            low = round((below[0] - below[1]) / 1e3, 9)
            high = np.inf if name == "exponential" else round((above[1] - above[0]) / 1e3, 9)
            assert_near(x, found, [low, low, high, high], rtol=1e-6, atol=limits.tiny)


def slopes_at_zero(name):
    """Return the slopes just below and just above 0."""
    h = 2.0**-24
    before, middle, after = values(name, -h, 0.0, h)
    return (middle - before) / h, (after - middle) / h


def test_at_zero_it_is_the_slope_on_one_side(xp_backend, subtests):
    cases = [(name, {}) for name in DIFFERENTIABLE]
    slopes = derivatives(xp_backend, cases, np.asarray([0.0, -0.0]), "float32")
    for name, found in zip(DIFFERENTIABLE, slopes, strict=True):
        with subtests.test(name=name):
            assert found[0] == found[1]
            sides = slopes_at_zero(name)
            assert any(float(found[0]) == pytest.approx(side, abs=1e-6) for side in sides)


def by_torch(name, x, **options):
    torch = importlib.import_module("torch")
    x = torch.asarray(x).requires_grad_()
    getattr(xpnet, ACTIVATIONS[name].name)(x, **options).sum().backward()
    return x.grad.numpy()


def by_jax(name, x, **options):
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", val=True)
    function = getattr(xpnet, ACTIVATIONS[name].name)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: function(x, **options))))
    return np.asarray(slope(jax.numpy.asarray(x)))


@pytest.fixture(params=["torch", "jax"])
def differentiate(request):
    """Return the function that differentiates by a library."""
    pytest.importorskip(request.param, reason=f"differentiates by {request.param}")
    return {"torch": by_torch, "jax": by_jax}[request.param]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_automatic_differentiation_at_zero(dtype, differentiate, assert_near, subtests):
    zeros = np.zeros(2, dtype)
    for name in DIFFERENTIABLE:
        with subtests.test(name=name):
            # At a corner, JAX and torch share the gradient of a minimum between both sides.
            mean = sum(slopes_at_zero(name)) / 2
            assert_near(zeros, differentiate(name, zeros), mean, rtol=1e-6, atol=1e-7)


def test_automatic_differentiation_elsewhere(
    differentiable, points, differentiate, assert_near, subtests
):
    far = [81.0, 95.0, 200.0, 1e3, 1e5, 1e10, 1e30]
    everywhere = np.concatenate([points, far, np.negative(far)])
    for (name, options), dtype in itertools.product(differentiable, ["float32", "float64"]):
        with subtests.test(name=name, **options, dtype=dtype):
            # exp is constant beyond its range, in automatic differentiation.
            chosen = everywhere[everywhere <= 81.0] if name == "exponential" else everywhere
            x = chosen.astype(dtype)
            expected = derivative(name, x.astype(np.float64), **options)
            tolerance = 1e-5 if dtype == "float32" else 1e-11
            found = differentiate(name, x, **options)
            assert_near(x, found, expected, rtol=tolerance, atol=tolerance)


FORMULA_ENDS = [
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
]


def test_automatic_differentiation_where_a_formula_ends(differentiate, assert_near, subtests):
    for name, dtype, ends in FORMULA_ENDS:
        with subtests.test(name=name, dtype=dtype):
            x = np.asarray([*np.negative(ends), *ends], dtype)
            expected = derivative(name, x.astype(np.float64))
            assert_near(x, differentiate(name, x), expected, rtol=1e-5, atol=1e-6)


def slopes_in_torch(name, x, **options):
    """Return the derivative of torch's own function by torch."""
    torch = importlib.import_module("torch")
    row = ACTIVATIONS[name]
    named = {row.torch_names.get(key, key): value for key, value in row.checked(options).items()}
    function = torch.erf if name == "erf" else getattr(torch.nn, row.torch)(**named)
    x = torch.asarray(x, dtype=torch.float64).requires_grad_()
    function(x).sum().backward()
    return x.grad.numpy()


@pytest.fixture
def assert_slopes_of_torch(assert_near):
    """Return a function that compares a derivative with torch's."""
    pytest.importorskip("torch", reason="differentiates by torch")

    def check(name, x, **options):
        # torch has 1 / 6, the slope of its hardsigmoid, in float32.
        rtol = 1e-7 if name == "hard_sigmoid" else 1e-8
        expected = slopes_in_torch(name, x, **options)
        assert_near(x, derivative(name, x, **options), expected, rtol=rtol, atol=1e-12)

    return check


def test_derivatives_of_torch(differentiable, points, assert_slopes_of_torch, subtests):
    for name, options in differentiable:
        if name in IN_TORCH:
            with subtests.test(name=name, **options):
                assert_slopes_of_torch(name, points, **options)


def test_where_pieces_meet_it_is_the_derivative_of_torch(assert_slopes_of_torch, subtests):
    corners = np.asarray([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0])
    # The derivative is largest at -3 and 3, where torch's jumps.
    assert derivative("hard_silu", corners[[0, 6]]).tolist() == [-0.5, 1.5]
    for name in IN_TORCH:
        with subtests.test(name=name):
            assert_slopes_of_torch(name, corners[1:6] if name == "hard_silu" else corners)
    for name, options in [
        ("hard_shrink", {"threshold": 1.25}),
        ("leaky_relu", {"negative_slope": 0.25}),
        ("soft_shrink", {"threshold": 1.25}),
        ("threshold", {"threshold": -0.5, "value": -3.0}),
    ]:
        with subtests.test(name=name, **options):
            assert_slopes_of_torch(name, np.asarray([-1.25, -0.5, 0.0, 1.25]), **options)


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_pullbacks_equal_difference_quotients(xp_backend, name):
    x, gradient, direction = np.random.default_rng(3).normal(0, 1.5, (3, 6, 5))
    row, h = ACTIVATIONS[name], 1e-6
    point = xp_backend.asarray(x, "float64")
    y = row(point, xp_backend.xp)
    pulled = row.gradient(xp_backend.asarray(gradient, "float64"), point, y, xp_backend.xp)
    found = xp_backend.check(pulled, dtype="float64", shape=x.shape)
    change = (row(x + h * direction, np) - row(x - h * direction, np)) / (2 * h)
    np.testing.assert_allclose(
        np.sum(found * direction, axis=-1), np.sum(gradient * change, axis=-1), atol=1e-8
    )


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_pullbacks_equal_automatic_differentiation(name):
    torch = pytest.importorskip("torch", reason="differentiates by torch")
    x, gradient = np.random.default_rng(4).normal(0, 1.5, (2, 6, 80))
    row = ACTIVATIONS[name]
    ours = row.gradient(gradient, x, row(x, np), np)
    functions = [getattr(xpnet, name)]
    if hasattr(torch, name):
        functions.append(lambda x: getattr(torch, name)(x, dim=-1))
    for function in functions:
        point = torch.asarray(x).requires_grad_()
        function(point).backward(torch.asarray(gradient))
        np.testing.assert_allclose(ours, point.grad.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("library", "dtype"), [("numpy", "float16"), ("torch", "float16"), ("torch", "bfloat16")]
)
def test_gradients_in_short_dtypes(library, dtype, assert_near, subtests):
    module = pytest.importorskip(library, reason=f"needs {library}")
    xp = np if library == "numpy" else pytest.importorskip("array_api_compat.torch")
    x, gradient = np.asarray([[-1.5, -0.25, 0.75, 2.25], [1.0, -0.5, 0.25, 2.0]])
    short, pulled = (module.asarray(a, dtype=getattr(module, dtype)) for a in (x, gradient))
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    for name, row in ACTIVATIONS.items():
        if row.is_learnable:
            with subtests.test(name=name):
                ours = row.gradient(pulled, short, row(short, xp), xp)
                assert ours.dtype == short.dtype
                exact = row.gradient(gradient, x, row(x, np), np)
                assert_near(x, np.asarray(ours.tolist()), exact, rtol=8 * eps, atol=8 * eps)


def test_a_step_has_no_gradient(xp_backend):
    x = xp_backend.asarray([1.0])
    with pytest.raises(ValueError, match="activation 'step' has no derivative to learn by"):
        ACTIVATIONS["step"].gradient(x, x, x, xp_backend.xp)


def test_options_reach_the_gradient(xp_backend):
    x, pulled = xp_backend.asarray([-2.0, 2.0]), xp_backend.asarray([4.0, 4.0])
    row, options = ACTIVATIONS["leaky_relu"], {"negative_slope": 0.25}
    gradient = row.gradient(pulled, x, row(x, xp_backend.xp, **options), xp_backend.xp, **options)
    np.testing.assert_array_equal(to_numpy(gradient), [1.0, 4.0])


def test_relu6_near_its_corners():
    assert derivative("relu6", np.asarray([1e-30, 1e-9, 6 - 1e-6])).tolist() == [1.0, 1.0, 1.0]


def test_gelu_far_below_zero():
    exact = [-5.73347239874e-7, -3.97960726109e-14, -7.61840009646e-22]
    assert derivative("gelu", np.asarray([-5.5, -8.0, -10.0])) == pytest.approx(exact, rel=1e-6)
