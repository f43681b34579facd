"""Arrays stored in files as packed bytes, read in blocks of rows as images or labels.

An array in column-major (Fortran) order is read as a whole, and its rows are taken from memory.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import ImageBlocks, LabelBlocks
from xpnet.datasets.limits import check_data_size, limited_chunks
from xpnet.files import DataError
from xpnet.files.opening import Source
from xpnet.files.taking import take

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.taking import Readable

__all__ = ["BLOCK_BYTES", "StoredArray"]

BLOCK_BYTES = 1 << 25
_FLOAT_BYTES = (2, 4, 8)
_COLUMN_MAJOR = "array in column-major order,"


@dataclass(frozen=True)
class StoredArray:
    """An array stored at the position of `stream`, the file `source` or a member of it.

    Raise DataError if a row has no bytes, or if `size`, the number of bytes in the file if known,
    does not match `shape` and `dtype`.
    """

    source: Source
    stream: "Readable"
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int | None
    is_fortran: bool = False

    def __post_init__(self) -> None:
        if 0 in self.shape[1:]:
            msg, found = "images without pixels", f"shape {_format_shape(self.shape)}"
            raise DataError(msg, file=self.source.name, found=found)
        if self.size is not None and self.size != self.total:
            raise self._size_error(self.size)

    @property
    def row_bytes(self) -> int:
        """Number of bytes per row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def total(self) -> int:
        """Number of bytes of the array."""
        return self.shape[0] * self.row_bytes

    def blocks(self, options: "ReadOptions") -> Iterator[NDArray[Any]]:
        """Yield at least one writable block of rows, with the shape ``(n, *shape[1:])``.

        Raise DataError if the file ends early or continues after the last row, or if an array in
        column-major order is too large for memory.
        """
        count = self.shape[0]
        end = count if options.rows is None else min(options.rows, count)
        stream = self._by_rows(options) if self.is_fortran else self.stream
        step = max(1, min(options.block_rows, BLOCK_BYTES // self.row_bytes))
        for start in range(0, max(end, 1), step):
            n_rows = min(step, end - start)
            content = take(stream, n_rows * self.row_bytes)
            if len(content) < n_rows * self.row_bytes:
                raise self._size_error(start * self.row_bytes + len(content))
            yield np.frombuffer(content, self.dtype).reshape(n_rows, *self.shape[1:])
        # One byte shows that there is more; the rest may be endless.
        if end == count and stream.read(1):
            raise self._size_error(None)

    def _by_rows(self, options: "ReadOptions") -> "Readable":
        """Read a whole array in column-major order; return its bytes in row-major order."""
        check_data_size(_COLUMN_MAJOR, self.total, self.source, options)
        content = bytearray()
        for chunk in limited_chunks(_COLUMN_MAJOR, self.stream, self.source, options):
            content += chunk
            if len(content) > self.total:
                raise self._size_error(None)
        if len(content) < self.total:
            raise self._size_error(len(content))
        columns = np.frombuffer(content, self.dtype).reshape(self.shape, order="F")
        return io.BytesIO(columns.tobytes())

    def _size_error(self, found: int | None) -> DataError:
        """Return the error for an array of `found` bytes; None stands for too many."""
        what = "extra data after the last row"
        if found is not None and found < self.total:
            what = "truncated data"
        shown = f"more than {self.total} bytes" if found is None else f"{found} bytes"
        rule = f"{self.total} bytes ({self.shape[0]} rows of {self.row_bytes})"
        return DataError(what, file=self.source.name, found=shown, expected=rule)

    def as_images(self, options: "ReadOptions") -> ImageBlocks:
        """Read an array of 2 to 4 dimensions as images: uint8, float32 or float64.

        float16 is converted to float32, and integers to uint8. Raise DataError if the array has
        other dimensions, an unsupported dtype, or rows that are too large; from the blocks, if an
        integer is outside 0 to 255 or a value is not finite.
        """
        n_dimensions = len(self.shape)
        if not 2 <= n_dimensions <= 4:
            msg, found, hint = "not images", f"{n_dimensions} dimensions", "save (n, n_pixels)"
            if n_dimensions == 1:
                found, hint = "1 dimension", "these may be labels"
                if options.labels is not None:
                    hint = f"is it swapped with the labels file {options.labels}?"
            raise DataError(msg, file=self.source.name, found=found, expected="2 to 4", hint=hint)
        self._check_dtype()
        check_data_size("image", self.row_bytes, self.source, options)
        blocks = ((block, None) for block in self._checked_images(options))
        return ImageBlocks(blocks, self.shape[0], labelled=False)

    def as_labels(self, options: "ReadOptions", images: str | None = None) -> LabelBlocks:
        """Read strings, or integers of any dtype as uint8, of shape (n,) or (n, 1).

        `images` names the file of the images in errors, if the labels are in a separate file. Raise
        DataError for another shape or dtype; from the blocks, if a value is not a label.
        """
        if self.row_bytes != self.dtype.itemsize:
            msg, found = "not labels", f"shape {_format_shape(self.shape)}"
            hint = "one-hot labels? save labels.argmax(axis=1)" if len(self.shape) == 2 else None
            if images is not None:
                hint = f"is it swapped with the images file {images}?"
            rule = "1 dimension"
            raise DataError(msg, file=self.source.name, found=found, expected=rule, hint=hint)
        if self.dtype.kind != "U":
            self._check_dtype()
        return LabelBlocks(self._checked_labels(options), self.shape[0])

    def _check_dtype(self) -> None:
        kind, size = self.dtype.kind, self.dtype.itemsize
        if kind not in "uif" or (kind == "f" and size not in _FLOAT_BYTES):
            msg, rule = "dtype of the array", "uint8, float32, float64, or integers from 0 to 255"
            raise DataError(msg, file=self.source.name, found=self.dtype, expected=rule)

    def _checked_images(self, options: "ReadOptions") -> Iterator[NDArray[Any]]:
        start, dtype, is_float = 0, np.dtype(np.uint8), self.dtype.kind == "f"
        if is_float:
            dtype = np.promote_types(self.dtype.newbyteorder("="), np.float32)
        for block in self.blocks(options):
            if block.dtype != np.uint8:
                is_valid = np.isfinite(block) if is_float else (block >= 0) & (block <= 255)
                if not is_valid.all():
                    row, *pixel = map(int, np.unravel_index(int(np.argmin(is_valid)), block.shape))
                    place = ", ".join(str(index + 1) for index in pixel)
                    msg, found = f"pixel {place} of row {start + row + 1}", block[row, *pixel]
                    rule = "a finite number" if is_float else "0 to 255, or save floats"
                    raise DataError(msg, file=self.source.name, found=found, expected=rule)
            yield block.astype(dtype, copy=False)
            start += len(block)

    def _checked_labels(self, options: "ReadOptions") -> Iterator[NDArray[Any]]:
        start, largest = 0, options.largest_label
        for block in self.blocks(options):
            values = block.reshape(-1)
            if values.dtype.kind == "U":
                yield values
                continue
            with np.errstate(invalid="ignore"):  # NumPy warns of signalling NaNs
                is_valid = (values >= 0) & (values <= largest) & (values == np.floor(values))
            if not is_valid.all():
                row = int(np.argmin(is_valid))
                msg, rule = f"label of row {start + row + 1}", f"an integer from 0 to {largest}"
                raise DataError(msg, file=self.source.name, found=values[row], expected=rule)
            yield values.astype(np.uint8, copy=False)
            start += len(values)


def _format_shape(shape: tuple[int, ...]) -> str:
    """Return a shape for messages, such as ``"28 x 28"``."""
    return " x ".join(map(str, shape))
