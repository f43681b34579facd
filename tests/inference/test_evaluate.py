"""Evaluations: counts of images and pairs of classes."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.inference.evaluate import Evaluation

IMAGES, LABELS = xpnet.sample()
TRAINED = xpnet.load("sample")


def evaluation(confusion):
    counts = np.asarray(confusion, np.int64)
    return Evaluation(int(np.trace(counts)), int(counts.sum()), counts)


def test_precision_and_recall():
    result = evaluation([[3, 1, 0], [0, 0, 0], [2, 3, 0]])
    np.testing.assert_array_equal(result.precision, [3 / 5, 0.0, np.nan])
    np.testing.assert_array_equal(result.recall, [3 / 4, np.nan, 0.0])
    assert result.precision.dtype == result.recall.dtype == np.float64


def test_no_images():
    result = xpnet.evaluate(TRAINED, np.empty((0, 784), np.uint8), np.empty(0, np.uint8))
    assert (result.correct, result.total, result.most_confused()) == (0, 0, [])
    assert np.isnan([result.accuracy, *result.precision, *result.recall]).all()


def test_the_most_confused_pairs():
    result = evaluation([[9, 1, 0], [4, 9, 1], [2, 4, 9]])
    pairs = [(1, 0, 4), (2, 1, 4), (2, 0, 2), (0, 1, 1), (1, 2, 1)]
    assert result.most_confused() == pairs
    assert result.most_confused(2) == pairs[:2]
    assert {type(x) for pair in result.most_confused() for x in pair} == {int}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Evaluation(986, 1000, np.eye(2)), "0.986: 986 of 1,000"),
        (Evaluation(9863, 10000, np.eye(2)), "0.9863: 9,863 of 10,000"),
        (Evaluation(0, 0, np.eye(2)), "no images"),
    ],
)
def test_a_result_in_a_line(result, text):
    assert str(result) == repr(result) == f"Evaluation({text})"


def test_counts_and_names_of_classes():
    network = replace(TRAINED, classes=list("abcdefghij"))
    named = xpnet.evaluate(network, IMAGES, np.asarray(network.classes)[LABELS])
    result = xpnet.evaluate(TRAINED, IMAGES, LABELS)
    is_right = xpnet.predict(TRAINED, IMAGES) == LABELS
    assert (result.correct, result.total) == (is_right.sum(), 1000)
    assert result.accuracy == named.accuracy == result.correct / 1000 >= 0.97
    assert (named.classes, result.classes) == (tuple("abcdefghij"), None)
    three = xpnet.Network([xpnet.Dense(np.eye(3), np.zeros(3))])
    result = xpnet.evaluate(three, np.eye(3)[[0, 1, 1]], [0, 1, 2])
    np.testing.assert_array_equal(result.confusion, [[1, 0, 0], [0, 1, 0], [0, 1, 0]])


@pytest.mark.parametrize("blocks", [[], [0], [3, 0, 40, 7, 50]], ids=str)
def test_pairs_are_evaluated_one_after_the_other(monkeypatch, blocks):
    compute, ends, events = xpnet.Network.compute, np.cumsum(blocks, dtype=int), []

    def pairs():
        for n, end in zip(blocks, ends, strict=True):
            events.append(("taken", n))
            yield IMAGES[end - n : end], LABELS[end - n : end]

    def spy(network, x, xp):
        events.append(("computed", x.shape[0]))
        return compute(network, x, xp)

    n = sum(blocks)
    expected = xpnet.evaluate(TRAINED, IMAGES[:n], LABELS[:n]).confusion
    monkeypatch.setattr(xpnet.Network, "compute", spy)
    np.testing.assert_array_equal(xpnet.evaluate(TRAINED, pairs()).confusion, expected)
    assert events == [(word, n) for n in blocks for word in ("taken", "computed")]
