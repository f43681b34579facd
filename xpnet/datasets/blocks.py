"""Blocks of images and labels, and the pairing of both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.csv_columns import CsvColumns

__all__ = ["Block", "ImageBlocks", "LabelBlocks", "RowBlocks", "pair_blocks"]

# Labels are uint8, or strings.
Block: TypeAlias = tuple[NDArray[Any], NDArray[Any] | None]


@dataclass(frozen=True)
class ImageBlocks:
    """The images of a file in blocks, at least one, with their labels if the file has both."""

    blocks: Iterator[Block]
    count: int | None  # number of images; None if only reading to the end would show it
    labelled: bool  # whether the blocks include labels
    columns: "CsvColumns | None" = None  # None except for a CSV file
    unread: Iterable[object] = ()  # lines of a CSV file after the last block


@dataclass(frozen=True)
class RowBlocks:
    """The rows of a file in blocks, at least one, and what was understood of it."""

    blocks: Iterator[Block]
    count: int | None = None  # number of rows; None if only reading to the end shows it
    label: str | None = None  # where the labels are, for people; None if the blocks have none
    names: tuple[str, ...] | None = None  # names of the columns of numbers of a CSV file
    left_out: tuple[str, ...] = ()  # names (or numbers, from 1) of columns that were left out


@dataclass(frozen=True)
class LabelBlocks:
    """Labels in blocks, at least one."""

    blocks: Iterator[NDArray[Any]]
    count: int | None  # number of labels; None if only reading to the end would show it
    ambiguous_line: int | None = None  # number of a line read as a label that may be a header


def pair_blocks(
    images: ImageBlocks, labels: LabelBlocks, names: tuple[str, str], rows: int | None
) -> Iterator[Block]:
    """Pair each block of images with its labels, reading no further than necessary.

    `labels` are those of all images in the file, not only of the first `rows`; `names` are the
    names of images and labels for errors. Raise DataError if their numbers differ; before anything
    is read if both are known. If `rows` is given and the number of images is unknown, only missing
    labels are an error.
    """
    if images.count is not None and labels.count not in {None, images.count}:
        raise _count_error(labels, names, images.count, labels.count)
    return _pairs(images, labels, names, rows)


def _pairs(
    images: ImageBlocks, labels: LabelBlocks, names: tuple[str, str], rows: int | None
) -> Iterator[Block]:
    pending = np.empty(0, np.uint8)
    n_images = 0
    for block, _ in images.blocks:
        while len(pending) < len(block) and (values := next(labels.blocks, None)) is not None:
            pending = np.concatenate([pending, values]) if len(pending) else values
        if len(pending) < len(block):
            n_labels = n_images + len(pending)
            n_images += len(block)
            raise _count_error(labels, names, images.count or n_images, n_labels)
        n_images += len(block)
        yield block, pending[: len(block)]
        pending = pending[len(block) :]
    total: int | None = n_images
    if rows is not None:
        total = images.count
        if total is None and labels.ambiguous_line is not None:  # only the count can decide
            total = n_images + sum(1 for _ in images.unread)
    if total is not None and (rows is None or labels.count is None):
        _check_end(labels, names, total, n_images + len(pending))


def _check_end(labels: LabelBlocks, names: tuple[str, str], n_images: int, n_read: int) -> None:
    """Raise DataError unless the labels, `n_read` of them already read, end with the images."""
    while n_read <= n_images and (values := next(labels.blocks, None)) is not None:
        n_read += len(values)
    if n_read != n_images:
        n_labels = n_read if next(labels.blocks, None) is None else None
        raise _count_error(labels, names, n_images, labels.count or n_labels)


def _count_error(
    labels: LabelBlocks, names: tuple[str, str], n_images: int, n_labels: int | None
) -> DataError:
    hint = None
    if labels.ambiguous_line is not None and n_labels == n_images + 1:
        hint = (
            f"if line {labels.ambiguous_line} of the labels is a header, remove it, or use --header"
            " yes if all CSV files have one (in Python header='yes')"
        )
    expected = f"more than {n_images}" if n_labels is None else n_labels
    return DataError(
        "images and labels differ in number",
        file=names[0],
        found=f"{n_images} images",
        expected=f"{expected} as in {names[1]}",
        hint=hint,
    )
