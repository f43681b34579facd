"""What an array of a file may be: images or labels. Every format's arrays come through here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.limits import check_held
from xpnet.datasets.row_tables import Rows
from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import Options
    from xpnet.datasets.row_tables import Table
    from xpnet.files import Source

__all__ = ["image_dtype", "image_rows", "label_blocks"]

_FLOAT_BYTES = (2, 4, 8)
_LARGEST_PIXEL = 255


def image_rows(table: "Table", source: "Source", options: "Options") -> Rows:
    """Read a table as images, in blocks.

    Parameters
    ----------
    table : Table
        The array; uint8, float32 and float64 keep their dtype, float16 becomes float32, other
        integers become uint8.
    source : Source
        The file that it comes from.
    options : Options
        `rows`, `block_rows`, `max_data_bytes` and, for the text of an error, `labels` are used.

    Returns
    -------
    Rows
        Blocks of images along the first axis, at least one.

    Raises
    ------
    DataError
        If the array has one dimension, another kind of dtype, or a row that is too large; from
        the blocks, if it has an integer outside 0 to 255 or a value that is not finite.
    """
    if len(table.shape) == 1:
        hint = "these may be labels"
        if options.labels is not None:
            hint = f"is it swapped with the labels file {options.labels}?"
        msg = "not images"
        raise DataError(msg, file=table.name, found="1 dimension", expected="2 to 4", hint=hint)
    _check_kind(table)
    check_held("image", table.row_bytes, source, options)
    blocks = ((block, None) for block in _converted(table, options))
    return Rows(blocks, table.shape[0], labelled=False, table=table)


def label_blocks(
    table: "Table", options: "Options", images: str | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Read a table as labels, in blocks.

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
    iterator of ndarray of uint8, shape (n,)
        Blocks of labels, at least one.

    Raises
    ------
    DataError
        If the array has another shape or dtype; from the blocks, if it holds anything but labels.
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
    return _checked_labels(table, options)


def image_dtype(table: "Table") -> np.dtype[Any]:
    """Return the dtype of a table's images: uint8, float32 or float64."""
    if table.dtype.kind != "f":
        return np.dtype(np.uint8)
    return np.promote_types(table.dtype.newbyteorder("="), np.float32)


def _checked_labels(table: "Table", options: "Options") -> Iterator[NDArray[np.uint8]]:
    start = 0
    for block in table.blocks(options):
        values = block.reshape(-1)
        with np.errstate(invalid="ignore"):  # NumPy warns of a signalling NaN
            fits = (values >= 0) & (values <= options.largest_label) & (values == np.floor(values))
        if not fits.all():
            first = int(np.argmin(fits))
            msg = f"label of row {start + first + 1}"
            raise DataError(
                msg,
                file=table.name,
                found=values[first],
                expected=f"a whole number from 0 to {options.largest_label}",
            )
        yield values.astype(np.uint8, copy=False)
        start += len(values)


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
    dtype = image_dtype(table)
    for block in table.blocks(options):
        if block.dtype != np.uint8:
            is_float = block.dtype.kind == "f"
            fits = np.isfinite(block) if is_float else (block >= 0) & (block <= _LARGEST_PIXEL)
            if not fits.all():
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
