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

    The function maps the axes after the first `n_kept`, which are in one chunk, to at most as many
    others. Its result for a block without rows gives shape, dtype and library of all results.
    """
    import dask.array as da
    from dask import delayed
    from dask.array.utils import meta_from_array

    x = _in_whole_rows(x, n_kept)
    no_rows = np.zeros_like(meta_from_array(x), shape=(0,) * n_kept + x.shape[n_kept:])
    try:
        meta = function(network, no_rows)
    except (TypeError, ValueError) as error:
        error.add_note(f"in a block without rows of a Dask array of shape {x.shape}")
        raise
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

    Predictions, of Dask, have the shape (n,); labels get their chunks. Sums of some blocks each are
    added where they are, and only the last one is brought here. ValueError is raised unless there
    is a label for each prediction, or a block for each block if their sizes are unknown.
    """
    import dask.array as da
    from dask import delayed

    no_labels = np.empty((0, *labels.shape[1:]), labels.dtype)
    shape = function(network, np.empty(0, predicted.dtype), no_labels).shape
    labels = labels if is_dask(labels) else da.from_array(labels, chunks=-1)
    n_rows, given = predicted.shape, labels.shape
    if any(map(math.isnan, n_rows + given)):
        if predicted.numblocks != labels.numblocks:
            found = f"{labels.numblocks[0]} for {predicted.numblocks[0]}"
            rule = "must have a chunk for each of unknown size of the images"
            msg = f"`labels` {rule}; got {found}: use compute_chunk_sizes()"
            raise ValueError(msg)
    elif n_rows == given:
        labels = labels.rechunk(predicted.chunks)
    else:
        msg = f"`labels` must be one for each image; got {given} labels for {n_rows[0]} images"
        raise ValueError(msg)
    axes = list(range(1, 1 + len(shape)))
    chunks = ((1,) * predicted.numblocks[0], *((n,) for n in shape))
    meta = np.empty((0,) * (1 + len(shape)), np.int64)
    arguments = function, None, delayed(network, pure=True), predicted, labels
    sums = da.map_blocks(_compute_block, *arguments, new_axis=axes, chunks=chunks, meta=meta)
    total: NDArray[np.int64] = sums.sum(axis=0).compute()
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


def _in_whole_rows(x: Any, n_kept: int) -> Any:
    """Return `x` with the axes after the first `n_kept` in one chunk; warn if they are not yet."""
    import dask.array as da

    for axis in range(n_kept, x.ndim):
        if math.isnan(x.shape[axis]):
            msg = f"the length of axis {axis} must be known: use compute_chunk_sizes()"
            raise ValueError(msg)
    n_chunks = math.prod(x.numblocks[n_kept:])
    if n_chunks == 1:
        return x
    whole = ", ".join(f"{axis}: -1" for axis in range(n_kept, x.ndim))
    size = "" if math.isnan(x.nbytes) else f" ({x.nbytes:,} bytes)"
    warnings.warn(
        f"each row is in {n_chunks} chunks, which are joined first: up to {n_chunks - 1} /"
        f" {n_chunks} of the array{size} move between workers at each computation. Make chunks of"
        f" whole rows: x.rechunk({{{whole}}})",
        da.PerformanceWarning,
        stacklevel=4,
    )
    return x.rechunk(dict.fromkeys(range(n_kept, x.ndim), -1))
