"""Many rows on the cores of a CPU: tiles that fit into caches, one worker for each core.

A matrix product that BLAS shares out among threads waits for the slowest one, and what comes
between products runs on one core. So each core is given tiles of its own, and BLAS one thread.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.blas import blas_threads, one_blas_thread
from xpnet.networks.network import Network

__all__ = ["check_threads", "in_tiles"]


def check_threads(network: Network, threads: int | None) -> None:
    """Refuse a number of threads that there cannot be.

    Raises
    ------
    TypeError
        If `threads` is no whole number.
    ValueError
        If it is below 1, or the network is not computed by NumPy.
    """
    if threads is None:
        return
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        msg = f"`threads` must be a whole number or None; got {threads!r}"
        raise TypeError(msg)
    if threads < 1:
        msg = f"`threads` must be at least 1; got {threads}"
        raise ValueError(msg)
    if network.library != "numpy":
        msg = f"`threads` must be None for a network of {network.library}, which has its own"
        raise ValueError(msg)


def in_tiles(
    compute: Callable[[Any], Any], rows: NDArray[Any], size: int, threads: int | None
) -> NDArray[Any]:
    """Return ``compute(rows)``, computed in tiles of so many rows.

    Parameters
    ----------
    compute : callable
        From rows to results, one for each.
    rows : array of shape (n, n_in)
    size : int
        Of a tile. The results depend on it in their last digits, but not on `threads`.
    threads : int, optional
        How many tiles are computed at a time; by default, as many as BLAS has threads.
    """
    n_rows = rows.shape[0]
    if n_rows <= size and threads is None:
        return np.asarray(compute(rows))
    none = compute(rows[:0])
    results = np.empty((n_rows, *none.shape[1:]), none.dtype)

    def fill(start: int) -> None:
        tile = slice(start, start + size)
        results[tile] = compute(rows[tile])

    starts = range(0, n_rows, size)
    n_workers = min(blas_threads() if threads is None else threads, len(starts))
    with one_blas_thread():
        if n_workers < 2:  # noqa: PLR2004 (nobody to share with)
            for start in starts:
                fill(start)
        else:
            _share(fill, starts, n_workers)
    return results


def _share(fill: Callable[[int], None], starts: range, n_workers: int) -> None:
    """Call ``fill(start)`` for all starts on some threads; the first error ends it."""
    pool = ThreadPoolExecutor(n_workers, "xpnet")
    try:
        for _ in pool.map(fill, starts):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
