"""Arrays in column-major (Fortran) order, read in blocks of rows from a file that can seek."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.limits import check_held, spooled
from xpnet.datasets.row_tables import BLOCK_BYTES, Table

if TYPE_CHECKING:
    from xpnet.datasets.read_options import Options
    from xpnet.files import Source

__all__ = ["ColumnTable"]

_WHAT = "array in column-major order,"
# Short columns are read in groups: reading so many bytes costs no more than seeking over them.
_SEEK_BYTES = 1 << 13
_GROUP_BYTES = 1 << 20


@dataclass(frozen=True)
class ColumnTable(Table):
    """An array whose first index varies fastest: each row is scattered over the whole file.

    `offset` is its place in `source.file`. Without it, or without such a file, the array is
    copied from `stream` to a temporary file before the first row is read.
    """

    source: "Source"
    offset: int | None

    @property
    def is_copied(self) -> bool:
        """Whether the first row costs a copy of the whole array."""
        return self.offset is None or self.source.file is None

    def blocks(self, options: "Options") -> Iterator[NDArray[Any]]:
        """Yield the rows in blocks, as `Table.blocks` does.

        Parameters
        ----------
        options : Options
            `rows`, `block_rows` and `max_data_bytes` are used.

        Yields
        ------
        ndarray
            Of shape ``(n, *shape[1:])`` and the table's dtype, in row-major order.

        Raises
        ------
        DataError
            If the file ends early, goes on after the last row, or is too large for a copy.
        """
        file, offset = self._opened(options)
        count = self.shape[0]
        wanted = count if options.rows is None else min(options.rows, count)
        step = max(1, BLOCK_BYTES // self.row_bytes)
        for start in range(0, max(wanted, 1), step):
            block = self._rows(file, offset, start, min(step, wanted - start))
            for first in range(0, max(len(block), 1), options.block_rows):
                yield block[first : first + options.block_rows]

    def _opened(self, options: "Options") -> tuple[IO[bytes], int]:
        if self.offset is not None and self.source.file is not None:
            return self.source.file, self.offset
        check_held(_WHAT, self.total, self.source, options)
        # One byte more tells that there is more, and makes zipfile compare the checksum.
        copy = spooled(_WHAT, self.stream, self.source, options, self.total + 1)
        if copy.tell() != self.total:
            raise self.size_error(copy.tell() if copy.tell() < self.total else None)
        return copy, 0

    def _rows(self, file: IO[bytes], offset: int, start: int, n_rows: int) -> NDArray[Any]:
        length, itemsize = self.shape[0], self.dtype.itemsize
        n_columns = math.prod(self.shape[1:])
        columns = np.empty((n_columns, n_rows), self.dtype)
        n_bytes = max(length * itemsize, 1)  # of a column
        if n_rows == length or n_bytes <= _SEEK_BYTES:
            group, skipped, taken = max(1, _GROUP_BYTES // n_bytes), 0, length
        else:
            group, skipped, taken = 1, start, n_rows
        for first in range(0, n_columns if n_rows else 0, group):
            part = columns[first : first + group]
            file.seek(offset + (first * length + skipped) * itemsize)
            content = file.read(len(part) * taken * itemsize)
            if len(content) < len(part) * taken * itemsize:
                raise self.size_error(file.tell() - offset)
            values = np.frombuffer(content, self.dtype).reshape(len(part), taken)
            part[:] = values[:, start - skipped : start - skipped + n_rows]
        return np.ascontiguousarray(columns.T.reshape(n_rows, *self.shape[1:], order="F"))
