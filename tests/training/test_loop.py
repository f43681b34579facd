"""Tests of the steps of a training, and of the scores between them."""

import numpy as np
import pytest

import xpnet
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, all_finite
from xpnet.training.loop import loss_and_accuracy

ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
WEIGHT = np.asarray([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]], np.float32)
BIAS = np.asarray([0.25, -0.5], np.float32)
REGRESSION = xpnet.Network([xpnet.Dense(WEIGHT, BIAS)], output="values")


def descended(network, rows, targets, **options):
    """Return the only layer after training by steps of all rows."""
    options = {"schedule": "constant", "batch_size": 8, **options}
    return xpnet.train(network, rows, targets, **options).network.layers[0]


def test_biases_do_not_decay():
    # There is no error: only the decay is left.
    options = {"epochs": 1, "optimizer": xpnet.SGD(weight_decay=0.5), "learning_rate": 0.1}
    layer = descended(REGRESSION, ROWS, REGRESSION(ROWS), **options)
    np.testing.assert_allclose(layer.weight, 0.95 * WEIGHT, rtol=1e-5)
    np.testing.assert_allclose(layer.bias, BIAS, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_small_steps_add_up(xp_backend, to_backend, dtype):
    """Each step is below the precision of 16 bits; their sum is not."""
    if dtype == "bfloat16" and xp_backend.name != "torch":
        pytest.skip("only torch has a bfloat16 to learn in")
    elif dtype != "bfloat16":
        xp_backend.asarray(0.0, dtype)  # skips if the backend lacks the dtype
    network, xp = to_backend(REGRESSION), xp_backend.xp
    network = network.map_arrays(lambda x: xp.astype(x, getattr(xp, dtype)))
    options = {"epochs": 100, "optimizer": "sgd", "learning_rate": 1e-4}
    layer = descended(network, ROWS, REGRESSION(ROWS) - 1, **options)
    # The error of each unit is 1, so the derivative by its bias is 2 * 1 / 2.
    slope = np.broadcast_to(ROWS.mean(axis=0)[:, None], (3, 2))
    for x, expected in [(layer.weight, WEIGHT - 0.01 * slope), (layer.bias, BIAS - 0.01)]:
        found = xp_backend.check(x, dtype=dtype, shape=expected.shape).astype("float32")
        atol = 0.003 if dtype == "bfloat16" else 0.001
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_infinity_and_nan_are_found(xp_backend):
    for number in (0.0, 3e38, np.inf, -np.inf, np.nan):
        x = xp_backend.asarray([0.0, number, 0.0])
        assert all_finite(x) == np.isfinite(number)


LOGITS = REGRESSION(ROWS)
IDS = np.asarray([0, 1, 1, 0, 1, 0, 0, 1])
ONES = np.ones((8, 2), np.float32)
PAIRS = (LOGITS > 0).astype(np.float32)
PAIRS[3, 1] = 1 - PAIRS[3, 1]  # a row is wrong if one of its two answers is
KINDS = [
    ("logits", "identity", IDS, np.mean(LOGITS.argmax(axis=1) == IDS), xpnet.cross_entropy),
    ("probabilities", "softmax", IDS, np.mean(LOGITS.argmax(axis=1) == IDS), xpnet.cross_entropy),
    ("probabilities", "sigmoid", PAIRS, 7 / 8, xpnet.binary_cross_entropy),
    ("values", "identity", ONES, None, lambda x, y: np.mean((x - y) ** 2)),
]


@pytest.mark.parametrize("case", KINDS, ids=range(4))
def test_scores_of_examples_anywhere(xp_backend, case):
    output, ending, answers, accuracy, loss = case
    last = xpnet.Dense(WEIGHT, BIAS, ending)
    network = xpnet.Network([last], output=output).map_arrays(xp_backend.asarray)
    objective = Objective(network)
    kind = "int64" if answers is IDS else "float32"
    rows, there = xp_backend.asarray(ROWS), xp_backend.asarray(answers, kind)
    expected = (pytest.approx(float(loss(LOGITS, answers)), rel=1e-5), accuracy)
    for examples in (
        Examples(ROWS, answers),
        Examples(rows, there),
        Examples(ROWS, answers, np.ones(8)),
        Examples(rows, there, np.ones(8)),
    ):
        assert loss_and_accuracy(objective, objective.scored, examples) == expected
    # A weight of 3 equals three rows.
    weights = np.asarray([3.0, 1, 1, 1, 2, 1, 1, 1])
    index = np.repeat(np.arange(8), weights.astype(int))
    both = Examples(rows, there, weights), Examples(ROWS[index], answers[index])
    weighted, repeated = (loss_and_accuracy(objective, objective.scored, x) for x in both)
    assert weighted == pytest.approx(repeated)
