"""Functions of Dask arrays, computed block by block where the blocks are.

The network is one task of the graph, on which the tasks of all blocks depend: it is sent to each
worker once. (As a literal argument it would be sent with every block, and scattered data would be
lost with their worker.)
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.threads import one_blas_thread

__all__ = ["computed", "is_dask", "map_blocks", "warn"]


def is_dask(x: Any, /) -> bool:
    """Return whether `x` is a Dask array, without importing Dask."""
    return type(x).__module__.startswith("dask.array.")


def warn(message: str, category: type[Warning], *, stacklevel: int) -> None:
    """Warn the caller; on a worker of a cluster, whose output nobody reads, also the client."""
    distributed = sys.modules.get("distributed")
    send = warnings.warn if distributed is None else distributed.warn
    send(message, category, stacklevel + 1)


def map_blocks(function: Callable[[Any, Any], Any], network: Any, x: Any, n_kept: int = 1) -> Any:
    """Return the lazy Dask array of ``function(network, block)`` for all blocks of `x`.

    The function maps the axes after the first `n_kept` to at most as many others; along them, a
    block gets whole rows. Its result for a block without rows gives shape, dtype and library of all
    results.
    """
    import dask.array as da
    from dask import delayed
    from dask.array.utils import meta_from_array

    x = x.rechunk(dict.fromkeys(range(n_kept, x.ndim), -1))
    no_rows = np.zeros_like(meta_from_array(x), shape=(0,) * n_kept + x.shape[n_kept:])
    meta = function(network, no_rows)
    # Dask fuses the tasks of loading and computing a block only if no axis is lost between them.
    n_lost = x.ndim - meta.ndim
    index = (..., *(None,) * n_lost)
    chunks = (*x.chunks[:n_kept], *((n,) for n in meta.shape[n_kept:]), *((1,),) * n_lost)
    arguments = function, index, delayed(network, pure=True), x
    y = da.map_blocks(_compute_block, *arguments, chunks=chunks, meta=meta[index])
    return y[(..., *(0,) * n_lost)]


def computed(*values: Any) -> tuple[Any, ...]:
    """Return Dask arrays as NumPy arrays, computed together; other values unchanged."""
    import dask

    found: tuple[Any, ...] = dask.compute(*values, traverse=False)
    return found


def _compute_block(function: Callable[..., Any], index: Any, network: Any, *blocks: Any) -> Any:
    """Return ``function(network, *blocks)[index]`` on one BLAS thread: Dask has its own threads."""
    keep_freed_memory()
    try:
        with one_blas_thread():
            return function(network, *blocks)[index]
    except ValueError as error:
        error.add_note("in a block of a Dask array, whose own first row is row 0")
        raise
