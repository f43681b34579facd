"""Many rows through a GPU: raw bytes, pinned, double-buffered.

A small network waits for the bus, not for the chip. So the bytes cross it as they are, and it does
not stop: while one chunk of rows is on its way, threads put the next one into pinned memory, which
the device reads by itself, and the device computes the one before, on a stream of its own. Results
come back the same way, and are waited for when their place is needed, or at the end.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import FileRows
from xpnet.arrays.cpu.processors import count_processors
from xpnet.arrays.gpu.cuda_streams import Bus, DeviceMemoryError
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer_counts import record
from xpnet.inference.thread_pool import begin_all

__all__ = ["in_chunks", "streamed"]

_N_BUFFERS = 2
# With fewer rows at a time, a device is of no use.
_FEWEST_ROWS = 1024
# A thread copies at least so many bytes at a time: to hand it a part takes some ten microseconds.
_PART_BYTES = 2**20
_MOST_THREADS = 16

Compute = Callable[[Any], Any]
Rows = NDArray[Any] | FileRows


class _FullError(Exception):
    """There is no memory for so many rows."""


def streamed(
    blocks: Iterable[Rows],
    compute: Compute,
    bus: Bus,
    batch_size: int,
    *,
    n_in: int,
    is_there: bool = False,
) -> NDArray[Any]:
    """Return the results of rows in host memory, or in a file, computed on a device.

    Parameters
    ----------
    blocks : iterable of arrays of shape (n, n_in), or of rows in a file
        A sequence, where they are there.
    compute : callable
        From rows on the device, of the dtype that they have on the host, to results.
    bus : Bus
        The way to the device.
    batch_size : int
        Rows at a time, whatever the sizes of blocks; fewer where memory is short.
    n_in : int
    is_there : bool, default False
        Whether all blocks stay as they are until the end, so that the device can read those that
        are pinned where they are. What an iterator gives is copied before it is asked for the next
        block, which it may put in the same place.

    Raises
    ------
    DeviceMemoryError
        If there is no memory for 1,024 rows at a time.
    """
    n_expected = 0
    if is_there:
        n_expected = sum(block.shape[0] for block in blocks)
        batch_size = min(batch_size, max(n_expected, 1))
    source, results = _Source(blocks), _Results(n_expected)

    def run(n_rows: int) -> None:
        _Pipeline(compute, bus, results, (n_rows, n_in), is_there=is_there).run(source)

    _halving(run, batch_size, bus)
    return results.all(lambda: _of_one_row(compute, bus, n_in, source.dtype))


def in_chunks(x: Any, compute: Compute, bus: Bus, batch_size: int) -> list[Any]:
    """Return the results, chunk by chunk, of rows that are on the device; nothing is copied.

    Parameters, and what is raised, as for `streamed`.
    """
    n_rows, n_in = x.shape
    if not n_rows:  # as in `_of_one_row`
        one = array_namespace(x).zeros((1, n_in), dtype=x.dtype, device=device_of(x))
        return [compute(one)[:0, ...]]
    results: list[Any] = []
    n_done = 0

    def run(size: int) -> None:
        nonlocal n_done
        while n_done < n_rows:
            with _noticing(bus):
                results.append(compute(x[n_done : min(n_done + size, n_rows), :]))
            n_done += size

    _halving(run, batch_size, bus)
    return results


def _of_one_row(compute: Compute, bus: Bus, n_in: int, dtype: Any) -> Any:
    """Return a result, to see its shape and dtype: CuPy computes none of no rows (cupy#266)."""
    found: list[Any] = []

    def run(n_rows: int) -> None:
        stream = bus.stream("computing")
        with _noticing(bus):
            one = bus.allocate((n_rows, n_in), dtype, stream)
            found.append(bus.compute(compute, one, stream))
        bus.wait(bus.record(stream))

    _halving(run, 1, bus)
    return found[0]


@contextmanager
def _noticing(bus: Bus) -> Iterator[None]:
    """Raise _FullError for whatever says that there is no memory; what it held is let go."""
    try:
        yield
    except Exception as error:
        if bus.is_out_of_memory(error):
            raise _FullError(str(error)) from None
        raise


def _halving(run: Callable[[int], None], n_rows: int, bus: Bus) -> None:
    """Call ``run(n_rows)``, with half as many rows each time that memory is short."""
    while True:
        try:
            run(n_rows)
        except _FullError as error:
            reason = str(error)
        else:
            return
        gc.collect()  # an error and what it was raised from may hold each other, and arrays
        if n_rows <= _FEWEST_ROWS:
            raise DeviceMemoryError.of_rows(n_rows, reason)
        bus.free()
        n_rows = max(n_rows // 2, _FEWEST_ROWS)


class _Source:
    """Rows that are still to come."""

    def __init__(self, blocks: Iterable[Rows]) -> None:
        self._blocks = iter(blocks)
        self._parts: deque[Rows] = deque()
        self.dtype: Any = np.dtype(np.uint8)

    def take(self, most: int) -> Rows | None:
        """Return the next rows, at most so many; None at the end."""
        while not self._parts:
            block = next(self._blocks, None)
            if block is None:
                return None
            self.dtype = _native(block.dtype)
            if block.shape[0]:
                self._parts.append(block)
        rows = self._parts.popleft()
        n_rows = rows.shape[0]
        if n_rows > most:
            self._parts.appendleft(_part(rows, most, n_rows))
            rows = _part(rows, 0, most)
        return rows

    def put_back(self, *parts: Rows) -> None:
        """Let these rows be the next ones."""
        self._parts.extendleft(reversed(parts))


class _Results:
    """Results that come by and by, on the host."""

    def __init__(self, n_expected: int) -> None:
        self._array: NDArray[Any] | None = None
        self._n_expected = n_expected
        self._n_rows = 0

    def add(self, results: NDArray[Any]) -> None:
        """Copy the next ones from where they are now."""
        start, end = self._n_rows, self._n_rows + len(results)
        if self._array is None or len(self._array) < end:
            n_rows = max(self._n_expected, end if self._array is None else 2 * end)
            larger = np.empty((n_rows, *results.shape[1:]), results.dtype)
            if self._array is not None:
                larger[:start] = self._array[:start]
            self._array = larger
        self._array[start:end] = results
        self._n_rows = end
        record("host", results.nbytes)

    def all(self, make_one: Callable[[], Any]) -> NDArray[Any]:
        """Return them; if there are none, as many of the kind of what is made."""
        if self._array is None:
            one = make_one()
            return np.empty((0, *one.shape[1:]), one.dtype)
        return self._array[: self._n_rows]


class _Buffer:
    """The places of a chunk on its way, and the events that say when they are free again."""

    def __init__(self) -> None:
        self.dtype: Any = None
        self.pinned: Any = None
        self.device: Any = None
        self.results: Any = None
        self.rows: Any = None  # on the host: in `pinned`, or in an array that is pinned itself
        self.n_rows = 0  # which are not launched yet
        self.n_results = 0  # which are launched, and not collected
        self.copied: Any = None
        self.returned: Any = None


class _Pipeline:
    """Chunks of rows of one size: collected, copied in, computed, and copied out."""

    def __init__(
        self,
        compute: Compute,
        bus: Bus,
        results: _Results,
        shape: tuple[int, int],
        *,
        is_there: bool,
    ) -> None:
        self._compute, self._bus, self._results, self._shape = compute, bus, results, shape
        self._is_there = is_there
        self._dtype: Any = None  # of the rows before
        self._copying, self._computing = bus.stream("copying"), bus.stream("computing")
        self._buffers = cycle([_Buffer() for _ in range(_N_BUFFERS)])
        self._filling = next(self._buffers)
        self._full: _Buffer | None = None
        self._launched: deque[_Buffer] = deque()

    def run(self, source: _Source) -> None:
        """Take all rows; those that there was no memory for are put back."""
        rows: Rows | None = None
        try:
            while (rows := source.take(self._shape[0] - self._filling.n_rows)) is not None:
                self._add(rows)
            self._flush()
        except _FullError:
            waiting = [buffer for buffer in (self._full, self._filling) if buffer is not None]
            # Copied: a part would keep all of a pinned buffer, which may be what is missing.
            parts = [buffer.rows[: buffer.n_rows].copy() for buffer in waiting if buffer.n_rows]
            source.put_back(*parts, *([] if rows is None else [rows]))
            self._collect_all()
            raise
        finally:
            # Whatever happened, no copy may be on its way to or from memory that is given back;
            # what is computed last waits for what is copied in last.
            self._bus.wait(self._bus.record(self._copying), self._computing)
            self._bus.wait(self._bus.record(self._computing))

    def _add(self, rows: Rows) -> None:
        """Put rows behind those that wait; meanwhile, launch the chunk before."""
        dtype = _native(rows.dtype)
        if self._dtype is not None and dtype != self._dtype:
            self._flush()
        self._dtype = dtype
        buffer = self._filling
        is_full = buffer.n_rows == 0 and self._can_read(rows)
        if is_full:
            buffer.rows = rows
            self._launch()
        else:
            finish = self._stage(buffer, rows)
            try:
                self._launch()
            finally:
                finish()
        buffer.dtype = _native(rows.dtype)
        buffer.n_rows += rows.shape[0]
        if is_full or buffer.n_rows == self._shape[0]:
            self._full, self._filling = buffer, next(self._buffers)

    def _can_read(self, rows: Rows) -> bool:
        """Tell whether the device can read rows where they are."""
        return (
            self._is_there
            and isinstance(rows, np.ndarray)
            and rows.flags.c_contiguous
            and rows.dtype.isnative
            and self._bus.is_pinned(rows)
        )

    def _stage(self, buffer: _Buffer, rows: Rows) -> Callable[[], None]:
        """Begin to copy rows into pinned memory; return what is to be called to finish it."""
        if buffer.pinned is None or buffer.pinned.dtype != _native(rows.dtype):
            with _noticing(self._bus):
                buffer.pinned = self._bus.pinned(self._shape, _native(rows.dtype))
        if buffer.copied is not None:
            self._bus.wait(buffer.copied)
        buffer.rows = buffer.pinned
        n_rows = rows.shape[0]
        target = buffer.pinned[buffer.n_rows : buffer.n_rows + n_rows]
        n_threads = min(count_processors(), _MOST_THREADS, max(target.nbytes // _PART_BYTES, 1))
        size = -(-n_rows // n_threads)

        def copy(start: int) -> None:
            end = min(start + size, n_rows)
            _copy(target[start:end], _part(rows, start, end))

        return begin_all(copy, range(0, n_rows, size), n_threads)

    def _launch(self) -> None:
        """Put the chunk that is full on the streams."""
        if self._full is None:
            return
        buffer, bus, n_rows = self._full, self._bus, self._full.n_rows
        self._collect(buffer)  # so its places on the device are free as well
        with _noticing(bus):
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
        """Wait for the results of a chunk, if they have not been collected."""
        if buffer.n_results:
            self._bus.wait(buffer.returned)
            self._results.add(buffer.results[: buffer.n_results])
            buffer.n_results = 0
            self._launched.remove(buffer)

    def _collect_all(self) -> None:
        while self._launched:
            self._collect(self._launched[0])

    def _flush(self) -> None:
        """Launch what waits, and wait for all results."""
        self._launch()
        if self._filling.n_rows:
            self._full, self._filling = self._filling, next(self._buffers)
            self._launch()
        self._collect_all()


def _native(dtype: Any) -> Any:
    """Return a dtype in this machine's order of bytes."""
    return dtype.newbyteorder("=")


def _part(rows: Rows, start: int, end: int) -> Rows:
    return rows[start:end] if isinstance(rows, np.ndarray) else rows.part(start, end)


def _copy(target: NDArray[Any], rows: Rows) -> None:
    if isinstance(rows, np.ndarray):
        np.copyto(target, rows)
    else:
        rows.copy_to(target)
