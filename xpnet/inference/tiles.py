"""Batched inference on a CPU: few rows at once, many in tiles, with one thread per core.

A matrix product that BLAS divides among threads waits for the slowest one, and the operations
between products run on one core. So each core computes its own tiles, with one BLAS thread.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import blas_threads, one_blas_thread
from xpnet.arrays.cpu.thread_pool import run_tasks
from xpnet.arrays.ranges import are_finite, counting_from
from xpnet.inference.batches import default_batch_size
from xpnet.networks.network import Network

__all__ = ["compute_few", "compute_tiles", "tile_bounds"]

# Fewest multiplications of a tile for a thread, some 0.2 ms, and fewest rows, which BLAS computes
# in whole blocks.
_FEWEST_MULTIPLICATIONS, _FEWEST_ROWS = 10**7, 24
# BLAS computes 4 rows at a time.
_BLAS_ROWS = 4


def tile_bounds(network: Network, n_rows: int) -> Sequence[int]:
    """Return the first row of each tile, and the number of rows, for any number of threads.

    The tiles are about equally long, and divide among the machine's processors if there is enough
    work for them.
    """
    n_tiles = -(-n_rows // default_batch_size(network)) or 1
    most = min(n_rows * network.multiplications // _FEWEST_MULTIPLICATIONS, n_rows // _FEWEST_ROWS)
    # The system takes 20 microseconds to count its processors.
    n_parallel = min(os.cpu_count() or 1, most) if most > 1 else 1
    n_tiles = -(-n_tiles // n_parallel) * n_parallel
    unit = _FEWEST_ROWS if n_rows >= 4 * n_tiles * _FEWEST_ROWS else _BLAS_ROWS
    inner = (round(i * n_rows / (n_tiles * unit)) * unit for i in range(1, n_tiles))
    return [0, *inner, n_rows]


def compute_few(network: Network, rows: Any, threads: int | None) -> NDArray[Any] | None:
    """Return the outputs of a NumPy network for few rows, in as few steps as by hand, or None.

    None is returned unless the rows are NumPy's, of real numbers of a size for which no layer can
    overflow, and take less than about half a millisecond, and `threads` is valid. A reproducible
    network may overflow, but its outputs are finite.
    """
    plan, is_exact = network.plan, network.is_reproducible and network.library == "numpy"
    if not (plan or is_exact) or type(rows) is not np.ndarray or rows.ndim != 2:
        return None
    n_rows, n_in = rows.shape
    few_rows = plan.few_rows if plan else _FEWEST_ROWS
    is_usual = n_in == network.n_in and n_rows <= few_rows and rows.dtype.kind in "biuf"
    if not (is_usual and (threads is None or (type(threads) is int and threads > 0))):
        return None
    if plan is None:
        with one_blas_thread():
            y = network.compute(rows, np)
        return y if are_finite(y) else None  # other rows are counted
    if n_rows <= plan.rows_on_one_thread:
        return plan.outputs(rows)
    with one_blas_thread():
        return plan.outputs(rows)


def compute_tiles(
    compute: Callable[[Any], Any], rows: NDArray[Any], bounds: Sequence[int], threads: int | None
) -> NDArray[Any]:
    """Return ``compute(rows)``, computed in tiles of rows.

    Each tile starts at a row of `bounds`, which end with n; the last digits of the results depend
    on them, but not on `threads`, the number of tiles computed at a time (by default the number of
    BLAS threads). BLAS is limited to one thread.
    """
    with one_blas_thread():
        n_tiles = len(bounds) - 1
        if n_tiles == 1:
            return np.asarray(compute(rows))
        empty = compute(rows[:0])
        results = np.empty((len(rows), *empty.shape[1:]), empty.dtype)

        def compute_tile(i: int) -> None:
            tile = slice(bounds[i], bounds[i + 1])
            with counting_from(bounds[i]):
                results[tile] = compute(rows[tile])

        n_threads = min(blas_threads() if threads is None else threads, n_tiles)
        run_tasks(compute_tile, range(n_tiles), n_threads)
        return results
