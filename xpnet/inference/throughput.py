"""Throughput in images per second, for batches of several sizes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from xpnet.inference.predict import predict_ids
from xpnet.inference.rows import as_rows
from xpnet.networks.network import Network

__all__ = ["BATCH_SIZES", "Throughput", "measure_throughput"]

BATCH_SIZES = (1, 10, 100, 1000, 10_000, 100_000)

# Seconds of a round at each size, unless a batch takes longer or all rows take less.
_ROUND_SECONDS = 0.2
# Limits of a batch. Numbers are those of its widest stage: some 1 GB, with the rows and a copy.
_MAX_SECONDS, _MAX_NUMBERS = 5.0, 10**8


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
    batch_sizes: Iterable[int],
    rounds: int,
    progress: Callable[[int], Any],
) -> list[Throughput]:
    """Measure images per second from rows in host memory to results in host memory.

    Transfers to a GPU and back are included. A round times all batch sizes, each for about a fifth
    of a second or one batch, so other load on the machine affects all of them. `images`, one or
    more, are repeated if there are fewer than 100,000 or a batch has more; `progress` is called
    with 1 after the warm-up and after each round of each size. The results are in the order of the
    sizes, without those for which a batch would take more than 1 GB, more memory than the device
    has, or, judging by smaller sizes, more than 5 seconds.
    """
    fitting = _MAX_NUMBERS // network.widest
    sizes = sorted(size for size in batch_sizes if size <= fitting)
    most = max([*sizes, min(BATCH_SIZES[-1], fitting)])  # too many for the cache
    rows = np.resize(as_rows(images, network.n_in), (most, network.n_in))

    def seconds(n_rows: int, size: int) -> float:
        start = perf_counter()
        predict_ids(network, rows[:n_rows], batch_size=size)
        return perf_counter() - start

    n_rows: dict[int, int] = {}  # of a round, by batch size
    fastest = 0.0  # rows per second
    for size in sizes:
        if size > _MAX_SECONDS * fastest > 0.0:
            break
        try:
            seconds(size, size)  # compilations, imports and first allocations are not timed
            speed = size / seconds(size, size)
        except MemoryError:  # of the device
            break
        n_batches = min(int(_ROUND_SECONDS * speed), most) // size
        n_rows[size] = max(n_batches, 1) * size
        fastest = max(fastest, speed)
        progress(1)
    times: dict[int, list[float]] = {size: [] for size in n_rows}
    for _ in range(rounds):
        for size, n in n_rows.items():
            times[size].append(seconds(n, size))
            progress(1)
    speeds = {size: [n / s for s in times[size]] for size, n in n_rows.items()}
    return [Throughput(size, max(x), median(x), n_rows[size]) for size, x in speeds.items()]
