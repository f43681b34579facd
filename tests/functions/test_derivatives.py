"""The derivatives against difference quotients, and against those of torch's own functions."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS

ALONG_AXIS = ("log_softmax", "softmax", "sparsemax")

# Where torch has the function: its name there, and the names of its options.
TORCHS = {
    "celu": ("celu", {"alpha": "alpha"}),
    "elu": ("elu", {"alpha": "alpha"}),
    "gelu": ("gelu", {"approximate": "approximate"}),
    "hard_shrink": ("hardshrink", {"threshold": "lambd"}),
    "hard_sigmoid": ("hardsigmoid", {}),
    "hard_silu": ("hardswish", {}),
    "hard_tanh": ("hardtanh", {}),
    "leaky_relu": ("leaky_relu", {"negative_slope": "negative_slope"}),
    "log_sigmoid": ("logsigmoid", {}),
    "mish": ("mish", {}),
    "relu": ("relu", {}),
    "relu6": ("relu6", {}),
    "selu": ("selu", {}),
    "sigmoid": ("sigmoid", {}),
    "silu": ("silu", {}),
    "soft_shrink": ("softshrink", {"threshold": "lambd"}),
    "softplus": ("softplus", {"beta": "beta"}),
    "softsign": ("softsign", {}),
    "tanh": ("tanh", {}),
    "tanh_shrink": ("tanhshrink", {}),
    "threshold": ("threshold", {"threshold": "threshold", "value": "value"}),
}


def derivative(name, x, xp=np, **options):
    row = ACTIVATIONS[name]
    return row.derivative(x, row.function(x, xp, **options), xp, **options)


def test_the_quotients_of_differences(xp_backend, differentiable_case, points):
    name, options = differentiable_case
    h = 1e-5
    ahead, behind = points + h, points - h
    y, before = (ACTIVATIONS[name].function(x, np, **options) for x in (ahead, behind))
    quotient = (y - before) / (ahead - behind)
    slope = derivative(name, xp_backend.asarray(points, "float64"), xp_backend.xp, **options)
    values = xp_backend.check(slope, dtype="float64", shape=points.shape)
    # The quotient is off by h^2 / 6 times the third derivative, and by eps / h times the value.
    assert np.all(np.abs(values - quotient) <= 1e-9 + 1e-10 * np.abs(y))


def test_float32_is_near_float64(xp_backend, differentiable_case, points):
    name, options = differentiable_case
    slope = derivative(name, xp_backend.asarray(points), xp_backend.xp, **options)
    values = xp_backend.check(slope, dtype="float32", shape=points.shape)
    exact = derivative(name, points.astype(np.float32).astype(np.float64), **options)
    np.testing.assert_allclose(values, exact, rtol=1e-5, atol=1e-5)


def torchs_slopes(name, x, **options):
    """Return the derivative of torch's own function by torch."""
    torch = pytest.importorskip("torch", reason="differentiates by torch")
    known_as, words = TORCHS[name]
    defaults = ACTIVATIONS[name].checked(options)
    x = torch.asarray(x, dtype=torch.float64).requires_grad_()
    given = {words[key]: value for key, value in defaults.items()}
    getattr(torch.nn.functional, known_as)(x, **given).sum().backward()
    return x.grad.numpy()


@pytest.mark.parametrize("name", TORCHS)
def test_torchs_own_function(name, points):
    # torch has 1 / 6, the slope of its hardsigmoid, in float32.
    np.testing.assert_allclose(
        derivative(name, points), torchs_slopes(name, points), rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("celu", {"alpha": 0.5}),
        ("elu", {"alpha": 3.0}),
        ("gelu", {"approximate": "tanh"}),
        ("hard_shrink", {"threshold": 1.25}),
        ("leaky_relu", {"negative_slope": 0.25}),
        ("soft_shrink", {"threshold": 1.25}),
        ("softplus", {"beta": 0.5}),
        ("threshold", {"threshold": -0.5, "value": -3.0}),
    ],
)
def test_torchs_own_function_with_options(name, options, points):
    x = np.concatenate([points, [-1.25, -0.5, 0.0, 1.25]])
    np.testing.assert_allclose(
        derivative(name, x, **options), torchs_slopes(name, x, **options), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", TORCHS)
def test_where_pieces_meet_it_is_torchs(name):
    corners = np.asarray([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0])
    if name == "hard_silu":  # whose derivative has its extremes at -3 and 3, where torch's jumps
        assert derivative(name, corners[[0, 6]]).tolist() == [-0.5, 1.5]
        corners = corners[1:6]
    np.testing.assert_allclose(
        derivative(name, corners), torchs_slopes(name, corners), rtol=1e-7, atol=1e-12
    )


def test_the_error_functions_derivative_is_torchs(points):
    torch = pytest.importorskip("torch", reason="differentiates by torch")
    x = torch.asarray(points).requires_grad_()
    torch.erf(x).sum().backward()
    np.testing.assert_allclose(derivative("erf", points), x.grad.numpy(), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_pullbacks_equal_the_quotients_of_differences(xp_backend, name):
    random = np.random.default_rng(3)
    x, gradient, direction = random.normal(0, 1.5, (3, 6, 5))
    row, h = ACTIVATIONS[name], 1e-6
    point = xp_backend.asarray(x, "float64")
    y = row(point, xp_backend.xp)
    pulled = row.gradient(xp_backend.asarray(gradient, "float64"), point, y, xp_backend.xp)
    values = xp_backend.check(pulled, dtype="float64", shape=x.shape)
    change = (row(x + h * direction, np) - row(x - h * direction, np)) / (2 * h)
    np.testing.assert_allclose(
        np.sum(values * direction, axis=-1), np.sum(gradient * change, axis=-1), atol=1e-8
    )


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_pullbacks_equal_automatic_differentiation(name):
    torch = pytest.importorskip("torch", reason="differentiates by torch")
    x, gradient = np.random.default_rng(4).normal(0, 1.5, (2, 6, 80))
    row = ACTIVATIONS[name]
    ours = row.gradient(gradient, x, row(x, np), np)
    point = torch.asarray(x).requires_grad_()
    getattr(xpnet, name)(point).backward(torch.asarray(gradient))
    np.testing.assert_allclose(ours, point.grad.numpy(), rtol=1e-10, atol=1e-13)
    if name != "sparsemax":  # torch has none
        point.grad = None
        getattr(torch, name)(point, dim=-1).backward(torch.asarray(gradient))
        np.testing.assert_allclose(ours, point.grad.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if row.is_learnable])
@pytest.mark.parametrize(
    ("library", "dtype"), [("numpy", "float16"), ("torch", "float16"), ("torch", "bfloat16")]
)
def test_gradients_in_short_dtypes(name, library, dtype):
    module = pytest.importorskip(library, reason=f"needs {library}")
    x, gradient = np.asarray([[-1.5, -0.25, 0.75, 2.25], [1.0, -0.5, 0.25, 2.0]])
    short, pulled = (module.asarray(a, dtype=getattr(module, dtype)) for a in (x, gradient))
    row = ACTIVATIONS[name]
    xp = np if library == "numpy" else pytest.importorskip("array_api_compat.torch")
    ours = row.gradient(pulled, short, row(short, xp), xp)
    assert ours.dtype == short.dtype
    exact = row.gradient(gradient, x, row(x, np), np)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    np.testing.assert_allclose(ours.tolist(), exact, rtol=8 * eps, atol=8 * eps)


def test_the_gradient_of_a_step_is_refused(xp_backend):
    x = xp_backend.asarray([1.0])
    with pytest.raises(ValueError, match="activation 'step' has no derivative to learn by"):
        ACTIVATIONS["step"].gradient(x, x, x, xp_backend.xp)


def test_options_reach_the_gradient(xp_backend):
    x = xp_backend.asarray([-2.0, 2.0])
    row = ACTIVATIONS["leaky_relu"]
    y = row(x, xp_backend.xp, negative_slope=0.25)
    gradient = row.gradient(
        xp_backend.asarray([4.0, 4.0]), x, y, xp_backend.xp, negative_slope=0.25
    )
    np.testing.assert_array_equal(to_numpy(gradient), [1.0, 4.0])


@pytest.mark.parametrize("x", [1e-30, 1e-9, 6 - 1e-6])
def test_relu6_near_its_corners(x):
    assert derivative("relu6", np.asarray([x])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("x", "exact"),
    [(-5.5, -5.73347239874e-7), (-8.0, -3.97960726109e-14), (-10.0, -7.61840009646e-22)],
)
def test_gelu_far_below_zero(x, exact):
    assert derivative("gelu", np.asarray([x])) == pytest.approx([exact], rel=1e-6)
