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
from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.processors import cuts
from xpnet.arrays.cpu.thread_pool import run_tasks
from xpnet.arrays.ranges import counting_from
from xpnet.inference.batches import MIN_WORK, default_batch_size
from xpnet.inference.nonfinite import outputs_and_lost_rows
from xpnet.networks.network import Network

__all__ = ["compute_few", "compute_tiles", "even_bounds", "tile_bounds"]

# Fewest rows of a tile, unless the rows are divided among the machine's processors. With shorter
# tiles threads wait for each other to run Python: 54,321 rows of 64-128-128-64-10 took two threads
# 61 ms in tiles of 96 rows, and 30 ms in tiles of 300.
_USUAL_ROWS = 256
# The most rows of `compute_few`.
_FEW_ROWS = 2**10
# BLAS computes 4 rows at a time. Multiples of 24 rows are whole blocks for many widths.
_BLAS_ROWS = 4
_BLOCK_ROWS = 24
# The number of tiles is a power of 2 up to this number, and a multiple of it above.
_TILE_GROUP = 16


def tile_bounds(network: Network, n_rows: int) -> Sequence[int]:
    """Return the first row of each tile, and the number of rows, for any number of threads."""
    share = n_rows // (os.cpu_count() or 1)
    fewest = max(min(share, _USUAL_ROWS), cuts().tile_rows, MIN_WORK // network.multiplications)
    most = default_batch_size(network)
    return even_bounds(n_rows, min(fewest, most), most)


def compute_few(
    network: Network, rows: Any, threads: int | None
) -> tuple[NDArray[Any], Any] | None:
    """Return `outputs_and_lost_rows` for few rows, in as few steps as by hand, or None.

    None is returned unless network and rows are NumPy's, the rows are of real numbers and take less
    than a millisecond, and `threads` is valid.
    """
    if type(rows) is not np.ndarray or rows.ndim != 2 or network.library != "numpy":
        return None
    n_rows, n_in = rows.shape
    if (
        n_in != network.n_in
        or n_rows >= _FEW_ROWS
        or n_rows * network.multiplications >= 2 * MIN_WORK
        or rows.dtype.kind not in "biuf"
        or not (threads is None or (type(threads) is int and threads > 0))
    ):
        return None
    keep_freed_memory()
    if n_rows <= network.rows_on_one_thread:
        return outputs_and_lost_rows(network, rows)
    with one_blas_thread():
        return outputs_and_lost_rows(network, rows)


def even_bounds(n_rows: int, fewest: int, most: int) -> Sequence[int]:
    """Return the bounds of tiles of about equal size, whose number divides among the cores."""
    n_tiles = 1
    while n_tiles < _TILE_GROUP and n_rows >= 2 * n_tiles * fewest:
        n_tiles *= 2
    while n_rows > n_tiles * most:
        n_tiles += min(n_tiles, _TILE_GROUP)
    unit = _BLOCK_ROWS if n_rows >= 4 * n_tiles * _BLOCK_ROWS else _BLAS_ROWS
    inner = (round(i * n_rows / (n_tiles * unit)) * unit for i in range(1, n_tiles))
    return [0, *inner, n_rows]


def compute_tiles(
    compute: Callable[[Any], Any],
    rows: NDArray[Any],
    bounds: Sequence[int],
    threads: int | None,
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
