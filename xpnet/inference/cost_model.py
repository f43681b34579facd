"""Cost model for the choice of a device: the number of rows for which a GPU is faster."""

import math
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from xpnet.inference.predict import predict_ids
from xpnet.networks.network import Network

__all__ = ["Crossover", "estimate"]

# The first use of a GPU creates its context, loads cuBLAS (half a gigabyte) and compiles the first
# kernels: 2 to 4 seconds.
_START_SECONDS = 3.0
# Lowest transfer rate from pinned memory, in bytes per second: PCIe 3.0 with 16 lanes. Newer buses
# are two to four times as fast.
_BUS_RATE = 12e9
# Products reach this fraction of a card's peak float32 rate; an unknown card counts as small.
_PEAK_FRACTION = 0.5
_SMALL_CARD = 5e12
# About fifty Python calls per batch, whatever its size.
_BATCH_SECONDS = 0.5e-3
_GPU_ROWS = 2**16
# The CPU is timed on this number of multiplications (some milliseconds), and on at most these rows.
_TRIAL_MULTIPLICATIONS = 2**28
_TRIAL_ROWS = 4096
_N_TRIALS = 3


@dataclass(frozen=True)
class Crossover:
    """Seconds per row on the CPU, as measured, and on a GPU, as estimated.

    A GPU takes `start_seconds` before the first row; its bottleneck `limit` is "bus", "arithmetic"
    or "launches".
    """

    cpu_seconds: float
    gpu_seconds: float
    start_seconds: float
    limit: str

    @property
    def n_rows(self) -> int | None:
        """Smallest number of rows for which a GPU takes less time; None if it never does."""
        gain = self.cpu_seconds - self.gpu_seconds
        return math.ceil(self.start_seconds / gain) if gain > 0 else None

    def favours_gpu(self, n_rows: int) -> bool:
        """Return whether a GPU takes less time for `n_rows` rows."""
        return self.n_rows is not None and n_rows >= self.n_rows

    def sentence(self, n_rows: int | None) -> str:
        """Return a sentence on the estimate for `n_rows` rows; None means an unknown number."""
        if self.n_rows is None:
            since = f"a GPU, limited by its {self.limit}, never takes less time"
        else:
            since = f"a GPU takes less time from about {float(f'{self.n_rows:.2g}'):,.0f} rows on"
        if n_rows is None:
            return f"the number of rows is unknown; {since}"
        cpu, gpu = n_rows * self.cpu_seconds, n_rows * self.gpu_seconds
        return (
            f"{n_rows:,} rows take the CPU {cpu:.2g} s, and a GPU about {self.start_seconds:g} s"
            f" to start and {gpu:.2g} s; {since}"
        )


def estimate(
    network: Network,
    *,
    itemsize: int = 1,
    batch_size: int | None = None,
    card_rate: float | None = None,
    passes: int = 1,
) -> Crossover:
    """Time a NumPy network on the CPU, and estimate its time on a GPU.

    A raw value has `itemsize` bytes. `card_rate` is the peak float32 operations per second of the
    GPU; `passes` is the number of products with each matrix per row, 3 in training.
    """
    rate = _PEAK_FRACTION * card_rate if card_rate else _SMALL_CARD
    costs = {
        "bus": network.n_in * itemsize / _BUS_RATE,
        "arithmetic": passes * 2 * network.multiplications / rate,
        "launches": passes * _BATCH_SECONDS / (batch_size or _GPU_ROWS),
    }
    limit = max(costs, key=lambda name: costs[name])
    seconds = passes * _cpu_seconds(network, batch_size)
    return Crossover(seconds, costs[limit], _START_SECONDS, limit)


def _cpu_seconds(network: Network, batch_size: int | None) -> float:
    """Return the seconds per row in the best of a few trials."""
    fitting = _TRIAL_MULTIPLICATIONS // network.multiplications
    n_rows = max(min(fitting, _TRIAL_ROWS, batch_size or _TRIAL_ROWS), 1)
    rows = np.random.default_rng(0).integers(0, 256, (n_rows, network.n_in), np.uint8)
    best = math.inf
    for _ in range(_N_TRIALS):
        start = perf_counter()
        predict_ids(network, rows, batch_size=batch_size)
        best = min(best, perf_counter() - start)
    return best / n_rows
