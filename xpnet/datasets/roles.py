"""What an array of a file may be: images or labels. Every format's arrays come through here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.options import Options
    from xpnet.datasets.tables import Table

__all__ = ["check_counts", "image_blocks", "label_values", "paired"]

_FLOAT_BYTES = (2, 4, 8)
_LARGEST_PIXEL = 255


def image_blocks(table: "Table", options: "Options") -> Iterator[NDArray[Any]]:
    """Read a table as images, in blocks.

    Parameters
    ----------
    table : Table
        The array; uint8, float32 and float64 keep their dtype, float16 becomes float32, other
        integers become uint8.
    options : Options
        `rows`, `block_rows` and, for the text of an error, `labels` are used.

    Returns
    -------
    iterator of ndarray
        Blocks of images along the first axis, at least one.

    Raises
    ------
    DataError
        If the array has one dimension, another kind of dtype, an integer outside 0 to 255, or
        a value that is not finite.
    """
    if len(table.shape) == 1:
        hint = "these may be labels"
        if options.labels is not None:
            hint = f"is it swapped with the labels file {options.labels}?"
        msg = "not images"
        raise DataError(msg, file=table.name, found="1 dimension", expected="2 to 4", hint=hint)
    _check_kind(table)
    return _converted(table, options)


def label_values(
    table: "Table", options: "Options", images: str | None = None
) -> NDArray[np.uint8]:
    """Read a table as labels, all rows of it.

    Parameters
    ----------
    table : Table
        An array of whole numbers, integers or floating, of shape (n,) or (n, 1).
    options : Options
        `classes`, `rows` and `block_rows` are used.
    images : str, optional
        The file of the images, if another one, for the text of an error.

    Returns
    -------
    ndarray of uint8, shape (n,)
        The labels.

    Raises
    ------
    DataError
        If the array has another shape or dtype, or holds anything but labels.
    """
    if table.row_bytes != table.dtype.itemsize:
        shown = " x ".join(map(str, table.shape))
        msg = "not labels"
        raise DataError(
            msg,
            file=table.name,
            found=f"shape {shown}",
            expected="1 dimension",
            hint=None if images is None else f"is it swapped with the images file {images}?",
        )
    _check_kind(table)
    values = np.concatenate([block.reshape(-1) for block in table.blocks(options)])
    fits = (values >= 0) & (values <= options.largest_label) & (values == np.floor(values))
    if not fits.all():
        first = int(np.argmin(fits))
        msg = f"label of row {first + 1}"
        raise DataError(
            msg,
            file=table.name,
            found=values[first],
            expected=f"a whole number from 0 to {options.largest_label}",
        )
    return values.astype(np.uint8, copy=False)


def check_counts(images: tuple[str, int], labels: tuple[str, int], hint: str | None = None) -> None:
    """Refuse a different number of images and labels.

    Parameters
    ----------
    images, labels : tuple of str and int
        The name of the file and the number of rows in it.
    hint : str, optional
        What may be the cause.

    Raises
    ------
    DataError
        If the numbers differ; the text names both files.
    """
    if images[1] != labels[1]:
        msg = "images and labels differ in number"
        raise DataError(
            msg,
            file=images[0],
            found=f"{images[1]} images",
            expected=f"{labels[1]} as in {labels[0]}",
            hint=hint,
        )


def paired(
    blocks: Iterator[NDArray[Any]], labels: NDArray[np.uint8]
) -> Iterator[tuple[NDArray[Any], NDArray[np.uint8]]]:
    """Give each block of images its labels.

    Parameters
    ----------
    blocks : iterator of ndarray
        The images.
    labels : ndarray of uint8, shape (n,)
        The labels of all of them. Those of the last blocks are missing where there are fewer.

    Yields
    ------
    tuple of ndarray
        Images and labels.
    """
    start = 0
    for images in blocks:
        yield images, labels[start : start + len(images)]
        start += len(images)


def _check_kind(table: "Table") -> None:
    kind, size = table.dtype.kind, table.dtype.itemsize
    if kind not in "uif" or (kind == "f" and size not in _FLOAT_BYTES):
        msg = "dtype of the array"
        raise DataError(
            msg,
            file=table.name,
            found=table.dtype,
            expected="uint8, float32, float64, or integers from 0 to 255",
        )


def _converted(table: "Table", options: "Options") -> Iterator[NDArray[Any]]:
    start = 0
    for block in table.blocks(options):
        if block.dtype.kind == "f":
            fits = np.isfinite(block)
            dtype = block.dtype.newbyteorder("=")
            dtype = np.promote_types(dtype, np.float32)
        else:
            fits = (block >= 0) & (block <= _LARGEST_PIXEL)
            dtype = np.dtype(np.uint8)
        if block.dtype != np.uint8 and not fits.all():
            raise _pixel_error(table.name, block, fits, start)
        yield block.astype(dtype, copy=False)
        start += len(block)


def _pixel_error(name: str, block: NDArray[Any], fits: NDArray[np.bool_], start: int) -> DataError:
    where = np.unravel_index(int(np.argmin(fits)), block.shape)
    pixel = ", ".join(str(int(place) + 1) for place in where[1:])
    return DataError(
        f"pixel {pixel} of row {start + int(where[0]) + 1}",
        file=name,
        found=block[where],
        expected="a finite number" if block.dtype.kind == "f" else "0 to 255",
    )
