"""Augmentation of training images: random shifts."""

from collections.abc import Callable
from math import isqrt, prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory

__all__ = ["Augment", "image_shape", "shifted"]

Augment: TypeAlias = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]
"""``augment(rows, random)``: changed copies of some rows, of the same shape (n, n_in)."""

# All intermediate results of this number of images fit in the cache.
_ROWS_AT_A_TIME = 256


def shifted(
    rows: NDArray[Any],
    random: np.random.Generator,
    *,
    shape: tuple[int, int],
    pixels: int,
    background: float,
) -> NDArray[Any]:
    """Return copies of images of shape (height, width), each shifted at random.

    Vertical and horizontal shifts from -pixels to pixels are equally likely. Pixels that come in at
    the edges have the value `background`.
    """
    keep_freed_memory()
    made = np.empty_like(rows)
    margins = ((0, 0), (pixels, pixels), (pixels, pixels))
    starts = range(0, len(rows), _ROWS_AT_A_TIME)
    for start, own in zip(starts, random.spawn(len(starts)), strict=True):
        part = rows[start : start + _ROWS_AT_A_TIME].reshape(-1, *shape)
        padded = np.pad(part, margins, constant_values=background)
        windows = np.lib.stride_tricks.sliding_window_view(padded, shape, axis=(1, 2))
        down, right = own.integers(0, 2 * pixels + 1, (2, len(part)))
        moved = windows[np.arange(len(part)), down, right]
        made[start : start + len(part)] = moved.reshape(len(part), -1)
    return made


def image_shape(shape: tuple[int, ...], pixels: int) -> tuple[int, int]:
    """Return height and width of images (n, height, width), or (n, n_pixels) if square.

    Raise ValueError for other shapes, or if shifts by `pixels` could leave nothing of an image.
    """
    side = isqrt(prod(shape[1:]))
    found = (shape[1], shape[2]) if len(shape) == 3 else (side, side)
    if prod(found) != prod(shape[1:]):
        rule = "must have the shape (n, height, width), or be square, for `augment`"
        msg = f"`images` {rule}; got the shape {shape}"
        raise ValueError(msg)
    if pixels >= min(found):
        msg = f"`augment` must be below {min(found)} pixels, the image size; got {pixels}"
        raise ValueError(msg)
    return found
