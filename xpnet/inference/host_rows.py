"""Queue of rows from host memory or a file, and buffer of results on the host."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import FileRows
from xpnet.arrays.transfer import host_dtype
from xpnet.arrays.transfer_counts import record

__all__ = ["HostRows", "ResultBuffer", "RowQueue", "copy_rows", "native_dtype", "rows_between"]

HostRows: TypeAlias = NDArray[Any] | FileRows


class RowQueue:
    """A queue of rows from blocks of any size; `dtype` is that of the last block taken."""

    def __init__(self, blocks: Iterable[HostRows]) -> None:
        self._blocks = iter(blocks)
        self._waiting: deque[HostRows] = deque()
        self.dtype: Any = np.dtype(np.uint8)

    def take(self, most: int) -> HostRows | None:
        """Return the next rows of a block, up to `most`, or None at the end."""
        while not self._waiting:
            block = next(self._blocks, None)
            if block is None:
                return None
            self.dtype = native_dtype(block)
            if block.shape[0]:
                self._waiting.append(block)
        rows = self._waiting.popleft()
        n_rows = rows.shape[0]
        if n_rows > most:
            self._waiting.appendleft(rows_between(rows, most, n_rows))
            rows = rows_between(rows, 0, most)
        return rows

    def put_back(self, *parts: HostRows) -> None:
        """Insert rows at the front of the queue."""
        self._waiting.extendleft(reversed(parts))


class ResultBuffer:
    """Host array for results, of `n_expected` rows at first; it grows if necessary.

    bfloat16, which NumPy lacks, becomes float32, as in `xpnet.arrays.transfer.to_numpy`.
    """

    def __init__(self, n_expected: int) -> None:
        self._array: NDArray[Any] | None = None
        self._n_expected = n_expected
        self._n_rows = 0

    def append(self, results: NDArray[Any]) -> None:
        """Copy the next results from pinned memory."""
        start, end = self._n_rows, self._n_rows + len(results)
        if self._array is None or len(self._array) < end:
            n_rows = max(self._n_expected, end if self._array is None else 2 * end)
            larger = np.empty((n_rows, *results.shape[1:]), host_dtype(results.dtype))
            if self._array is not None:
                larger[:start] = self._array[:start]
            self._array = larger
        self._array[start:end] = results
        self._n_rows = end
        record("host", results.nbytes)

    def array(self, compute_one: Callable[[], Any]) -> NDArray[Any]:
        """Return all results; without any, an empty array like the result of `compute_one`."""
        if self._array is None:
            one = compute_one()
            return np.empty((0, *one.shape[1:]), host_dtype(one.dtype))
        return self._array[: self._n_rows]


def native_dtype(rows: HostRows) -> Any:
    """Return the dtype of rows in the byte order of this machine."""
    return rows.dtype.newbyteorder("=")


def rows_between(rows: HostRows, start: int, end: int) -> HostRows:
    """Return the rows from `start` to before `end`, without a copy."""
    return rows[start:end] if isinstance(rows, np.ndarray) else rows.part(start, end)


def copy_rows(target: NDArray[Any], rows: HostRows) -> None:
    """Copy rows from an array or a file to an array."""
    if isinstance(rows, np.ndarray):
        np.copyto(target, rows)
    else:
        rows.copy_to(target)
