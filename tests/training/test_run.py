"""Tests of the result of a training run."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.training import loop
from xpnet.training.run import Epoch, Run, RunawayError, TrainingInterrupted

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


NOTHING_HELD_OUT = {"validation_accuracy": None, "validation_loss": None}


@pytest.mark.parametrize(
    ("changes", "baseline", "text"),
    [
        ({}, 0.11, "0.700, most frequent class 0.110"),
        (NOTHING_HELD_OUT, 0.11, "0.800 in training, most frequent class 0.110"),
        ({"accuracy": None, "validation_accuracy": None}, 0.8, "loss 0.6, R2 0.25"),
        ({"accuracy": None, **NOTHING_HELD_OUT}, 0.4, "loss 0.5, R2 -0.25 in training"),
        ({"accuracy": None, **NOTHING_HELD_OUT}, 0.0, "loss 0.5 in training"),
        ({"accuracy": None, **NOTHING_HELD_OUT}, 5e-31, "loss 0.5, R2 -1e+30 in training"),
        (
            {"accuracy": None, "loss": 14054.1, **NOTHING_HELD_OUT},
            5929.9,
            "loss 14,054, R2 -1.37 in training",
        ),
    ],
)
def test_a_run_in_a_line(changes, baseline, text):
    best = replace(EPOCH, **changes)
    run = Run(xpnet.init_network([2, 2]), (best, replace(best, number=2)), best, baseline)
    assert str(run) == repr(run) == f"Run(2 epochs, best 1: {text})"
    assert str(Run(run.network, ())) == "Run(no epoch completed)"


def test_the_baseline_is_the_best_score_without_inputs():
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(40, 2)), random.integers(1, 4, 40)
    ids, values = np.arange(40) % 7 // 3, random.normal(size=(40, 2)) * [1.0, 9.0]
    classes = xpnet.init_network([2, 3])
    layer = xpnet.Dense(np.ones((2, 2)), np.zeros(2), "sigmoid")
    yes_or_no = xpnet.Network([layer], output="probabilities")
    regression = xpnet.init_network([2, 2], output="values", dtype="float64")
    held_out = (x[:10], values[:10])
    share = np.bincount(ids, weights).max() / weights.sum()
    pairs = np.column_stack([ids > 0, ids > 1])
    mean = np.average(values, axis=0, weights=weights)
    for network, y, options, expected in [
        (classes, ids, {}, np.bincount(ids).max() / 40),
        (classes, ids, {"sample_weight": weights}, share),
        (classes, ids, {"validation": (x[:2], [1, 1])}, 1.0),
        (yes_or_no, pairs, {"sample_weight": weights}, share),
        (regression, values, {}, np.mean(values.var(axis=0))),
        (regression, values, {"validation": held_out}, np.mean(values[:10].var(axis=0))),
        (
            regression,
            values,
            {"sample_weight": weights},
            np.mean(np.average((values - mean) ** 2, axis=0, weights=weights)),
        ),
    ]:
        run = xpnet.train(network, x, y, epochs=1, **options)
        assert run.baseline == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "accuracy 0.8000, validation accuracy 0.7000"),
        ({"accuracy": 0.0}, "accuracy 0.0000, validation accuracy 0.7000"),
        ({"validation_accuracy": None}, "accuracy 0.8000"),
        ({"accuracy": None, "validation_accuracy": None}, "validation loss 0.6000"),
    ],
)
def test_an_epoch_in_a_line(changes, text):
    assert str(replace(EPOCH, **changes)) == f"epoch 1: loss 0.5000, {text}, 2.0 s"


def test_a_loss_of_held_out_rows_that_overflows_is_an_error():
    network = xpnet.init_network([1, 3, 1], output="values")
    x, y = np.ones((20, 1)), np.ones(20)
    held_out = np.full((2, 1), 1e30), np.ones(2)
    with pytest.raises(RunawayError, match="held-out images"):
        xpnet.train(network, x, y, validation=held_out)


def test_an_interrupt_before_any_line_leaves_the_last_complete_epoch(
    interrupted_at, assert_same_bits
):
    x, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 2
    network = xpnet.init_network([2, 2])
    options = {"batch_size": 6, "schedule": "constant", "validation": 0.25}
    runs = [xpnet.train(network, x, y, epochs=n, **options) for n in (1, 2)]
    n_complete = set()
    for n in range(1, 1000):
        with interrupted_at(n, loop) as lines:
            try:
                assert_same_bits(xpnet.train(network, x, y, epochs=2, **options), runs[1])
            except TrainingInterrupted as error:
                n_complete.add(len(error.run.history))
                assert_same_bits(error.run, runs[len(error.run.history) - 1])
            except KeyboardInterrupt:
                n_complete.add(0)
        if len(lines) < n:
            break
    assert n_complete == {0, 1, 2}


@pytest.mark.parametrize("n", [1, 2])
def test_an_interrupt_in_on_epoch(n, assert_same_bits):
    def interrupt(run):
        if len(run.history) == n:
            raise KeyboardInterrupt

    given = xpnet.init_network([2, 2]), np.ones((6, 2)), np.arange(6) % 2
    with pytest.raises(TrainingInterrupted) as caught:
        xpnet.train(*given, epochs=2, schedule="constant", on_epoch=interrupt)
    run = pickle.loads(pickle.dumps(caught.value)).run
    assert_same_bits(run, xpnet.train(*given, epochs=n, schedule="constant"))
    assert isinstance(caught.value, KeyboardInterrupt)


def test_on_epoch_may_save_the_best_network_so_far(assert_same_bits):
    given = xpnet.init_network([2, 2]), np.ones((6, 2)), np.arange(6) % 2
    options, runs = {"schedule": "constant", "validation": 0.5}, []
    xpnet.train(*given, epochs=3, on_epoch=runs.append, **options)
    for n, run in enumerate(runs, 1):
        assert_same_bits(run, xpnet.train(*given, epochs=n, **options))


def test_constant_values_have_no_r2():
    network = xpnet.init_network([2, 1], output="values", dtype="float64")
    run = xpnet.train(network, np.eye(3, 2), [0.1] * 3, epochs=1, sample_weight=[0.3, 1.3, 2.3])
    assert run.baseline == 0.0
    assert "R2" not in repr(run)
