"""More images from the same ones: a digit that moved by a pixel is still that digit."""

from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["image_shape", "shift"]


def image_shape(shape: tuple[int, ...], /) -> tuple[int, int]:
    """Return (height, width) of images from the shape of their array.

    Parameters
    ----------
    shape : tuple of int
        (n, height, width), or (n, n_pixels) for square images.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if len(shape) == 3:  # noqa: PLR2004 (n, height, width)
        return shape[1], shape[2]
    side = isqrt(prod(shape[1:]))
    if side * side != prod(shape[1:]):
        msg = f"`images` must be (n, height, width) or square to be shifted; got the shape {shape}"
        raise ValueError(msg)
    return side, side


def shift(
    rows: NDArray[Any], shape: tuple[int, int], pixels: int, random: np.random.Generator
) -> NDArray[Any]:
    """Return images, each moved by up to `pixels` in both directions; zeros move in.

    Parameters
    ----------
    rows : array of shape (n, height * width)
    shape : (height, width)
    pixels : int
        Each move, from -pixels to pixels, is as likely as any other.
    random : numpy.random.Generator

    Returns
    -------
    array
        Like `rows`.
    """
    margins = ((0, 0), (pixels, pixels), (pixels, pixels))
    padded = np.pad(rows.reshape(-1, *shape), margins)
    windows = np.lib.stride_tricks.sliding_window_view(padded, shape, axis=(1, 2))
    down, right = random.integers(0, 2 * pixels + 1, (2, len(rows)))
    return windows[np.arange(len(rows)), down, right].reshape(rows.shape)
