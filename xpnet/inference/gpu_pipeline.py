"""GPU pipeline: rows are copied, computed and copied back at the same time.

For a small network, copying takes longer than computing. So rows are copied unconverted, without a
pause: while one chunk is copied from pinned memory, threads fill the next pinned buffer, and the
GPU computes the previous chunk on another stream. Results are copied back asynchronously, and are
waited for when their buffer is needed, or at the end.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import HostRows, copy_by_threads
from xpnet.arrays.gpu.cuda_streams import Bus, DeviceMemoryError, Streams
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import host_dtype

__all__ = ["in_chunks", "streamed"]

_N_BUFFERS = 2
# Chunks are halved down to this size; a GPU is slow with fewer rows.
_MIN_ROWS = 1024

Compute: TypeAlias = Callable[[Any], Any]

_T = TypeVar("_T")


class _FullMemoryError(Exception):
    """The device, or the memory that can be pinned, is too small for a chunk."""


def streamed(
    blocks: Iterable[HostRows],
    compute: Compute,
    bus: Bus,
    batch_size: int,
    *,
    n_in: int,
    is_stable: bool = False,
) -> NDArray[Any]:
    """Return the results for rows in host memory or in a file, computed on a GPU.

    `compute` maps rows on the device, in their dtype on the host, to an array with a result for
    each. A chunk has `batch_size` rows, whatever the sizes of the blocks, and fewer if memory is
    short; without memory for 1,024 rows, DeviceMemoryError is raised.

    If `is_stable`, `blocks` is a sequence, and no block changes before the end: pinned blocks are
    read where they are. Otherwise a block is copied before the next one is requested, since an
    iterator may reuse its buffer.
    """
    n_expected = 0
    if is_stable:
        n_expected = sum(len(block) for block in blocks)
        batch_size = min(batch_size, max(n_expected, 1))
    queue, results = _RowQueue(blocks), _Results(n_expected)

    def run(n_rows: int) -> None:
        with bus.streams() as streams:
            shape = n_rows, n_in
            _Pipeline(compute, bus, streams, results, shape, is_stable=is_stable).run(queue)

    def compute_one(n_rows: int) -> Any:
        with bus.streams() as (_, stream):
            with _detect_full_memory(bus):
                row = bus.allocate((n_rows, n_in), queue.dtype, stream)
                result = bus.compute(compute, row, stream)
            bus.wait(bus.record(stream))
        return result

    _halve_until_it_fits(run, batch_size, bus)
    if results.rows is None:  # CuPy computes no empty arrays (cupy#266)
        one = _halve_until_it_fits(compute_one, 1, bus)
        return np.empty((0, *one.shape[1:]), host_dtype(one.dtype))
    return results.rows[: results.n_rows]


def in_chunks(x: Any, compute: Compute, bus: Bus, batch_size: int) -> list[Any]:
    """Return the results for rows on the device, chunk by chunk; see `streamed`."""
    n_rows, n_in = x.shape
    if not n_rows:
        row = array_namespace(x).zeros((1, n_in), dtype=x.dtype, device=device_of(x))
        return [compute(row)[:0, ...]]
    results: list[Any] = []
    n_done = 0

    def run(size: int) -> None:
        nonlocal n_done
        while n_done < n_rows:
            with _detect_full_memory(bus):
                results.append(compute(x[n_done : min(n_done + size, n_rows), :]))
            n_done += size

    _halve_until_it_fits(run, batch_size, bus)
    return results


@contextmanager
def _detect_full_memory(bus: Bus) -> Iterator[None]:
    """Convert out-of-memory errors to `_FullMemoryError`."""
    try:
        yield
    except Exception as error:
        if bus.is_out_of_memory(error):
            raise _FullMemoryError(str(error)) from None
        raise


def _halve_until_it_fits(run: Callable[[int], _T], n_rows: int, bus: Bus) -> _T:
    """Return ``run(n_rows)``, with half as many rows each time that memory is short."""
    while True:
        try:
            return run(n_rows)
        except _FullMemoryError as error:
            reason = str(error)
        gc.collect()  # an error, its context and arrays may form a cycle
        if n_rows <= _MIN_ROWS:
            raise DeviceMemoryError.of_rows(n_rows, reason)
        bus.free()
        n_rows = max(n_rows // 2, _MIN_ROWS)


class _RowQueue:
    """A queue of rows from blocks of any size; `dtype` is that of the last block taken."""

    def __init__(self, blocks: Iterable[HostRows]) -> None:
        self._blocks, self._waiting = iter(blocks), deque[HostRows]()
        self.dtype: Any = np.dtype(np.uint8)

    def first(self) -> HostRows | None:
        """Return the first rows, which stay in the queue, or None at the end."""
        while not self._waiting:
            block = next(self._blocks, None)
            if block is None:
                return None
            self.dtype = _native_dtype(block)
            if len(block):
                self._waiting.append(block)
        return self._waiting[0]

    def take(self, most: int) -> HostRows:
        """Remove and return the first rows, up to `most`."""
        rows = self._waiting.popleft()
        if len(rows) > most:
            self._waiting.appendleft(rows[most:])
        return rows[:most]

    def put_back(self, rows: HostRows) -> None:
        self._waiting.appendleft(rows)


def _native_dtype(rows: HostRows) -> Any:
    """Return the dtype of rows in the byte order of this machine."""
    return rows.dtype.newbyteorder("=")


class _Results:
    """Host array for results, first of `n_expected` rows; bfloat16 becomes float32."""

    def __init__(self, n_expected: int) -> None:
        self.rows: NDArray[Any] | None = None
        self.n_rows, self._n_expected = 0, n_expected

    def append(self, results: NDArray[Any]) -> None:
        """Copy the next results from pinned memory."""
        start, end = self.n_rows, self.n_rows + len(results)
        if self.rows is None:
            shape = max(self._n_expected, end), *results.shape[1:]
            self.rows = np.empty(shape, host_dtype(results.dtype))
        elif len(self.rows) < end:
            more = np.empty_like(self.rows, shape=(end, *self.rows.shape[1:]))
            self.rows = np.concatenate((self.rows, more))
        self.rows[start:end] = results
        self.n_rows = end


class _Buffer:
    """Memory of one chunk in the pipeline, and the events after which it can be reused."""

    def __init__(self) -> None:
        self.pinned: Any = None
        self.device: Any = None
        self.results: Any = None
        self.rows: Any = None  # on the host: `pinned`, or an array that is itself pinned
        self.n_results = 0
        self.copied: Any = None
        self.returned: Any = None


class _Pipeline:
    """Chunks of one size, each filled, copied in, computed and copied out."""

    def __init__(
        self,
        compute: Compute,
        bus: Bus,
        streams: Streams,
        results: _Results,
        shape: tuple[int, int],
        *,
        is_stable: bool,
    ) -> None:
        self._compute, self._bus, self._results, self._shape = compute, bus, results, shape
        self._is_stable = is_stable
        self._copying, self._computing = streams
        self._launched: deque[_Buffer] = deque()

    def run(self, queue: _RowQueue) -> None:
        """Compute all rows of a queue; if memory is short, return the remaining ones to it."""
        buffers = cycle([_Buffer() for _ in range(_N_BUFFERS)])
        try:
            while (first := queue.first()) is not None:
                buffer = next(buffers)
                self._fill(buffer, first, queue)
                try:
                    self._launch(buffer)
                except _FullMemoryError:
                    # A view would keep a whole pinned buffer, perhaps the memory that is missing.
                    queue.put_back(buffer.rows.copy())
                    raise
            self._collect_all()
        except _FullMemoryError:
            self._collect_all()
            raise
        finally:
            # Even after an error, no memory may be freed before the copies from and to it have
            # ended. The last computation waits for the last copy.
            self._bus.wait(self._bus.record(self._copying), self._computing)
            self._bus.wait(self._bus.record(self._computing))

    def _fill(self, buffer: _Buffer, first: HostRows, queue: _RowQueue) -> None:
        """Take the rows of a chunk, which have one dtype; `first` is the first block of the queue.

        The device can read pinned rows without a copy on the host. They are a chunk by themselves.
        """
        n_rows, n_most, dtype = 0, self._shape[0], _native_dtype(first)
        if buffer.copied is not None:
            self._bus.wait(buffer.copied)
        if (
            self._is_stable
            and isinstance(first, np.ndarray)
            and first.flags.c_contiguous
            and first.dtype.isnative
            and self._bus.is_pinned(first)
        ):
            buffer.rows = queue.take(n_most)
            return
        if buffer.pinned is None or buffer.pinned.dtype != dtype:
            with _detect_full_memory(self._bus):
                buffer.pinned = self._bus.pinned(self._shape, dtype)
        while (
            n_rows < n_most and (rows := queue.first()) is not None and _native_dtype(rows) == dtype
        ):
            rows = queue.take(n_most - n_rows)
            copy_by_threads(buffer.pinned[n_rows : n_rows + len(rows)], rows)
            n_rows += len(rows)
        buffer.rows = buffer.pinned[:n_rows]

    def _launch(self, buffer: _Buffer) -> None:
        bus, rows, n_rows = self._bus, buffer.rows, len(buffer.rows)
        if len(self._launched) == _N_BUFFERS:
            self._collect()  # this buffer's results: its memory on the device is then free as well
        with _detect_full_memory(bus):
            if buffer.device is None or buffer.device.dtype != rows.dtype:
                buffer.device = bus.allocate(self._shape, rows.dtype, self._copying)
            bus.copy_in(buffer.device[:n_rows], rows, self._copying)
            buffer.copied = bus.record(self._copying)
            bus.wait(buffer.copied, self._computing)
            results = bus.compute(self._compute, buffer.device[:n_rows], self._computing)
            if buffer.results is None or buffer.results.shape[1:] != results.shape[1:]:
                shape = (self._shape[0], *results.shape[1:])
                buffer.results = bus.pinned(shape, results.dtype)
        bus.copy_out(buffer.results[:n_rows], results, self._computing)
        buffer.returned = bus.record(self._computing)
        buffer.n_results = n_rows
        self._launched.append(buffer)

    def _collect(self) -> None:
        """Wait for the results of the chunk that was launched first."""
        buffer = self._launched.popleft()
        self._bus.wait(buffer.returned)
        self._results.append(buffer.results[: buffer.n_results])

    def _collect_all(self) -> None:
        while self._launched:
            self._collect()
