"""Arrays stored in files as packed bytes, read in blocks of rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files import DataError, Source, take

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Readable

__all__ = ["BLOCK_BYTES", "StoredArray", "format_shape"]

BLOCK_BYTES = 1 << 25
# No image is larger, and a header must not make xpnet allocate more.
_MAX_ROW_BYTES = 1 << 28


@dataclass(frozen=True)
class StoredArray:
    """An array in row-major order, stored at the position of `stream` in the file `name`.

    Raise DataError if a row has no bytes or too many, or if `size`, the number of bytes in the file
    if known, does not match `shape` and `dtype`.
    """

    name: str
    stream: "Readable"
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int | None

    def __post_init__(self) -> None:
        shape = f"shape {format_shape(self.shape)}"
        if 0 in self.shape[1:]:
            msg = "images without pixels"
            raise DataError(msg, file=self.name, found=shape)
        if self.row_bytes > _MAX_ROW_BYTES:
            limit = f"at most {_MAX_ROW_BYTES} bytes per row"
            msg = "too large"
            raise DataError(msg, file=self.name, found=shape, expected=limit)
        if self.size is not None and self.size != self.total:
            raise self.size_error(self.size)

    @property
    def row_bytes(self) -> int:
        """Number of bytes per row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def total(self) -> int:
        """Number of bytes of the array."""
        return self.shape[0] * self.row_bytes

    @property
    def is_copied(self) -> bool:
        """Whether reading the first row requires a temporary copy of the whole array."""
        return False

    @property
    def can_skip(self) -> bool:
        """Whether rows can be passed over without reading them, or the whole file."""
        return isinstance(self.stream, Source) and self.stream.file is not None

    def wanted(self, options: "ReadOptions") -> tuple[int, int]:
        """Return the first row that is wanted, and the row after the last one."""
        count = self.shape[0]
        first = min(options.first_row, count)
        return first, count if options.rows is None else min(first + options.rows, count)

    def blocks(self, options: "ReadOptions") -> Iterator[NDArray[Any]]:
        """Yield at least one writable block of rows, with the shape ``(n, *shape[1:])``.

        Raise DataError if the file ends early or continues after the last row.
        """
        first, end = self.wanted(options)
        if first and isinstance(self.stream, Source):
            self.stream.skip(first * self.row_bytes)
        step = max(1, min(options.block_rows, BLOCK_BYTES // self.row_bytes))
        for start in range(first, max(end, first + 1), step):
            n_rows = min(step, end - start)
            content = take(self.stream, n_rows * self.row_bytes)
            if len(content) < n_rows * self.row_bytes:
                raise self.size_error(start * self.row_bytes + len(content))
            yield np.frombuffer(content, self.dtype).reshape(n_rows, *self.shape[1:])
        # One byte shows that there is more; the rest may be endless.
        if end == self.shape[0] and self.stream.read(1):
            raise self.size_error(None)

    def size_error(self, found: int | None) -> DataError:
        """Return the error for an array of `found` bytes; None stands for too many."""
        is_truncated = found is not None and found < self.total
        return DataError(
            "truncated data" if is_truncated else "extra data after the last row",
            file=self.name,
            found=f"more than {self.total} bytes" if found is None else f"{found} bytes",
            expected=f"{self.total} bytes ({self.shape[0]} rows of {self.row_bytes})",
        )


def format_shape(shape: tuple[int, ...]) -> str:
    """Return a shape for messages, such as ``"28 x 28"``."""
    return " x ".join(map(str, shape))
