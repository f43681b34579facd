"""Tests of sample weights."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.training.examples import as_sample_weight
from xpnet.training.loop import flatten_parameters

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 4))
IDS = np.arange(60) % 3
VALUES = X[:, :2] ** 2
WHOLE = DRAW.integers(0, 4, size=60)
OPTIONS = {"epochs": 3, "batch_size": 16, "validation": 0.25}
STEP = {"epochs": 1, "batch_size": 10_000, "optimizer": "sgd", "schedule": "constant"}


def start(dtype="float64", output="logits"):
    sizes = [4, 5, 2 if output == "values" else 3]
    network = xpnet.init_network(sizes, activation="tanh", scheme="he", dtype=dtype)
    hidden, last = network.layers
    ending = "sigmoid" if output == "probabilities" else "identity"
    return xpnet.Network([hidden, replace(last, activation=ending)], output=output)


def parameters(run):
    return flatten_parameters(run.network)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("output", "y"), [("logits", IDS), ("values", VALUES)])
def test_equal_weights_give_the_bits_of_none(dtype, output, y, assert_same_bits):
    expected = xpnet.train(start(dtype, output), X, y, **OPTIONS)
    for weight in (1, 0.3, 1e300, 1e-310):
        weights = np.full(60, weight)
        run = xpnet.train(start(dtype, output), X, y, sample_weight=weights, **OPTIONS)
        assert_same_bits(run, expected)


@pytest.mark.parametrize("validation", [0.25, (X, IDS)], ids=["share", "separate"])
@pytest.mark.parametrize("augment", [0, 1])
def test_images_of_weight_0_are_left_out(validation, augment, assert_same_bits):
    weights = np.where(WHOLE == 0, 0.0, 1.0)
    weights[WHOLE == 1] = 1e-40  # counts as 0: not a normal number of float32
    is_used = WHOLE > 1
    options = {**OPTIONS, "validation": validation, "augment": augment}
    run = xpnet.train(start(), X - 9.0 * ~is_used[:, None], IDS, sample_weight=weights, **options)
    assert_same_bits(run, xpnet.train(start(), X[is_used], IDS[is_used], **options))


@pytest.mark.parametrize(
    ("output", "y"), [("logits", IDS), ("values", VALUES), ("probabilities", X[:, :3] > 0)]
)
def test_integer_weights_are_repeated_rows(output, y):
    run = xpnet.train(start(output=output), X, y, sample_weight=WHOLE, **STEP)
    index = np.repeat(np.arange(60), WHOLE)
    expected = xpnet.train(start(output=output), X[index], y[index], **STEP)
    # Only the order of the sums differs: each of some 100 terms is rounded by 2^-53.
    np.testing.assert_allclose(parameters(run), parameters(expected), rtol=1e-13, atol=1e-14)
    assert run.history[0].loss == pytest.approx(expected.history[0].loss, rel=1e-13)
    unweighted = xpnet.train(start(output=output), X, y, **STEP)
    assert np.abs(parameters(run) - parameters(unweighted)).max() > 1e-4


def test_every_backend(xp_backend, to_backend):
    network = to_backend(start("float32"))
    weights = xp_backend.asarray(WHOLE + 0.5)
    x = X.astype(np.float32)
    run = xpnet.train(network, x, IDS, sample_weight=weights, **STEP)
    expected = xpnet.train(start(), x, IDS, sample_weight=WHOLE + 0.5, **STEP)
    values = xp_backend.check(parameters(run), dtype="float32", shape=parameters(expected).shape)
    np.testing.assert_allclose(values, parameters(expected), rtol=1e-4, atol=1e-6)
    assert run.history[0].loss == pytest.approx(expected.history[0].loss, rel=1e-5)
    placed = xp_backend.asarray(x), xp_backend.asarray(IDS, "int64")
    there = xpnet.train(network, *placed, sample_weight=weights, **STEP)
    assert there.history[0].loss == run.history[0].loss


@pytest.mark.parametrize("weights", [None, WHOLE + 0.25])
def test_the_history_holds_weighted_means(weights):
    options = {**OPTIONS, "epochs": 1, "learning_rate": 1e-30}  # the network does not change
    run = xpnet.train(start(), X, IDS, sample_weight=weights, **options)
    order = np.random.default_rng(0).permutation(60)
    logits = start()(X)
    losses = xpnet.logsumexp(logits, axis=1) - logits[np.arange(60), IDS]
    is_right = logits.argmax(axis=1) == IDS
    (epoch,) = run.history
    for rows, found in (
        (order[15:], (epoch.loss, epoch.accuracy)),
        (order[:15], (epoch.validation_loss, epoch.validation_accuracy)),
    ):
        part = None if weights is None else weights[rows]
        expected = [np.average(x[rows], weights=part) for x in (losses, is_right)]
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weights", [None, WHOLE])
def test_separate_held_out_images_count_equally(weights):
    held_out = X[:20], IDS[:20]
    options = {**OPTIONS, "validation": held_out}
    run = xpnet.train(start(), X, IDS, sample_weight=weights, **options)
    assert run.best.validation_accuracy == xpnet.evaluate(run.network, *held_out).accuracy


def test_the_only_image_with_a_weight_is_not_held_out():
    run = xpnet.train(start(), X, IDS, sample_weight=np.eye(60)[7], validation=0.9, epochs=10)
    assert len(run.history) == 10


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "bfloat16"])
def test_weights_of_every_dtype(dtype):
    if dtype == "bfloat16":
        torch = pytest.importorskip("torch", reason="only torch has bfloat16")
        weights = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.bfloat16, requires_grad=True)
    else:
        weights = np.asarray([0, 1, 1, 0], dtype)
        weights.flags.writeable = False
    found = as_sample_weight(weights, 4)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [0, 1, 1, 0])
