"""Augmentation of training images: random shifts."""

from dataclasses import dataclass
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory

__all__ = ["Augmentation", "image_shape"]

# All intermediate results of this number of images fit in the cache.
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class Augmentation:
    """Random shifts of images of shape (height, width).

    Vertical and horizontal shifts from -pixels to pixels are equally likely. Pixels that come in at
    the edges have the value `background`.
    """

    shape: tuple[int, int]
    pixels: int
    background: float = 0.0

    def __post_init__(self) -> None:
        most = min(self.shape)
        if not 0 <= self.pixels < most:
            rule = f"must be from 0 to below {most} pixels, the image size"
            msg = f"`augment` {rule}; got {self.pixels}"
            raise ValueError(msg)

    def __call__(self, rows: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """Return shifted copies of `rows`, of shape (n, height * width)."""
        keep_freed_memory()
        made = np.empty_like(rows)
        starts = range(0, len(rows), _ROWS_AT_A_TIME)
        for start, own in zip(starts, random.spawn(len(starts)), strict=True):
            part = slice(start, start + _ROWS_AT_A_TIME)
            made[part] = self._shifted(rows[part], own)
        return made

    def _shifted(self, rows: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """Return copies of a few rows, each shifted at random."""
        pixels = self.pixels
        margins = ((0, 0), (pixels, pixels), (pixels, pixels))
        padded = np.pad(rows.reshape(-1, *self.shape), margins, constant_values=self.background)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.shape, axis=(1, 2))
        down, right = random.integers(0, 2 * pixels + 1, (2, len(rows)))
        return windows[np.arange(len(rows)), down, right].reshape(rows.shape)


def image_shape(shape: tuple[int, ...], /) -> tuple[int, int]:
    """Return the height and width of images (n, height, width), or (n, n_pixels) if square."""
    if len(shape) == 3:
        return shape[1], shape[2]
    side = isqrt(prod(shape[1:]))
    if side * side != prod(shape[1:]):
        rule = "must have the shape (n, height, width), or be square, for `augment`"
        msg = f"`images` {rule}; got the shape {shape}"
        raise ValueError(msg)
    return side, side
