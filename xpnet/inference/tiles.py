"""Many rows on the cores of a CPU: tiles that fit into caches, one worker for each core.

A matrix product that BLAS shares out among threads waits for the slowest one, and what comes
between products runs on one core. So each core is given tiles of its own, and BLAS one thread.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import blas_threads, one_blas_thread
from xpnet.arrays.ranges import counting_from
from xpnet.inference.batches import default_batch_size
from xpnet.inference.thread_pool import do_all
from xpnet.networks.network import Network

__all__ = ["check_threads", "even_tiles", "in_tiles", "tiles_of"]

_NOTHING = nullcontext()
# Multiplications of a tile at least, some 0.2 ms. To wake up a helper takes a fifth of that; and
# where a tile is done in less, threads wait for each other to run Python: 54,321 rows of
# 64-128-128-64-10 took two threads 61 ms in tiles of 96 rows, and 30 in tiles of 300.
_LEAST_WORK = 10**7
_FEWEST_ROWS = 24
# Rows that BLAS and its like take at a time, and rows of whole blocks of many widths.
_ROWS_AT_A_TIME = 4
_WHOLE_BLOCKS = 24
# Numbers of tiles are multiples of this, or powers of 2.
_MOST_SHARERS = 16


def check_threads(network: Network, threads: int) -> None:
    """Refuse a number of threads that there cannot be.

    Raises
    ------
    TypeError
        If `threads` is no whole number.
    ValueError
        If it is below 1, or the network is not computed by NumPy.
    """
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        msg = f"`threads` must be a whole number or None; got {threads!r}"
        raise TypeError(msg)
    if threads < 1:
        msg = f"`threads` must be at least 1; got {threads}"
        raise ValueError(msg)
    if network.library != "numpy":
        msg = f"`threads` must be None for a network of {network.library}, which has its own"
        raise ValueError(msg)


def tiles_of(network: Network, n_rows: int) -> Sequence[int]:
    """Return where tiles of rows start, and where the last one ends."""
    if n_rows * network.multiplications < 2 * _LEAST_WORK or n_rows < 2 * _FEWEST_ROWS:
        return (0, n_rows)
    fewest = max(_LEAST_WORK // network.multiplications, _FEWEST_ROWS)
    return even_tiles(n_rows, fewest, max(default_batch_size(network), fewest))


def even_tiles(n_rows: int, fewest: int, most: int) -> Sequence[int]:
    """Return the bounds of tiles that are about equal, in a number that cores can share evenly."""
    n_tiles = 1
    while n_tiles < _MOST_SHARERS and n_rows >= 2 * n_tiles * fewest:
        n_tiles *= 2
    while n_rows > n_tiles * most:
        n_tiles += min(n_tiles, _MOST_SHARERS)
    unit = _WHOLE_BLOCKS if n_rows >= 4 * n_tiles * _WHOLE_BLOCKS else _ROWS_AT_A_TIME
    inner = (round(i * n_rows / (n_tiles * unit)) * unit for i in range(1, n_tiles))
    return [0, *inner, n_rows]


def in_tiles(
    compute: Callable[[Any], Any],
    rows: NDArray[Any],
    bounds: Sequence[int],
    threads: int | None,
    *,
    holds_blas: bool = True,
) -> NDArray[Any]:
    """Return ``compute(rows)``, computed in tiles of rows.

    Parameters
    ----------
    compute : callable
        From rows to results, one for each.
    rows : array of shape (n, n_in)
    bounds : sequence of int
        Where tiles start, and n. The results depend on them in their last digits, but not on
        `threads`.
    threads : int, optional
        How many tiles are computed at a time; by default, as many as BLAS has threads.
    holds_blas : bool, default True
        Whether BLAS must be held to one thread.
    """
    with one_blas_thread() if holds_blas else _NOTHING:
        n_tiles = len(bounds) - 1
        if n_tiles == 1:
            return np.asarray(compute(rows))
        none = compute(rows[:0])
        results = np.empty((len(rows), *none.shape[1:]), none.dtype)

        def fill(i: int) -> None:
            tile = slice(bounds[i], bounds[i + 1])
            with counting_from(bounds[i]):
                results[tile] = compute(rows[tile])

        n_at_a_time = min(blas_threads() if threads is None else threads, n_tiles)
        do_all(fill, range(n_tiles), n_at_a_time)
        return results
