"""Evaluation of blocks of images that are joined for a GPU."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.inference import evaluate as module
from xpnet.inference.batches import BatchOptions
from xpnet.inference.predict import marked_class_ids
from xpnet.inference.runner import Runner


@pytest.mark.parametrize("most", [1, 7, 100, 10_000])
@pytest.mark.parametrize("sizes", [[5], [1, 1, 1], [3, 0, 40, 7, 50], [0], []])
def test_each_block_gets_its_own_predictions(monkeypatch, most, sizes):
    monkeypatch.setattr(module, "_STREAM_ROWS", most)
    network, images = xpnet.load("sample"), xpnet.sample()[0]
    ends = np.cumsum(sizes, dtype=int)
    blocks = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    pairs = ((images[block].tolist() if most == 7 else images[block], block) for block in blocks)
    if most == 7:  # an empty list would have no pixels
        pairs = ((rows if len(rows) else images[:0], block) for rows, block in pairs)
    runner = Runner(network, marked_class_ids, BatchOptions())
    found = list(module._predict_stream(runner, pairs))  # noqa: SLF001 (a GPU's way, without one)
    assert [block for _, block in found] == blocks
    for predicted, block in found:
        np.testing.assert_array_equal(predicted, xpnet.predict(network, images[block]))


def test_blocks_are_not_read_ahead(monkeypatch):
    monkeypatch.setattr(module, "_STREAM_ROWS", 10)
    images, asked = xpnet.sample()[0], []

    def pairs():
        for i in range(0, 60, 5):
            asked.append(i)
            yield images[i : i + 5], i

    network = xpnet.load("sample")
    runner = Runner(network, marked_class_ids, BatchOptions())
    found = module._predict_stream(runner, pairs())  # noqa: SLF001
    assert next(found)[1] == 0
    assert asked == [0, 5]


def evaluation(confusion):
    counts = np.asarray(confusion, np.int64)
    return module.Evaluation(int(np.trace(counts)), int(counts.sum()), counts)


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
        (module.Evaluation(986, 1000, np.eye(2)), "0.986: 986 of 1,000"),
        (module.Evaluation(9863, 10000, np.eye(2)), "0.9863: 9,863 of 10,000"),
        (module.Evaluation(1, 2, np.eye(2), n_nonfinite=3), "0.500: 1 of 2; 3 not finite"),
        (module.Evaluation(0, 0, np.eye(2)), "no images"),
    ],
)
def test_a_result_in_a_line(result, text):
    assert str(result) == repr(result) == f"Evaluation({text})"


def test_the_names_of_the_classes_are_kept():
    network = replace(xpnet.load("sample"), classes=list("abcdefghij"))
    images, labels = xpnet.sample()
    result = xpnet.evaluate(network, images, labels)
    assert result.classes == tuple("abcdefghij")
    assert xpnet.evaluate(xpnet.load("sample"), images, labels).classes is None
