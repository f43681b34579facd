"""Images with their labels: two streams, and whether they have the same number of rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.row_tables import Block, Labels, Rows
from xpnet.files import DataError

__all__ = ["paired"]


def paired(
    images: Rows, labels: Labels, names: tuple[str, str], rows: int | None
) -> Iterator[Block]:
    """Pair each block of images with its labels.

    Neither is read to its end beforehand: labels that are too many are left unread.

    Parameters
    ----------
    images : Rows
        The images.
    labels : Labels
        The labels of all images in the file, not of the first `rows` alone.
    names : tuple of str
        The names of images and labels, for the text of an error.
    rows : int or None
        The number of images that were asked for, None for all.

    Returns
    -------
    iterator of tuple of ndarray
        Images and labels.

    Raises
    ------
    DataError
        If the numbers differ, before anything is read where both are known; the text names both
        files. With `rows`, images whose number is unknown need that many labels at least.
    """
    if images.count is not None and labels.count not in {None, images.count}:
        raise _count_error(labels, names, images.count, labels.count)
    return _pairs(images, labels, names, rows)


def _pairs(
    images: Rows, labels: Labels, names: tuple[str, str], rows: int | None
) -> Iterator[Block]:
    rest = np.empty(0, np.uint8)
    n_images = 0
    for block, _ in images.blocks:
        values, rest = _divided(rest, labels.blocks, len(block))
        n_images += len(block)
        if len(values) < len(block):
            n_labels = n_images - len(block) + len(values)
            raise _count_error(labels, names, images.count or n_images, n_labels)
        yield block, values
    total: int | None = n_images
    if rows is not None:
        total = images.count
        if total is None and labels.doubtful is not None:  # the count alone tells a header
            total = n_images + sum(1 for _ in images.rest)
    if total is not None and (rows is None or labels.count is None):
        _check_end(labels, names, total, n_images + len(rest))


def _divided(
    rest: NDArray[np.uint8], blocks: Iterator[NDArray[np.uint8]], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the next labels, `count` of them unless the blocks end, and what is read beyond."""
    parts, n_read = [rest], len(rest)
    while n_read < count and (block := next(blocks, None)) is not None:
        parts.append(block)
        n_read += len(block)
    whole = np.concatenate(parts)
    return whole[:count], whole[count:]


def _check_end(labels: Labels, names: tuple[str, str], n_images: int, n_read: int) -> None:
    """Raise unless the labels, `n_read` of which are read, end with the images."""
    while n_read <= n_images and (block := next(labels.blocks, None)) is not None:
        n_read += len(block)
    if n_read != n_images:
        n_labels = n_read if next(labels.blocks, None) is None else None
        raise _count_error(labels, names, n_images, labels.count or n_labels)


def _count_error(
    labels: Labels, names: tuple[str, str], n_images: int, n_labels: int | None
) -> DataError:
    shown = f"more than {n_images}" if n_labels is None else n_labels
    hint = None
    if labels.doubtful is not None and n_labels == n_images + 1:
        hint = (
            f"if line {labels.doubtful} of the labels is a header, remove it, or say --header yes"
            " if all CSV files have one (in Python header='yes')"
        )
    return DataError(
        "images and labels differ in number",
        file=names[0],
        found=f"{n_images} images",
        expected=f"{shown} as in {names[1]}",
        hint=hint,
    )
