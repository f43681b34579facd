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
