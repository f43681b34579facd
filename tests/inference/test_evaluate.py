"""Results of an evaluation."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.inference.evaluate import Evaluation


def evaluation(confusion):
    counts = np.asarray(confusion, np.int64)
    return Evaluation(int(np.trace(counts)), int(counts.sum()), counts)


def test_precision_and_recall():
    result = evaluation([[3, 1, 0], [0, 0, 0], [2, 3, 0]])
    np.testing.assert_array_equal(result.precision, [3 / 5, 0.0, np.nan])
    np.testing.assert_array_equal(result.recall, [3 / 4, np.nan, 0.0])
    assert result.precision.dtype == result.recall.dtype == np.float64


def test_precision_and_recall_without_images():
    result = evaluation(np.zeros((2, 2)))
    np.testing.assert_array_equal([result.precision, result.recall], np.full((2, 2), np.nan))
    assert result.most_confused() == []


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


def test_the_names_of_the_classes_are_kept():
    network = replace(xpnet.load("sample"), classes=list("abcdefghij"))
    images, labels = xpnet.sample()
    result = xpnet.evaluate(network, images, np.asarray(network.classes)[labels])
    assert result.classes == tuple("abcdefghij")
    assert xpnet.evaluate(xpnet.load("sample"), images, labels).classes is None
