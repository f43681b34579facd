"""Validation of stored arrays as images or labels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import ImageBlocks, LabelBlocks
from xpnet.datasets.limits import check_data_size
from xpnet.datasets.stored_array import StoredArray, format_shape
from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions

__all__ = ["as_images", "as_labels", "image_dtype"]

_FLOAT_BYTES = (2, 4, 8)
_LARGEST_PIXEL = 255


def as_images(array: StoredArray, options: "ReadOptions") -> ImageBlocks:
    """Read an array of 2 to 4 dimensions as images: uint8, float32 or float64.

    float16 is converted to float32, and integers to uint8. Raise DataError if the array has other
    dimensions, an unsupported dtype, or rows that are too large; from the blocks, if an integer is
    outside 0 to 255 or a value is not finite.
    """
    if len(array.shape) == 1:
        hint = "these may be labels"
        if options.labels is not None:
            hint = f"is it swapped with the labels file {options.labels}?"
        msg = "not images"
        raise DataError(
            msg, file=array.source.name, found="1 dimension", expected="2 to 4", hint=hint
        )
    if len(array.shape) > 4:
        msg, found, hint = "not images", f"{len(array.shape)} dimensions", "save (n, n_pixels)"
        raise DataError(msg, file=array.source.name, found=found, expected="2 to 4", hint=hint)
    _check_dtype(array)
    check_data_size("image", array.row_bytes, array.source, options)
    blocks = ((block, None) for block in _checked_images(array, options))
    return ImageBlocks(blocks, array.shape[0], labelled=False, array=array)


def as_labels(array: StoredArray, options: "ReadOptions", images: str | None = None) -> LabelBlocks:
    """Read integers, or floats with integer values, of shape (n,) or (n, 1) as labels of uint8.

    `images` names the file of the images in errors, if the labels are in a separate file. Raise
    DataError for another shape or dtype; from the blocks, if a value is not a label.
    """
    if array.row_bytes != array.dtype.itemsize:
        msg = "not labels"
        hint = None if images is None else f"is it swapped with the images file {images}?"
        if len(array.shape) == 2:
            hint = hint or "one-hot labels? save labels.argmax(axis=1)"
        raise DataError(
            msg,
            file=array.source.name,
            found=f"shape {format_shape(array.shape)}",
            expected="1 dimension",
            hint=hint,
        )
    _check_dtype(array)
    return LabelBlocks(_checked_labels(array, options), array.shape[0])


def image_dtype(array: StoredArray) -> np.dtype[Any]:
    """Return the dtype of an array read as images: uint8, float32 or float64."""
    if array.dtype.kind != "f":
        return np.dtype(np.uint8)
    return np.promote_types(array.dtype.newbyteorder("="), np.float32)


def _check_dtype(array: StoredArray) -> None:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "uif" or (kind == "f" and size not in _FLOAT_BYTES):
        expected = "uint8, float32, float64, or integers from 0 to 255"
        msg = "dtype of the array"
        raise DataError(msg, file=array.source.name, found=array.dtype, expected=expected)


def _checked_images(array: StoredArray, options: "ReadOptions") -> Iterator[NDArray[Any]]:
    start = options.first_row
    dtype = image_dtype(array)
    is_float = dtype.kind == "f"
    for block in array.blocks(options):
        if block.dtype != np.uint8:
            is_valid = np.isfinite(block) if is_float else (block >= 0) & (block <= _LARGEST_PIXEL)
            if not is_valid.all():
                row, *pixel = map(int, np.unravel_index(int(np.argmin(is_valid)), block.shape))
                place = ", ".join(str(index + 1) for index in pixel)
                msg = f"pixel {place} of row {start + row + 1}"
                raise DataError(
                    msg,
                    file=array.source.name,
                    found=block[row, *pixel],
                    expected="a finite number" if is_float else "0 to 255",
                )
        yield block.astype(dtype, copy=False)
        start += len(block)


def _checked_labels(array: StoredArray, options: "ReadOptions") -> Iterator[NDArray[np.uint8]]:
    start = 0
    largest = options.largest_label
    for block in array.blocks(options):
        values = block.reshape(-1)
        with np.errstate(invalid="ignore"):  # NumPy warns of signalling NaNs
            is_valid = (values >= 0) & (values <= largest) & (values == np.floor(values))
        if not is_valid.all():
            row = int(np.argmin(is_valid))
            expected = f"an integer from 0 to {largest}"
            msg = f"label of row {start + row + 1}"
            raise DataError(msg, file=array.source.name, found=values[row], expected=expected)
        yield values.astype(np.uint8, copy=False)
        start += len(values)
