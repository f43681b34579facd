"""Losses and their derivatives, on every backend."""

import itertools
import math
from functools import cache

import mpmath
import numpy as np
import pytest

import xpnet
from xpnet.functions.losses import LOSSES

# Dask computes when the functions, which compute with warnings off, have returned.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:dask")
INF, NAN = math.inf, math.nan
# Largest error of a loss: 64 roundings of a sum of some dozen numbers, each computed with a
# logarithm and an exponential; float16 is computed in float32.
TOLERANCE = {"float16": 4 * 2.0**-11, "float32": 64 * 2.0**-24, "float64": 64 * 2.0**-53}


def value_of(xp_backend, loss, dtype="float32"):
    return float(xp_backend.check(loss, dtype=dtype, shape=()))


def computed(xp_backend, losses, dtype):
    """Return the values of losses, computed as one array: faster in Dask than many."""
    return xp_backend.check(xp_backend.xp.stack(losses), dtype=dtype, shape=(len(losses),)).tolist()


@pytest.mark.slow_on("dask")
def test_losses_are_means_over_arrays_of_any_shape(xp_backend, subtests):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (4, 5, 6)).astype(np.float32)
    for axis, dtype in itertools.product([0, 1, 2, -1], ["uint8", "int64"]):
        with subtests.test(axis=axis, dtype=dtype):
            labels = random.integers(0, logits.shape[axis], np.delete(logits.shape, axis))
            logs = xpnet.log_softmax(logits.astype(np.float64), axis=axis)
            expected = -np.mean(np.take_along_axis(logs, np.expand_dims(labels, axis), axis))
            x, t = xp_backend.asarray(logits), xp_backend.asarray(labels, dtype)
            loss = value_of(xp_backend, xpnet.cross_entropy(x, t, axis=axis))
            assert loss == pytest.approx(expected, rel=1e-5)
    for shape, kind in [((), "float32"), ((1,), "int64"), ((7,), "uint8"), ((2, 3, 4), "bool")]:
        with subtests.test(shape=shape, kind=kind):
            outputs = random.normal(0, 3, shape).astype("float32").astype("float64")
            answers = random.integers(0, 2, shape)
            x, t = xp_backend.asarray(outputs), xp_backend.asarray(answers, kind)
            logs = np.log1p(np.exp(-np.abs(outputs))) + np.maximum(outputs, 0) - outputs * answers
            for loss, expected in (
                (xpnet.binary_cross_entropy(x, t), np.mean(logs)),
                (xpnet.mean_squared_error(x, t), np.mean((outputs - answers) ** 2)),
            ):
                assert value_of(xp_backend, loss) == pytest.approx(expected, rel=2e-6)


# Rows of logits: ordinary, far apart, and one whose loss is log(1 + tiny).
LOGITS = [[0.5, -1.25, 2.0], [30.0, -20.0, 29.5], [700.0, -700.0, 0.0], [40.0, 0.0, -3.0]]
LABELLED = [*itertools.product(LOGITS, range(3))]
NUMBERS = [0.0, 0.5, -3.0, 8.0, -30.0, 45.0, 300.0, 700.0, -700.0]
TARGETED = [*itertools.product(NUMBERS, [0.0, 1.0, 0.25, 0.9375])]


@cache
def true_losses():
    """Return the cross-entropies, and the binary ones."""
    with mpmath.workdps(400):
        exp, log1p = mpmath.exp, mpmath.log1p
        rows = [mpmath.log(mpmath.fsum(map(exp, x)) / exp(x[label])) for x, label in LABELLED]
        binary = [t * log1p(exp(-x)) + (1 - t) * log1p(exp(x)) for x, t in TARGETED]
    return [*map(float, rows)], [*map(float, binary)]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_losses_are_accurate(xp_backend, dtype):
    near = {"rel": TOLERANCE[dtype]}
    rows, binary = true_losses()

    def array(x, kind=dtype):
        return xp_backend.asarray([x], kind)

    # The logits are relative to the largest: a loss near 0 is accurate to roundings of 1.
    losses = [xpnet.cross_entropy(array(x), array(label, "int64")) for x, label in LABELLED]
    found = computed(xp_backend, losses, dtype)
    assert found == pytest.approx(rows, **near, abs=TOLERANCE[dtype] / 8)
    losses = [xpnet.binary_cross_entropy(array(x), array(t)) for x, t in TARGETED]
    slack = {"float16": 2.0**-24, "float32": 2.0**-120, "float64": 2.0**-1000}[dtype]
    assert computed(xp_backend, losses, dtype) == pytest.approx(binary, **near, abs=slack)


LARGE = np.zeros((1, 1000)) + 50.0 * (np.arange(1000) == 200)
CROSS, BINARY, SQUARE = xpnet.cross_entropy, xpnet.binary_cross_entropy, xpnet.mean_squared_error
# 1e60, the square of 1e30, is beyond float32. A label out of range gives infinity.
ENDS = [
    *((CROSS, np.zeros((2, 2)), [0, label], INF) for label in [-1, 2, 300]),
    *((CROSS, [[0.0, value]], [0], NAN) for value in [NAN, INF]),
    (CROSS, [[1e30, -1e30]], [0], 0.0),
    (CROSS, LARGE, [200], 0.0),  # more classes than uint8 counts
    (CROSS, np.zeros((0, 3)), [], NAN),
    *((BINARY, [x], [t], 0.0) for x, t in [(INF, 1.0), (-INF, 0.0), (3e38, 1.0)]),
    *((BINARY, [x], [t], INF) for x, t in [(INF, 0.0), (-INF, 1.0), (INF, 0.5), (-INF, 0.75)]),
    *((BINARY, [x], [t], NAN) for x, t in [(NAN, 0.0), (NAN, 1.0), (0.0, NAN)]),
    (BINARY, [-3e38], [1.0], 3e38),
    *((SQUARE, [x], [t], y) for x, t, y in [(INF, 0.0, INF), (INF, INF, NAN), (NAN, 0.0, NAN)]),
    *((SQUARE, [x], [0.0], y) for x, y in [(1e30, INF), (1e15, 1e30)]),
    *((loss, x := np.zeros(n), x, NAN) for loss in (BINARY, SQUARE) for n in [(0,), (3, 0)]),
]


def test_ends_and_empty_arrays(xp_backend, subtests):
    for loss, x, target, expected in ENDS:
        with subtests.test(loss=loss.__name__, x=np.shape(x), target=str(target)):
            dtype = "int64" if loss is CROSS else "float32"
            dtype = "uint8" if np.shape(x) == LARGE.shape else dtype
            result = loss(xp_backend.asarray(x), xp_backend.asarray(target, dtype))
            value = value_of(xp_backend, result)
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_derivatives_of_training(xp_backend, name, dtype):
    random = np.random.default_rng(3)
    outputs = random.normal(0, 3, (6, 4))
    targets = answers = random.uniform(0, 1, (6, 4))
    if name == "cross_entropy":
        answers = random.integers(0, 4, 6)
        targets = np.eye(4)[answers]
    losses, slope = LOSSES[name](
        *(xp_backend.asarray(x, dtype) for x in (outputs, targets)), xp_backend.xp
    )
    function = getattr(xpnet, name)
    loss = np.mean(xp_backend.check(losses, dtype=dtype, shape=(6, 1)), dtype=float)
    assert loss == pytest.approx(float(function(outputs, answers)), rel=TOLERANCE[dtype])
    slopes = xp_backend.check(slope, dtype=dtype, shape=(6, 4)) / 6.0  # of the mean
    h = 1e-6
    for i, step in enumerate(h * np.eye(24).reshape(24, 6, 4)):
        ahead, behind = (function(outputs + s, answers) for s in (step, -step))
        # Losses of about 3 rounded by 2^-52, divided by 2e-6: noise of 1e-9.
        near = 5e-9 + TOLERANCE[dtype] / 100
        assert slopes.flat[i] == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=near)


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_derivative_at_a_confident_logit_is_small_and_not_0(xp_backend, dtype, target):
    # Sigmoid minus 1 would cancel, and is computed for the likelier side.
    sure = 60.0 if target else -60.0
    _, slope = LOSSES["binary_cross_entropy"](
        xp_backend.asarray([[sure]], dtype), xp_backend.asarray([[target]], dtype), xp_backend.xp
    )
    value = float(xp_backend.check(slope, dtype=dtype, shape=(1, 1))[0, 0])
    expected = math.exp(-60.0) * (-1 if target else 1)
    assert value == pytest.approx(expected, rel=100 * TOLERANCE[dtype])


def gradient_of_jax(target):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    numpy = jax.numpy
    return jax.grad(xpnet.binary_cross_entropy)(numpy.zeros(1), numpy.full(1, target))


def gradient_of_torch(target):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    logit = torch.zeros(1, requires_grad=True)
    xpnet.binary_cross_entropy(logit, torch.full((1,), target)).backward()
    return logit.grad


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("gradient", [gradient_of_jax, gradient_of_torch])
def test_automatic_gradients_at_a_logit_of_0(gradient, target):
    # abs, whose derivative at 0 is a convention, would make these wrong.
    assert float(gradient(target)[0]) == 0.5 - target
