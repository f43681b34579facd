"""Dask images: the array's own blocks, each met by a network of the blocks' library."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["map_rows"]


def map_rows(function: Callable[[Any], Any], images: Any) -> Any:
    """Return the Dask array of ``function(block)`` for blocks of whole images; nothing is computed.

    Parameters
    ----------
    function : callable
        From images of shape (n, ...) to results of shape (n,) or (n, k).
    images : dask.array.Array of shape (n, ...)
    """
    whole_images = images.rechunk(dict.fromkeys(range(1, images.ndim), -1))
    # Dask takes the results' shape and dtype from what becomes of one block without rows.
    meta = function(np.empty_like(whole_images._meta, shape=(0, *images.shape[1:])))  # noqa: SLF001
    image_axes = list(range(1, images.ndim))
    return whole_images.map_blocks(
        function,
        drop_axis=image_axes[meta.ndim - 1 :],
        chunks=(images.chunks[0], *((n,) for n in meta.shape[1:])),
        meta=meta,
    )
