"""Losses and their derivatives, on every backend."""

import functools
import itertools
import math
import warnings

import mpmath
import numpy as np
import pytest

import xpnet
from xpnet.functions.losses import LOSSES

INF, NAN = math.inf, math.nan
# Largest error of a loss, in roundings: a sum of some dozen numbers, each computed with a logarithm
# and an exponential.
ROUNDINGS = {"float16": 4, "float32": 64, "float64": 64}
DIGITS = {"float16": 11, "float32": 24, "float64": 53}


def tolerance(dtype):
    return ROUNDINGS[dtype] * 2.0 ** -DIGITS[dtype]


def test_cross_entropy_is_the_mean_negative_log_probability(xp_backend, subtests):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (4, 5, 6)).astype(np.float32)
    argument = xp_backend.asarray(logits)
    for axis, dtype in itertools.product([0, 1, 2, -1], ["uint8", "int32", "int64"]):
        with subtests.test(axis=axis, dtype=dtype):
            labels = random.integers(0, logits.shape[axis], np.delete(logits.shape, axis))
            logs = xpnet.log_softmax(logits.astype(np.float64), axis=axis)
            expected = -np.mean(np.take_along_axis(logs, np.expand_dims(labels, axis), axis))
            loss = xpnet.cross_entropy(argument, xp_backend.asarray(labels, dtype), axis=axis)
            value = xp_backend.check(loss, dtype="float32", shape=())
            np.testing.assert_allclose(value, expected, rtol=1e-5)


# Rows of logits: ordinary, far apart, and one whose loss is log(1 + tiny).
LOGITS = [[0.5, -1.25, 2.0], [30.0, -20.0, 29.5], [700.0, -700.0, 0.0], [40.0, 0.0, -3.0]]


@functools.cache
def true_cross_entropies():
    """Return the losses of each row of logits with each label."""
    with mpmath.workdps(400):
        exps = [[mpmath.exp(mpmath.mpf(x)) for x in row] for row in LOGITS]
        return [float(mpmath.log(mpmath.fsum(row) / x)) for row in exps for x in row]


@functools.cache
def true_binary(x, t):
    with mpmath.workdps(400):
        x, t = mpmath.mpf(x), mpmath.mpf(t)
        one, zero = mpmath.log1p(mpmath.exp(-x)), mpmath.log1p(mpmath.exp(x))
        return float(t * one + (1 - t) * zero)


def computed(xp_backend, losses, dtype):
    """Return the values of losses, computed as one array: faster in Dask than many."""
    return xp_backend.check(xp_backend.xp.stack(losses), dtype=dtype, shape=(len(losses),))


@pytest.mark.parametrize("dtype", DIGITS)
def test_cross_entropy_is_accurate(xp_backend, dtype):
    losses = [
        xpnet.cross_entropy(xp_backend.asarray([row], dtype), xp_backend.asarray([place], "int64"))
        for row, place in itertools.product(LOGITS, range(3))
    ]
    values = computed(xp_backend, losses, dtype)
    # The logits are relative to the largest: a loss near 0 is accurate to roundings of 1.
    near = {"rel": tolerance(dtype), "abs": tolerance(dtype) / 8}
    assert values.tolist() == pytest.approx(true_cross_entropies(), **near)


@pytest.mark.parametrize("dtype", DIGITS)
def test_binary_cross_entropy_is_accurate(xp_backend, dtype):
    logits = [0.0, 0.5, -3.0, 8.0, -30.0, 45.0, 700.0, -700.0]
    pairs = [*itertools.product(logits, [0.0, 1.0, 0.25, 0.9375])]
    losses = [
        xpnet.binary_cross_entropy(xp_backend.asarray([x], dtype), xp_backend.asarray([t], dtype))
        for x, t in pairs
    ]
    values = computed(xp_backend, losses, dtype)
    # Accurate to its own roundings; 0 is allowed below the smallest normal number only.
    near = {"rel": tolerance(dtype), "abs": float(np.finfo(dtype).tiny)}
    assert values.tolist() == pytest.approx([true_binary(*pair) for pair in pairs], **near)


ELEMENTS = [
    *[((), "float32"), ((1,), "int64"), ((7,), "uint8"), ((4, 3), "bool")],
    ((2, 3, 4), "float64"),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.slow_on("dask")
def test_means_over_all_elements(xp_backend, dtype, subtests):
    for shape, kind in ELEMENTS:
        if kind in xp_backend.name:  # a backend without float64
            continue
        with subtests.test(shape=shape, kind=kind):
            random = np.random.default_rng(1)
            outputs = random.normal(0, 3, shape).astype("float32").astype("float64")
            answers = random.integers(0, 2, shape)
            x, t = xp_backend.asarray(outputs, dtype), xp_backend.asarray(answers, kind)
            binary = xp_backend.check(xpnet.binary_cross_entropy(x, t), dtype=dtype, shape=())
            square = xp_backend.check(xpnet.mean_squared_error(x, t), dtype=dtype, shape=())
            logs = np.log1p(np.exp(-np.abs(outputs))) + np.maximum(outputs, 0) - outputs * answers
            np.testing.assert_allclose(binary, np.mean(logs), rtol=tolerance(dtype))
            expected = np.mean((outputs - answers) ** 2)
            np.testing.assert_allclose(square, expected, rtol=tolerance(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_equal_those_of_torch(dtype):
    torch = pytest.importorskip("torch", reason="compares with torch's losses")
    functions, random = torch.nn.functional, np.random.default_rng(2)
    logits = torch.tensor(random.normal(0, 5, (50, 7)).astype(dtype))
    shares = torch.tensor(random.uniform(0, 1, (50, 7)).astype(dtype))
    labels = torch.tensor(random.integers(0, 7, 50))
    for ours, theirs in (
        (xpnet.cross_entropy(logits, labels), functions.cross_entropy(logits, labels)),
        (
            xpnet.binary_cross_entropy(logits, shares),
            functions.binary_cross_entropy_with_logits(logits, shares),
        ),
        (xpnet.mean_squared_error(logits, shares), functions.mse_loss(logits, shares)),
    ):
        assert ours.dtype == theirs.dtype
        assert float(ours) == pytest.approx(float(theirs), rel=tolerance(dtype))


def test_more_classes_than_the_labels_dtype_counts(xp_backend):
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 200] = 50.0
    loss = xpnet.cross_entropy(xp_backend.asarray(logits), xp_backend.asarray([200], "uint8"))
    assert float(xp_backend.check(loss, dtype="float32", shape=())) < 1e-6


def test_a_label_out_of_range_gives_infinity(xp_backend):
    logits = xp_backend.asarray([[0.0, 0.0], [0.0, 0.0]])
    for label in [-1, 2, 300]:
        loss = xpnet.cross_entropy(logits, xp_backend.asarray([0, label], "int64"))
        assert float(xp_backend.check(loss, dtype="float32", shape=())) == INF, label


def test_nan_and_infinity_give_nan(xp_backend):
    for value in [NAN, INF]:
        logits = xp_backend.asarray([[0.0, value]])
        loss = xpnet.cross_entropy(logits, xp_backend.asarray([0], "int64"))
        assert math.isnan(float(xp_backend.check(loss, dtype="float32", shape=()))), value


BINARY_ENDS = [
    (INF, 1.0, 0.0),
    (-INF, 0.0, 0.0),
    (INF, 0.0, INF),
    (-INF, 1.0, INF),
    (INF, 0.5, INF),
    (-INF, 0.75, INF),
    (NAN, 0.0, NAN),
    (NAN, 1.0, NAN),
    (0.0, NAN, NAN),
    (3e38, 1.0, 0.0),
    (-3e38, 1.0, 3e38),
]
# 1e60 is beyond float32.
SQUARED_ENDS = [(INF, 0.0, INF), (INF, INF, NAN), (NAN, 0.0, NAN), (1e30, 0.0, INF)]
SQUARED_ENDS += [(1e15, 0.0, 1e30)]


@pytest.mark.parametrize(
    ("loss", "ends"),
    [(xpnet.binary_cross_entropy, BINARY_ENDS), (xpnet.mean_squared_error, SQUARED_ENDS)],
)
def test_the_ends_of_a_loss(xp_backend, loss, ends, subtests):
    for x, target, expected in ends:
        with subtests.test(x=x, target=target), warnings.catch_warnings():
            result = loss(xp_backend.asarray([x]), xp_backend.asarray([target]))
            if xp_backend.name == "dask":  # computes later, outside of the context without warnings
                warnings.simplefilter("ignore", RuntimeWarning)
            value = float(xp_backend.check(result, dtype="float32", shape=()))
            assert value == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_large_logits_do_not_overflow(xp_backend):
    loss = xpnet.cross_entropy(
        xp_backend.asarray([[1e30, -1e30]]), xp_backend.asarray([0], "int64")
    )
    assert float(xp_backend.check(loss, dtype="float32", shape=())) == 0.0


def test_labels_must_be_integers():
    with pytest.raises(TypeError, match=r"`labels` must be integers; got dtype float64$"):
        xpnet.cross_entropy([[0.0, 1.0]], [1.0])
    hint = r"got dtype float64; one-hot labels\? give labels.argmax\(axis=-1\)$"
    with pytest.raises(TypeError, match=hint):
        xpnet.cross_entropy([[0.0, 1.0]], [[1.0, 0.0]])


def test_labels_must_fit_the_logits():
    with pytest.raises(ValueError, match=r"without axis -1, \(2,\); got \(3,\)"):
        xpnet.cross_entropy(np.zeros((2, 4)), np.zeros(3, np.int64))


def test_axis_must_exist():
    with pytest.raises(ValueError, match="`axis` must be one of the array's 2 axes; got 2"):
        xpnet.cross_entropy(np.zeros((2, 4)), np.zeros(2, np.int64), axis=2)


def test_two_libraries_are_rejected():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="got numpy and array_api_strict"):
        xpnet.cross_entropy(np.zeros((1, 2)), strict.asarray([1]))


ELEMENTWISE = [(xpnet.binary_cross_entropy, "logits"), (xpnet.mean_squared_error, "outputs")]


@pytest.mark.parametrize(("loss", "name"), ELEMENTWISE)
def test_invalid_arguments_of_elementwise_losses(loss, name):
    strict = pytest.importorskip("array_api_strict")
    x = np.zeros((2, 3))
    with pytest.raises(TypeError, match=f"`{name}` must hold real numbers; got dtype complex128"):
        loss(x * 1j, x)
    with pytest.raises(TypeError, match="`targets` must hold real numbers; got dtype complex128"):
        loss(x, x * 1j)
    with pytest.raises(TypeError, match=f"`{name}` must be an array, a number or a list"):
        loss("x", x)
    with pytest.raises(TypeError, match="`targets` must be an array, a number or a list"):
        loss(x, None)
    with pytest.raises(TypeError, match="got numpy and array_api_strict"):
        loss(x, strict.zeros((2, 3)))
    message = rf"`targets` must have the shape of `{name}`, \(2, 3\); got \(3,\)"
    with pytest.raises(ValueError, match=message):
        loss(x, x[0])


def test_no_labels_give_nan_without_a_warning(xp_backend):
    loss = xpnet.cross_entropy(
        xp_backend.asarray(np.zeros((0, 3))), xp_backend.asarray([], "int64")
    )
    assert math.isnan(float(xp_backend.check(loss, dtype="float32", shape=())))


@pytest.mark.parametrize(("loss", "_name"), ELEMENTWISE)
def test_empty_arrays_give_nan_without_a_warning(xp_backend, loss, _name):
    for shape in [(0,), (0, 3), (3, 0)]:
        empty = xp_backend.asarray(np.zeros(shape))
        value = xp_backend.check(loss(empty, empty), dtype="float32", shape=())
        assert math.isnan(float(value)), shape


def fused_case(name, random):
    """Return outputs, targets, and the second argument of the public function."""
    outputs = random.normal(0, 3, (6, 4))
    if name == "cross_entropy":
        labels = random.integers(0, 4, 6)
        return outputs, np.eye(4)[labels], labels
    targets = random.uniform(0, 1, (6, 4)) if name == "binary_cross_entropy" else outputs[::-1] / 2
    return outputs, targets, targets


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_derivatives_equal_the_public_loss(xp_backend, name, dtype):
    outputs, targets, answers = fused_case(name, np.random.default_rng(3))
    x, xp = xp_backend.asarray(outputs, dtype), xp_backend.xp
    kind = "int64" if name == "cross_entropy" else dtype
    public = getattr(xpnet, name)(x, xp_backend.asarray(answers, kind))
    losses, slope = LOSSES[name](x, xp_backend.asarray(targets, dtype), xp)
    loss = np.mean(xp_backend.check(losses, dtype=dtype, shape=(6, 1)), dtype=float)
    expected = float(xp_backend.check(public, dtype=dtype, shape=()))
    assert loss == pytest.approx(expected, rel=tolerance(dtype))
    slopes = xp_backend.check(slope, dtype=dtype, shape=(6, 4)) / 6.0  # of the mean
    h, function = 1e-6, getattr(xpnet, name)
    for i, step in enumerate(h * np.eye(24).reshape(24, 6, 4)):
        ahead, behind = (function(outputs + s, answers) for s in (step, -step))
        # Losses of about 3 rounded by 2^-52, divided by 2e-6: noise of 1e-9.
        near = 5e-9 + tolerance(dtype) / 100
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
    assert value == pytest.approx(expected, rel=100 * tolerance(dtype))


def test_the_table_of_losses():
    assert [*LOSSES] == ["binary_cross_entropy", "cross_entropy", "mean_squared_error"]
