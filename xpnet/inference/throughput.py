"""Throughput in images per second, for batches of several sizes."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from xpnet.arrays.namespace import array_namespace, limits_of
from xpnet.inference.predict import predict_ids
from xpnet.inference.rows import as_rows
from xpnet.networks.network import Network

__all__ = ["BATCH_SIZES", "Throughput", "measure_throughput", "rows_in_memory"]

BATCH_SIZES = (1, 10, 100, 1000, 10_000, 100_000)

# Seconds of a round at each size, unless a batch takes longer: averages over clock and scheduler.
_ROUND_SECONDS = 0.2
# Limits of a batch. The curve is flat long before it reaches them.
_MAX_SECONDS = 5.0
_MAX_BYTES = 10**9
# Rows in memory, even if no batch needs them: the rows of a round should not be in the cache.
_MAX_ROWS = BATCH_SIZES[-1]


@dataclass(frozen=True)
class Throughput:
    """Images per second in batches of one size, in the best and the median round of `n_rows`."""

    batch_size: int
    best: float
    median: float
    n_rows: int


def measure_throughput(
    network: Network,
    images: Any,
    /,
    *,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    rounds: int = 5,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Throughput]:
    """Measure images per second from rows in host memory to results in host memory.

    Transfers to a GPU and back are included. A round times all batch sizes, each for about a fifth
    of a second or one batch, so other load on the machine affects all of them. `images` are
    repeated if a batch has more rows; `progress` is called with 1 after the warm-up and after each
    round of each size. The results are in the order of the sizes, without those for which a batch
    would take more than 1 GB (see `rows_in_memory`), more memory than the device has, or, judging
    by smaller sizes, more than 5 seconds.

    TypeError and ValueError are raised as by `xpnet.predict`; also if `images` is empty or not a
    NumPy array, or `rounds` is below 1.
    """
    if rounds < 1:
        msg = f"`rounds` must be at least 1; got {rounds}"
        raise ValueError(msg)
    rows = as_rows(images, network.n_in)
    if not isinstance(rows, np.ndarray):
        msg = f"`images` must be in host memory, a NumPy array; got {type(rows).__name__}"
        raise TypeError(msg)
    if not len(rows):
        msg = f"`images` must hold at least one; got the shape {rows.shape}"
        raise ValueError(msg)
    fitting = rows_in_memory(network, rows.dtype.itemsize)
    sizes = [size for size in sorted(set(batch_sizes)) if size <= fitting]
    if not sizes:
        return []
    n_rows = max(sizes[-1], min(_MAX_ROWS, fitting))
    if n_rows > len(rows):
        rows = np.take(rows, np.arange(n_rows), axis=0, mode="wrap")
    rows, report = rows[:n_rows], progress or (lambda _: None)

    def run(n_rows: int, size: int, n_calls: int = 1) -> float:
        start = perf_counter()
        for _ in range(n_calls):
            predict_ids(network, rows[:n_rows], batch_size=size, threads=threads)
        return perf_counter() - start

    timings = _warm_up_all(run, n_rows, sizes, report)
    for _ in range(rounds):
        for timing in timings:
            timing.seconds.append(run(timing.n_rows, timing.batch_size, timing.n_calls))
            report(1)
    return [timing.throughput() for timing in timings]


def rows_in_memory(network: Network, itemsize: int = 1) -> int:
    """Return the rows, of values of `itemsize` bytes, that fit in 1 GB with two widest stages."""
    xp = array_namespace(network.layers[0].weight)
    widest = max(network.n_in, *(layer.n_out for layer in network.layers))
    n_bytes = network.n_in * itemsize + 2 * widest * (limits_of(network.dtype, xp).bits // 8)
    return _MAX_BYTES // n_bytes


class _Timing(NamedTuple):
    """The calls of a round at one batch size, and their seconds."""

    batch_size: int
    n_rows: int
    n_calls: int
    seconds: list[float]

    def throughput(self) -> Throughput:
        n_rows = self.n_rows * self.n_calls
        best, median = n_rows / min(self.seconds), n_rows / statistics.median(self.seconds)
        return Throughput(self.batch_size, best, median, n_rows)


def _warm_up_all(
    run: Callable[..., float], most: int, sizes: list[int], progress: Callable[[int], None]
) -> list[_Timing]:
    """Return the sizes that can be timed; `run` returns the seconds of up to `most` rows."""
    found: list[_Timing] = []
    fastest = 0.0  # rows per second
    for size in sizes:
        if size > _MAX_SECONDS * fastest > 0.0:
            break
        try:
            n_done, seconds = _warm_up(run, most, size)
        except MemoryError:  # of the device
            break
        wanted = int(_ROUND_SECONDS / seconds * n_done)
        n_rows = max(min(wanted, most) // size, 1) * size
        found.append(_Timing(size, n_rows, max(wanted // n_rows, 1), []))
        fastest = max(fastest, n_done / seconds)
        progress(1)
    return found


def _warm_up(run: Callable[..., float], most: int, size: int) -> tuple[int, float]:
    """Return enough rows to estimate the time of a row, and their seconds."""
    run(size, size)  # compilations, imports and first allocations are not timed
    n_rows = size
    while True:
        seconds = run(n_rows, size)
        if seconds >= _ROUND_SECONDS / 4 or 2 * n_rows > most:
            return n_rows, seconds
        n_rows *= 2
