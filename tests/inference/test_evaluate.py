"""Blocks of images with their labels, put together for a GPU."""

import numpy as np
import pytest

import xpnet
from xpnet.inference import evaluate as module
from xpnet.inference.predict import marked_class_ids
from xpnet.inference.runner import plan

OPTIONS = {"batch_size": None, "threads": None, "batch_invariant": False, "transfers": "allow"}


@pytest.mark.parametrize("most", [1, 7, 100, 10_000])
@pytest.mark.parametrize("sizes", [[5], [1, 1, 1], [3, 0, 40, 7, 50], [0], []])
def test_each_block_gets_its_own_predictions(monkeypatch, most, sizes):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", most)
    network, images = xpnet.load("sample"), xpnet.sample()[0]
    ends = np.cumsum(sizes, dtype=int)
    blocks = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    pairs = ((images[block].tolist() if most == 7 else images[block], block) for block in blocks)
    if most == 7:  # lists, but not of nothing, which has no pixels
        pairs = ((rows if len(rows) else images[:0], block) for rows, block in pairs)
    work = plan(network, pairs, marked_class_ids, **OPTIONS)
    found = list(module._of_stream(pairs, work))  # noqa: SLF001 (a GPU's way, without one)
    assert [block for _, block in found] == blocks
    for predicted, block in found:
        np.testing.assert_array_equal(predicted, xpnet.predict(network, images[block]))


def test_no_more_blocks_are_asked_for_than_are_put_together(monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 10)
    images, asked = xpnet.sample()[0], []

    def pairs():
        for i in range(0, 60, 5):
            asked.append(i)
            yield images[i : i + 5], i

    network = xpnet.load("sample")
    work = plan(network, pairs(), marked_class_ids, **OPTIONS)
    found = module._of_stream(pairs(), work)  # noqa: SLF001
    assert next(found)[1] == 0
    assert asked == [0, 5]
