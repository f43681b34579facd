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
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.processors import count_processors
from xpnet.arrays.cpu.thread_pool import start_tasks
from xpnet.arrays.gpu.cuda_streams import Bus, DeviceMemoryError, Streams
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer_counts import record
from xpnet.inference.host_rows import (
    HostRows,
    ResultBuffer,
    RowQueue,
    copy_rows,
    native_dtype,
    rows_between,
)

__all__ = ["in_chunks", "streamed"]

_N_BUFFERS = 2
# Chunks are halved down to this size; a GPU is slow with fewer rows.
_MIN_ROWS = 1024
# Fewest bytes that a thread copies: giving it a part takes about 10 microseconds.
_PART_BYTES = 2**20
_MAX_THREADS = 16

Compute: TypeAlias = Callable[[Any], Any]


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
        n_expected = sum(block.shape[0] for block in blocks)
        batch_size = min(batch_size, max(n_expected, 1))
    queue, results = RowQueue(blocks), ResultBuffer(n_expected)

    def run(n_rows: int) -> None:
        with bus.streams() as streams:
            shape = n_rows, n_in
            _Pipeline(compute, bus, streams, results, shape, is_stable=is_stable).run(queue)

    def compute_one() -> Any:
        # For its shape and dtype: CuPy computes no empty arrays (cupy#266).
        found: list[Any] = []

        def run(n_rows: int) -> None:
            with bus.streams() as (_, stream):
                with _detect_full_memory(bus):
                    row = bus.allocate((n_rows, n_in), queue.dtype, stream)
                    found.append(bus.compute(compute, row, stream))
                bus.wait(bus.record(stream))

        _halve_until_it_fits(run, 1, bus)
        return found[0]

    _halve_until_it_fits(run, batch_size, bus)
    return results.array(compute_one)


def in_chunks(x: Any, compute: Compute, bus: Bus, batch_size: int) -> list[Any]:
    """Return the results for rows on the device, chunk by chunk; see `streamed`."""
    n_rows, n_in = x.shape
    if not n_rows:  # CuPy computes no empty arrays
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
    """Convert out-of-memory errors to `_FullMemoryError`, without references to arrays."""
    try:
        yield
    except Exception as error:
        if bus.is_out_of_memory(error):
            raise _FullMemoryError(str(error)) from None
        raise


def _halve_until_it_fits(run: Callable[[int], None], n_rows: int, bus: Bus) -> None:
    """Call ``run(n_rows)``, and again with half as many rows each time that memory is short."""
    while True:
        try:
            run(n_rows)
        except _FullMemoryError as error:
            reason = str(error)
        else:
            return
        gc.collect()  # an error, its context and arrays may form a cycle
        if n_rows <= _MIN_ROWS:
            raise DeviceMemoryError.of_rows(n_rows, reason)
        bus.free()
        n_rows = max(n_rows // 2, _MIN_ROWS)


class _Buffer:
    """Memory of one chunk in the pipeline, and the events after which it can be reused."""

    def __init__(self) -> None:
        self.dtype: Any = None
        self.pinned: Any = None
        self.device: Any = None
        self.results: Any = None
        self.rows: Any = None  # on the host: `pinned`, or an array that is itself pinned
        self.n_rows = 0  # not launched yet
        self.n_results = 0  # launched, and not collected yet
        self.copied: Any = None
        self.returned: Any = None


class _Pipeline:
    """Chunks of one size, each filled, copied in, computed and copied out."""

    def __init__(
        self,
        compute: Compute,
        bus: Bus,
        streams: Streams,
        results: ResultBuffer,
        shape: tuple[int, int],
        *,
        is_stable: bool,
    ) -> None:
        self._compute, self._bus, self._results, self._shape = compute, bus, results, shape
        self._is_stable = is_stable
        self._dtype: Any = None  # of the previous rows
        self._copying, self._computing = streams
        self._buffers = cycle([_Buffer() for _ in range(_N_BUFFERS)])
        self._filling = next(self._buffers)
        self._full: _Buffer | None = None
        self._launched: deque[_Buffer] = deque()

    def run(self, queue: RowQueue) -> None:
        """Compute all rows of a queue; if memory is short, return the remaining ones to it."""
        rows: HostRows | None = None
        try:
            while (rows := queue.take(self._shape[0] - self._filling.n_rows)) is not None:
                self._add(rows)
            self._flush()
        except _FullMemoryError:
            waiting = [buffer for buffer in (self._full, self._filling) if buffer is not None]
            # Copied: a view would keep a whole pinned buffer, perhaps the memory that is missing.
            parts = [buffer.rows[: buffer.n_rows].copy() for buffer in waiting if buffer.n_rows]
            queue.put_back(*parts, *([] if rows is None else [rows]))
            self._collect_all()
            raise
        finally:
            # Even after an error, no memory may be freed before the copies from and to it have
            # ended. The last computation waits for the last copy.
            self._bus.wait(self._bus.record(self._copying), self._computing)
            self._bus.wait(self._bus.record(self._computing))

    def _add(self, rows: HostRows) -> None:
        """Append rows to the buffer; meanwhile, launch the previous chunk."""
        dtype = native_dtype(rows)
        if self._dtype is not None and dtype != self._dtype:
            self._flush()
        self._dtype = dtype
        buffer = self._filling
        # The device can read pinned rows without a copy on the host.
        is_full = (
            buffer.n_rows == 0
            and self._is_stable
            and isinstance(rows, np.ndarray)
            and rows.flags.c_contiguous
            and rows.dtype.isnative
            and self._bus.is_pinned(rows)
        )
        if is_full:
            buffer.rows = rows
            self._launch()
        else:
            finish = self._fill(buffer, rows)
            try:
                self._launch()
            finally:
                finish()
        buffer.dtype = dtype
        buffer.n_rows += rows.shape[0]
        if is_full or buffer.n_rows == self._shape[0]:
            self._full, self._filling = buffer, next(self._buffers)

    def _fill(self, buffer: _Buffer, rows: HostRows) -> Callable[[], None]:
        """Start to copy rows into pinned memory; return the function that finishes it."""
        dtype, n_rows = native_dtype(rows), rows.shape[0]
        if buffer.pinned is None or buffer.pinned.dtype != dtype:
            with _detect_full_memory(self._bus):
                buffer.pinned = self._bus.pinned(self._shape, dtype)
        if buffer.copied is not None:
            self._bus.wait(buffer.copied)
        buffer.rows = buffer.pinned
        target = buffer.pinned[buffer.n_rows : buffer.n_rows + n_rows]
        n_threads = min(count_processors(), _MAX_THREADS, max(target.nbytes // _PART_BYTES, 1))
        size = -(-n_rows // n_threads)

        def copy_part(start: int) -> None:
            end = min(start + size, n_rows)
            copy_rows(target[start:end], rows_between(rows, start, end))

        return start_tasks(copy_part, range(0, n_rows, size), n_threads)

    def _launch(self) -> None:
        """Put the full chunk on the streams."""
        if self._full is None:
            return
        buffer, bus, n_rows = self._full, self._bus, self._full.n_rows
        self._collect(buffer)  # its memory on the device is then free as well
        with _detect_full_memory(bus):
            if buffer.device is None or buffer.device.dtype != buffer.dtype:
                buffer.device = bus.allocate(self._shape, buffer.dtype, self._copying)
            bus.copy_in(buffer.device[:n_rows], buffer.rows[:n_rows], self._copying)
            record("device", buffer.rows[:n_rows].nbytes)
            buffer.copied = bus.record(self._copying)
            bus.wait(buffer.copied, self._computing)
            results = bus.compute(self._compute, buffer.device[:n_rows], self._computing)
            if buffer.results is None or buffer.results.shape[1:] != results.shape[1:]:
                shape = (self._shape[0], *results.shape[1:])
                buffer.results = bus.pinned(shape, results.dtype)
        bus.copy_out(buffer.results[:n_rows], results, self._computing)
        buffer.returned = bus.record(self._computing)
        self._full, buffer.n_rows, buffer.n_results = None, 0, n_rows
        self._launched.append(buffer)

    def _collect(self, buffer: _Buffer) -> None:
        """Wait for the results of a chunk, unless they have been collected."""
        if buffer.n_results:
            self._bus.wait(buffer.returned)
            self._results.append(buffer.results[: buffer.n_results])
            buffer.n_results = 0
            self._launched.remove(buffer)

    def _collect_all(self) -> None:
        while self._launched:
            self._collect(self._launched[0])

    def _flush(self) -> None:
        """Launch the waiting rows, and collect all results."""
        self._launch()
        if self._filling.n_rows:
            self._full, self._filling = self._filling, next(self._buffers)
            self._launch()
        self._collect_all()
