"""Tests of the result of a training run."""

from dataclasses import replace

import pytest

import xpnet
from xpnet.training.run import Epoch, Run, RunawayError

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


def test_the_loss_decides_for_a_regression():
    old = replace(EPOCH, accuracy=None, validation_accuracy=None)
    assert replace(old, validation_loss=0.5).is_better_than(old)
    assert not replace(old, validation_loss=0.7).is_better_than(old)


def test_any_epoch_is_better_than_none():
    assert EPOCH.is_better_than(None)


def test_the_error_holds_the_result():
    run = Run(xpnet.init_network([2, 2]), (EPOCH,))
    error = RunawayError("the loss diverged", run)
    assert isinstance(error, FloatingPointError)
    assert (str(error), error.run) == ("the loss diverged", run)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2 epochs, best 1: 0.700"),
        ({"validation_accuracy": None, "accuracy": None}, "2 epochs, best 1: loss 0.6"),
        (
            {"validation_accuracy": None, "validation_loss": None},
            "2 epochs, best 1: 0.800 in training",
        ),
        (
            {"accuracy": None, "validation_accuracy": None, "validation_loss": None},
            "2 epochs, best 1: loss 0.5 in training",
        ),
    ],
    ids=["held out", "regression", "nothing held out", "regression, nothing held out"],
)
def test_a_run_in_a_line(changes, text):
    best = replace(EPOCH, **changes)
    run = Run(xpnet.init_network([2, 2]), (best, replace(best, number=2)), best)
    assert str(run) == repr(run) == f"Run({text})"


def test_a_run_without_epochs_in_a_line():
    assert str(Run(xpnet.init_network([2, 2]), ())) == "Run(no epoch completed)"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "accuracy 0.8000, validation accuracy 0.7000"),
        (
            {"accuracy": 0.0, "validation_accuracy": 0.0},
            "accuracy 0.0000, validation accuracy 0.0000",
        ),
        ({"validation_accuracy": None}, "accuracy 0.8000"),
        ({"accuracy": None, "validation_accuracy": None}, "validation loss 0.6000"),
    ],
)
def test_an_epoch_in_a_line(changes, text):
    assert str(replace(EPOCH, **changes)) == f"epoch 1: loss 0.5000, {text}, 2.0 s"
