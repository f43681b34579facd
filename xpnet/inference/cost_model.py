"""From how many rows on a GPU takes less time than the CPU, its start included: an estimate."""

import math
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from xpnet.inference.batches import default_batch_size
from xpnet.inference.predict import predict
from xpnet.networks.network import Network

__all__ = ["Crossover", "estimate"]

# A process that uses a GPU for the first time waits for its context, for cuBLAS, half a gigabyte of
# library, and for the first compilations: 2 to 4 seconds.
_START_SECONDS = 3.0
# Bytes a second that a bus brings at least, from pinned memory: PCIe 3.0, by 16 lanes. Newer ones
# bring two to four times as many.
_BUS_RATE = 12e9
# Of a card's largest rate in float32, products of these widths reach about so much; a card that
# does not tell, or is not there, is taken for a small one.
_REACHED = 0.5
_SMALL_CARD = 5e12
# Some fifty calls that Python makes for each batch, whatever its size.
_BATCH_SECONDS = 0.5e-3
_GPU_ROWS = 2**16
# The CPU is timed on so many multiplications, some milliseconds, and on no more rows.
_TRIED_MULTIPLICATIONS = 2**28
_TRIED_ROWS = 4096
_TRIALS = 3


@dataclass(frozen=True)
class Crossover:
    """What rows cost on the CPU, as measured here, and on a GPU, as estimated.

    Attributes
    ----------
    cpu_seconds, gpu_seconds : float
        For each row.
    start_seconds : float
        Until a GPU computes the first one.
    limit : {"bus", "arithmetic", "launches"}
        What a GPU waits for.
    """

    cpu_seconds: float
    gpu_seconds: float
    start_seconds: float
    limit: str

    @property
    def n_rows(self) -> int | None:
        """From how many rows on a GPU takes less time; None, if it never does."""
        gain = self.cpu_seconds - self.gpu_seconds
        return math.ceil(self.start_seconds / gain) if gain > 0 else None

    def favours_gpu(self, n_rows: int) -> bool:
        """Tell whether a GPU takes less time for so many rows."""
        return self.n_rows is not None and n_rows >= self.n_rows

    def sentence(self, n_rows: int | None) -> str:
        """Say what so many rows would take; None stands for rows that nobody has counted."""
        if self.n_rows is None:
            since = f"a GPU, which waits for its {self.limit}, never takes less time"
        else:
            since = f"a GPU takes less time from about {float(f'{self.n_rows:.2g}'):,.0f} rows on"
        if n_rows is None:
            return f"nobody knows how many rows there are; {since}"
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
    """Time a network on the CPU, and estimate what a GPU would take.

    Parameters
    ----------
    network : Network
        Of NumPy.
    itemsize : int, default 1
        Bytes of a raw value.
    batch_size : int, optional
        Rows at a time.
    card_rate : float, optional
        Floating-point operations a second, in float32, that the card can do at most.
    passes : int, default 1
        How often the matrices are gone through for a row: 3 in training.
    """
    rate = _REACHED * card_rate if card_rate else _SMALL_CARD
    costs = {
        "bus": network.n_in * itemsize / _BUS_RATE,
        "arithmetic": passes * 2 * network.multiplications / rate,
        "launches": passes * _BATCH_SECONDS / (batch_size or _GPU_ROWS),
    }
    limit = max(costs, key=lambda name: costs[name])
    seconds = passes * _cpu_seconds(network, batch_size)
    return Crossover(seconds, costs[limit], _START_SECONDS, limit)


def _cpu_seconds(network: Network, batch_size: int | None) -> float:
    """Return how long a row takes here, in the best of a few trials."""
    fitting = _TRIED_MULTIPLICATIONS // network.multiplications
    n_rows = max(min(fitting, _TRIED_ROWS, batch_size or default_batch_size(network)), 1)
    rows = np.random.default_rng(0).integers(0, 256, (n_rows, network.n_in), np.uint8)
    best = math.inf
    for _ in range(_TRIALS):
        start = perf_counter()
        predict(network, rows, batch_size=batch_size)
        best = min(best, perf_counter() - start)
    return best / n_rows
