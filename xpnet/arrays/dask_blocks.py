"""Functions of Dask arrays, computed block by block where the blocks are.

The network is one task of the graph, on which the tasks of all blocks depend: it is sent to each
worker once. (As a literal argument it would be sent with every block, and scattered data would be
lost with their worker.)
"""

import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.threads import one_blas_thread

__all__ = ["is_dask", "map_blocks", "sum_over_blocks", "warn"]


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


def sum_over_blocks(
    function: Callable[[Any, Any, Any], NDArray[np.int64]],
    network: Any,
    predicted: Any,
    labels: Any,
) -> NDArray[np.int64]:
    """Compute the sum of ``function(network, predicted, labels)``, integers, over all blocks.

    Predictions, of Dask, have the shape (n,); labels get their chunks. Blocks are counted where
    they are, and only the sum is brought here. ValueError is raised unless there is a label for
    each prediction, or a block for each block if their sizes are unknown.
    """
    import dask.array as da
    from dask import delayed

    labels = labels if is_dask(labels) else da.from_array(labels, chunks=-1)
    n_rows, given = predicted.shape, labels.shape
    is_known = not any(map(math.isnan, n_rows + given))
    if (n_rows != given[:1]) if is_known else (predicted.numblocks != labels.numblocks):
        rule = "must be one for each image (compute_chunk_sizes() gives unknown numbers)"
        msg = f"`labels` {rule}; got {given} labels for {n_rows[0]} images"
        raise ValueError(msg)
    labels = labels.rechunk({0: predicted.chunks[0]}) if is_known else labels
    count, net = delayed(_compute_block), delayed(network, pure=True)
    pairs = zip(predicted.to_delayed(), labels.to_delayed().ravel(), strict=True)
    total: NDArray[np.int64] = delayed(sum)(
        [count(function, ..., net, *x) for x in pairs]
    ).compute()
    return total


def _compute_block(function: Callable[..., Any], index: Any, network: Any, *blocks: Any) -> Any:
    """Return ``function(network, *blocks)[index]`` on one BLAS thread: Dask has its own threads."""
    keep_freed_memory()
    try:
        with one_blas_thread():
            return function(network, *blocks)[index]
    except ValueError as error:
        error.add_note("in a block of a Dask array, whose own first row is row 0")
        raise
