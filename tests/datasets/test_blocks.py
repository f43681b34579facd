"""Pairing of images and labels, which are read block by block, side by side."""

from itertools import count, pairwise, repeat

import numpy as np
import pytest

from xpnet.datasets.blocks import ImageBlocks, LabelBlocks, pair_blocks
from xpnet.files import DataError

NAMES = ("x.npy", "y.csv")


def images_of(*lengths, known=True):
    blocks = ((np.full((n, 2), i, np.uint8), None) for i, n in enumerate(lengths))
    return ImageBlocks(blocks, sum(lengths) if known else None, labelled=False)


def labels_of(*lengths, known=False):
    numbers = np.arange(sum(lengths), dtype=np.uint8)
    places = np.cumsum((0, *lengths))
    blocks = (numbers[start:end] for start, end in pairwise(places))
    return LabelBlocks(blocks, sum(lengths) if known else None)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("n_labels", [(6,), (1, 5), (4, 2), (1,) * 6, (0, 6), (5, 0, 1)])
def test_blocks_of_different_lengths(known, n_labels):
    pairs = list(pair_blocks(images_of(2, 3, 1), labels_of(*n_labels, known=known), NAMES, None))
    assert [labels.tolist() for _, labels in pairs] == [[0, 1], [2, 3, 4], [5]]
    assert [len(images) for images, _ in pairs] == [2, 3, 1]


def test_no_images_and_no_labels():
    (pair,) = pair_blocks(images_of(0), labels_of(0), NAMES, None)
    assert [len(x) for x in pair] == [0, 0]


@pytest.mark.parametrize(
    ("images", "labels", "rows", "found"),
    [
        (images_of(3), labels_of(4, known=True), None, (3, "4")),
        (images_of(3), labels_of(4, known=True), 1, (3, "4")),
        (images_of(3), labels_of(4), None, (3, "4")),
        (images_of(3), labels_of(3, 1, 2), None, (3, "more than 3")),
        (images_of(3), labels_of(1, 1), None, (3, "2")),
        (images_of(3, known=False), labels_of(5), None, (3, "5")),
        (images_of(2, 2, known=False), labels_of(3, known=True), None, (4, "3")),
        (images_of(2, 2, known=False), labels_of(3), 4, (4, "3")),
    ],
)
def test_numbers_differ(images, labels, rows, found):
    n_images, n_labels = found
    with pytest.raises(DataError) as caught:
        list(pair_blocks(images, labels, NAMES, rows))
    assert str(caught.value) == (
        "x.npy: images and labels differ in number, "
        f"found {n_images} images, expected {n_labels} as in y.csv"
    )


@pytest.mark.parametrize(("n_labels", "fits"), [(5, True), (4, False), (6, False)])
def test_all_labels_are_counted_with_rows(n_labels, fits):
    blocks = images_of(2).blocks  # the first two rows of five images
    pairs = pair_blocks(
        ImageBlocks(blocks, 5, labelled=False), labels_of(*[1] * n_labels), NAMES, 2
    )
    assert next(pairs)[1].tolist() == [0, 1]
    if fits:
        assert list(pairs) == []
    else:
        with pytest.raises(DataError, match=rf"found 5 images, expected {n_labels} as in y\.csv"):
            list(pairs)


@pytest.mark.parametrize("known", [True, False])
def test_endless_labels_are_not_read(known):
    n_read = count()
    endless = (block for block, _ in zip(repeat(np.zeros(4, np.uint8)), n_read))
    pairs = pair_blocks(images_of(3, 4, known=known), LabelBlocks(endless, None), NAMES, None)
    with pytest.raises(DataError, match=r"found 7 images, expected more than 7 as in y\.csv"):
        list(pairs)
    assert next(n_read) <= 4


def test_known_numbers_are_compared_before_reading():
    def unread():
        pytest.fail("a block was read")
        yield

    images, labels = ImageBlocks(unread(), 20, labelled=False), LabelBlocks(unread(), 10**10)
    with pytest.raises(DataError, match=r"found 20 images, expected 10000000000 as in y\.csv"):
        pair_blocks(images, labels, NAMES, None)
