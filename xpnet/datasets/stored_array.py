"""Arrays stored in files as packed bytes, read in blocks of rows.

An array in column-major (Fortran) order is read as a whole, and its rows are taken from memory.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.limits import check_data_size, limited_chunks
from xpnet.files import DataError, Source, take

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Readable

__all__ = ["BLOCK_BYTES", "StoredArray", "format_shape"]

BLOCK_BYTES = 1 << 25
# No image is larger, and a header must not make xpnet allocate more.
_MAX_ROW_BYTES = 1 << 28
_COLUMN_MAJOR = "array in column-major order,"


@dataclass(frozen=True)
class StoredArray:
    """An array stored at the position of `stream`, the file `source` or a member of it.

    Raise DataError if a row has no bytes or too many, or if `size`, the number of bytes in the file
    if known, does not match `shape` and `dtype`.
    """

    source: Source
    stream: "Readable"
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int | None
    is_fortran: bool = False

    def __post_init__(self) -> None:
        shape = f"shape {format_shape(self.shape)}"
        if 0 in self.shape[1:]:
            msg = "images without pixels"
            raise DataError(msg, file=self.source.name, found=shape)
        if self.row_bytes > _MAX_ROW_BYTES:
            limit = f"at most {_MAX_ROW_BYTES} bytes per row"
            msg = "too large"
            raise DataError(msg, file=self.source.name, found=shape, expected=limit)
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

    @property
    def can_skip(self) -> bool:
        """Whether rows can be passed over without reading them, or the whole file."""
        return self.stream is self.source and self.source.file is not None and not self.is_fortran

    def blocks(self, options: "ReadOptions") -> Iterator[NDArray[Any]]:
        """Yield at least one writable block of rows, with the shape ``(n, *shape[1:])``.

        Raise DataError if the file ends early or continues after the last row, or if an array in
        column-major order is too large for memory.
        """
        count = self.shape[0]
        first = min(options.first_row, count)
        end = count if options.rows is None else min(first + options.rows, count)
        if first:
            self.source.skip(first * self.row_bytes)
        stream = self._by_rows(options) if self.is_fortran else self.stream
        step = max(1, min(options.block_rows, BLOCK_BYTES // self.row_bytes))
        for start in range(first, max(end, first + 1), step):
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
        is_truncated = found is not None and found < self.total
        return DataError(
            "truncated data" if is_truncated else "extra data after the last row",
            file=self.source.name,
            found=f"more than {self.total} bytes" if found is None else f"{found} bytes",
            expected=f"{self.total} bytes ({self.shape[0]} rows of {self.row_bytes})",
        )


def format_shape(shape: tuple[int, ...]) -> str:
    """Return a shape for messages, such as ``"28 x 28"``."""
    return " x ".join(map(str, shape))
