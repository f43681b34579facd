"""Arrays that lie in a file as packed bytes, read in blocks of rows."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.files import DataError, take

if TYPE_CHECKING:
    from xpnet.datasets.csv_columns import Layout
    from xpnet.datasets.read_options import Options
    from xpnet.files.opening import Readable

__all__ = ["BLOCK_BYTES", "Block", "Labels", "Rows", "Table"]

Block: TypeAlias = tuple[NDArray[Any], NDArray[np.uint8] | None]

# No image is larger; a file that promises more must not be able to fill the memory.
_ROW_BYTES = 1 << 28
BLOCK_BYTES = 1 << 25


@dataclass(frozen=True)
class Rows:
    """Images, with their labels where the file has both, as a format's reader gives them.

    `blocks` yields at least once; `count` is None where only the end of the file tells. `table`
    is the array of the images, None for a CSV file, for which `layout` describes the columns and
    `rest` yields the rows behind the last block.
    """

    blocks: Iterator[Block]
    count: int | None
    labelled: bool
    table: "Table | None" = None
    layout: "Layout | None" = None
    rest: Iterable[object] = ()


@dataclass(frozen=True)
class Labels:
    """Labels in blocks; `count` is None where only the end of the file tells.

    `doubtful` is the number of a line that is read as a label but may be a header.
    """

    blocks: Iterator[NDArray[np.uint8]]
    count: int | None
    doubtful: int | None = None


@dataclass(frozen=True)
class Table:
    """The place and form of one array in the file `name`: its rows follow `stream`'s position.

    Raises
    ------
    DataError
        If a row has no bytes or too many, or if `size`, where it is known, is not the number
        of bytes that `shape` and `dtype` make.
    """

    name: str
    stream: "Readable"
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int | None

    def __post_init__(self) -> None:
        shown = " x ".join(map(str, self.shape))
        if 0 in self.shape[1:]:
            msg = "images without pixels"
            raise DataError(msg, file=self.name, found=f"shape {shown}")
        if self.row_bytes > _ROW_BYTES:
            limit = f"at most {_ROW_BYTES} bytes a row"
            msg = "too large"
            raise DataError(msg, file=self.name, found=f"shape {shown}", expected=limit)
        if self.size is not None and self.size != self.total:
            raise self.size_error(self.size)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def total(self) -> int:
        """Bytes of all rows."""
        return self.shape[0] * self.row_bytes

    def blocks(self, options: "Options") -> Iterator[NDArray[Any]]:
        """Yield the rows in blocks, writable, at least one block.

        Parameters
        ----------
        options : Options
            `rows` and `block_rows` are used.

        Yields
        ------
        ndarray
            Of shape ``(n, *shape[1:])`` and the table's dtype.

        Raises
        ------
        DataError
            If the file ends early, or goes on after the last row.
        """
        count = self.shape[0]
        wanted = count if options.rows is None else min(options.rows, count)
        step = max(1, min(options.block_rows, BLOCK_BYTES // self.row_bytes))
        for start in range(0, max(wanted, 1), step):
            n_rows = min(step, wanted - start)
            content = take(self.stream, n_rows * self.row_bytes)
            if len(content) < n_rows * self.row_bytes:
                raise self.size_error(start * self.row_bytes + len(content))
            yield np.frombuffer(content, self.dtype).reshape(n_rows, *self.shape[1:])
        # One byte tells that there is more; how much more may be without end.
        if wanted == count and self.stream.read(1):
            raise self.size_error(None)

    def size_error(self, found: int | None) -> DataError:
        """Return the error about an array of `found` bytes; None stands for too many."""
        cut_off = found is not None and found < self.total
        return DataError(
            "data is cut off" if cut_off else "data goes on after the last row",
            file=self.name,
            found=f"more than {self.total} bytes" if found is None else f"{found} bytes",
            expected=f"{self.total} bytes ({self.shape[0]} rows of {self.row_bytes})",
        )
