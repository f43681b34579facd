"""Functions of Dask arrays, computed block by block where the blocks are.

A function, with the network that it may hold, is one task of the graph, on which the tasks of all
blocks depend: it is sent to each worker once. (As a literal argument it would be sent with every
block, and scattered data would be lost with their worker.)
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import one_blas_thread
from xpnet.arrays.cpu.memory import keep_freed_memory

__all__ = ["is_dask", "map_blocks", "sum_over_blocks"]


def is_dask(x: Any, /) -> bool:
    """Return whether `x` is a Dask array, without importing Dask."""
    return type(x).__module__.startswith("dask.array.")


def map_blocks(function: Callable[[Any], Any], x: Any, n_kept: int = 1) -> Any:
    """Return the lazy Dask array of ``function(block)`` for all blocks of `x`.

    The function maps the axes after the first `n_kept`, which are in one chunk, to at most as many
    others. Its result for a block without rows gives shape, dtype and library of all results.
    """
    from dask import delayed

    x = _in_whole_rows(x, n_kept)
    meta = _without_rows(function, n_kept, x)
    # Dask fuses the tasks of loading and computing a block only if no axis is lost between them.
    n_lost = x.ndim - meta.ndim
    y = x.map_blocks(
        _compute_block,
        delayed(function, pure=True),
        (..., *(None,) * n_lost),
        chunks=(*x.chunks[:n_kept], *((n,) for n in meta.shape[n_kept:]), *((1,),) * n_lost),
        meta=meta[(..., *(None,) * n_lost)],
    )
    return y[(..., *(0,) * n_lost)]


def sum_over_blocks(
    function: Callable[[Any, Any], NDArray[np.int64]],
    images: Any,
    labels: Any,
) -> NDArray[np.int64]:
    """Compute the sum of ``function(images, labels)``, integers, over all blocks.

    Labels get the chunks of the images. Sums of some blocks each are added where they are, and only
    the last one is brought here. ValueError is raised unless there is a label for each image, or a
    block for each block if their sizes are unknown.
    """
    import dask.array as da
    from dask import delayed

    x, y = images, labels if is_dask(labels) else da.from_array(labels, chunks=-1)
    x, y = _in_whole_rows(x, 1), _in_whole_rows(y, 1)
    shape = _without_rows(function, 1, x, y).shape
    if math.isnan(sum(x.shape[:1] + y.shape[:1])):
        if x.numblocks[0] != y.numblocks[0]:
            found = f"{y.numblocks[0]} for {x.numblocks[0]}: use compute_chunk_sizes()"
            msg = f"`labels` must have a chunk for each of unknown size of the images; got {found}"
            raise ValueError(msg)
    elif x.shape[:1] == y.shape[:1]:
        y = y.rechunk({0: x.chunks[0]})
    else:
        found = f"{y.shape} labels for {x.shape[0]} images"
        msg = f"`labels` must be one for each image; got {found}"
        raise ValueError(msg)
    axes = [f"axis {i}" for i in range(1, x.ndim)]  # as in `map_blocks`
    new = [f"new {i}" for i in range(len(shape))]
    sums = da.blockwise(
        _compute_block,
        ("row", *axes, *new),
        x,
        ("row", *axes),
        delayed(function, pure=True),
        None,
        (None,) * x.ndim,
        None,
        y,
        ("row", *(f"labels {i}" for i in range(1, y.ndim))),
        new_axes=dict(zip(new, shape, strict=True)),
        adjust_chunks=dict.fromkeys(("row", *axes), 1),
        align_arrays=False,
        concatenate=True,
        meta=np.empty((0,) * (x.ndim + len(shape)), np.int64),
    )
    total: NDArray[np.int64] = sums.sum(axis=tuple(range(x.ndim))).compute()
    return total


def _without_rows(function: Callable[..., Any], n_kept: int, *arrays: Any) -> Any:
    """Return the result for blocks without rows; errors name the shapes of the arrays."""
    from dask.array.utils import meta_from_array

    metas = [(meta_from_array(x), (0,) * n_kept + x.shape[n_kept:]) for x in arrays]
    try:
        return function(*(np.zeros_like(meta, shape=shape) for meta, shape in metas))
    except (TypeError, ValueError) as error:
        given = " and ".join(str(x.shape) for x in arrays)
        error.add_note(f"in a block without rows of Dask arrays of shape {given}")
        raise


def _compute_block(x: Any, function: Callable[..., Any], index: Any, *others: Any) -> Any:
    """Return ``function(x, *others)[index]``, on one BLAS thread: Dask has its own threads."""
    keep_freed_memory()
    try:
        with one_blas_thread():
            return function(x, *others)[index]
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
