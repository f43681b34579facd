"""Inference on Dask arrays, block by block."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["map_rows"]


def map_rows(function: Callable[[Any], Any], images: Any) -> Any:
    """Return the lazy Dask array of ``function(block)`` for blocks of whole images.

    The function maps images of shape (n, ...) to results of shape (n,) or (n, k).
    """
    whole_images = images.rechunk(dict.fromkeys(range(1, images.ndim), -1))
    # The result for a block without rows has the shape and dtype of all results.
    block = whole_images._meta  # noqa: SLF001 (no public name gives a block's library)
    meta = function(np.empty_like(block, shape=(0, *images.shape[1:])))
    return whole_images.map_blocks(
        function,
        drop_axis=list(range(meta.ndim, images.ndim)),
        chunks=(images.chunks[0], *((n,) for n in meta.shape[1:])),
        meta=meta,
    )
