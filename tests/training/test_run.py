"""Tests of the result of a training run."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.training.run import Epoch, Run

EPOCH = Epoch(1, 0.5, 0.8, 0.6, 0.7, 0.01, 2.0)


@pytest.mark.parametrize(
    ("changes", "is_better"),
    [
        ({"validation_accuracy": 0.8}, True),
        ({"validation_accuracy": 0.8, "validation_loss": 9.0}, True),
        ({"validation_accuracy": 0.6, "validation_loss": 0.1}, False),
        ({"validation_loss": 0.5}, True),
        ({"validation_loss": 0.7}, False),
        ({}, False),
        ({"loss": 0.1, "accuracy": 1.0}, False),
        ({"validation_loss": float("nan")}, False),
    ],
)
def test_which_epoch_is_better(changes, is_better):
    assert replace(EPOCH, **changes).is_better_than(EPOCH) == is_better
    if "validation_accuracy" not in changes:  # then the loss decides, as for a regression
        old = replace(EPOCH, accuracy=None, validation_accuracy=None)
        assert replace(old, **changes).is_better_than(old) == is_better


ALONE = {"validation_accuracy": None, "validation_loss": None}
LOSSES = {"accuracy": None, "validation_accuracy": None}
LOSS = {**ALONE, **LOSSES}


@pytest.mark.parametrize(
    ("changes", "baseline", "of_run", "of_epoch"),
    [
        ({}, 0.11, "0.700, most frequent class 0.110", "accuracy 0.8000, validation accuracy"),
        (ALONE, 0.11, "0.800 in training, most frequent class 0.110", "accuracy 0.8000, 2.0 s"),
        ({**ALONE, "accuracy": 0.0}, 0.5, "0.000 in training", "accuracy 0.0000, 2.0 s"),
        (LOSSES, 0.8, "loss 0.6, R2 0.25", "0.5000, validation loss 0.6000, 2.0 s"),
        (LOSS, 0.4, "loss 0.5, R2 -0.25 in training", "loss 0.5000, 2.0 s"),
        (LOSS, 0.0, "loss 0.5 in training", "loss 0.5000"),
        (LOSS, 5e-31, "loss 0.5, R2 -1e+30 in training", "loss 0.5000"),
    ],
)
def test_a_run_and_an_epoch_in_a_line(changes, baseline, of_run, of_epoch):
    best = replace(EPOCH, **changes)
    run = Run(xpnet.init_network([2, 2]), (best, replace(best, number=2)), best, baseline)
    assert str(run) == repr(run)
    assert str(run).startswith(f"Run(2 epochs, best 1: {of_run}")
    assert of_epoch in str(best)
    assert str(Run(run.network, ())) == "Run(no epoch completed)"


def test_the_baseline_is_the_best_score_without_inputs():
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(40, 2)), random.integers(1, 4, 40)
    ids, values = np.arange(40) % 7 // 3, random.normal(size=(40, 2)) * [1.0, 9.0]
    classes = xpnet.init_network([2, 3])
    layer = xpnet.Dense(np.ones((2, 2)), np.zeros(2), "sigmoid")
    yes_or_no = xpnet.Network([layer], output="probabilities")
    regression = xpnet.init_network([2, 2], output="values", dtype="float64")
    held_out, weighted = (x[:10], values[:10]), {"sample_weight": weights}
    share = np.bincount(ids, weights).max() / weights.sum()
    pairs = np.column_stack([ids > 0, ids > 1])
    squares = (values - np.average(values, axis=0, weights=weights)) ** 2
    for network, y, options, expected in [
        (classes, ids, {}, np.bincount(ids).max() / 40),
        (classes, ids, weighted, share),
        (classes, ids, {"validation": (x[:2], [1, 1])}, 1.0),
        (yes_or_no, pairs, weighted, share),
        (regression, values, {}, np.mean(values.var(axis=0))),
        (regression, values, {"validation": held_out}, np.mean(values[:10].var(axis=0))),
        (regression, values, weighted, np.mean(np.average(squares, axis=0, weights=weights))),
    ]:
        run = xpnet.train(network, x, y, epochs=1, **options)
        assert run.baseline == pytest.approx(expected)


def test_constant_values_have_no_r2():
    network = xpnet.init_network([2, 1], output="values", dtype="float64")
    run = xpnet.train(network, np.eye(3, 2), [0.1] * 3, epochs=1, sample_weight=[0.3, 1.3, 2.3])
    assert run.baseline == 0.0
    assert "R2" not in repr(run)
