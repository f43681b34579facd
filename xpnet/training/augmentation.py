"""Augmentation of training images: random shifts and distortions."""

from dataclasses import dataclass
from math import isqrt, pi, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import blas_threads, one_blas_thread
from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.thread_pool import run_tasks

__all__ = ["Augmentation", "distort", "has_blank_edges", "image_shape", "shift"]

# Highest number of half periods along each side of an image: shorter waves would tear strokes.
_N_WAVES = 4
# All intermediate results of this number of images fit in the cache.
_ROWS_AT_A_TIME = 256
# A shift improves digits of 16 x 16 pixels, and harms those of 8 x 8: a pixel is too much of them.
_SMALLEST_SIDE = 16
# On MNIST, the mean of the edges is 0.001 of that of all pixels; for a table, it is about 1.
_BLANK = 0.1


@dataclass(frozen=True)
class Augmentation:
    """Random shift and distortion of images of shape (height, width).

    `pixels` is the maximum shift, both vertically and horizontally, `distortion` the strength of
    `distort` in pixels, and `background` the value of the pixels beyond the edges.
    """

    shape: tuple[int, int]
    pixels: int = 0
    distortion: float = 0.0
    background: float = 0.0

    def __post_init__(self) -> None:
        most = min(self.shape)
        for name, value in (("augment", self.pixels), ("distort", self.distortion)):
            if not 0 <= value < most:
                msg = f"`{name}` must be from 0 to below {most} pixels, the image size; got {value}"
                raise ValueError(msg)

    def __call__(self, rows: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """Return augmented copies of `rows`, of shape (n, height * width).

        Parts are computed in parallel by as many threads as BLAS has. Each part has its own
        random generator, so the result does not depend on the number of threads.
        """
        keep_freed_memory()
        waves, made = Waves(self.shape), np.empty_like(rows)
        starts = range(0, len(rows), _ROWS_AT_A_TIME)

        def make(part: tuple[int, np.random.Generator]) -> None:
            start, own = part
            some = rows[start : start + _ROWS_AT_A_TIME]
            if self.distortion:
                some = distort(some, waves, self.distortion, own, self.background)
            if self.pixels:
                some = shift(some, self.shape, self.pixels, own, self.background)
            made[start : start + _ROWS_AT_A_TIME] = some

        n_threads = min(blas_threads(), len(starts))
        with one_blas_thread():
            run_tasks(make, zip(starts, random.spawn(len(starts)), strict=True), n_threads)
        return made


def image_shape(shape: tuple[int, ...], /) -> tuple[int, int]:
    """Return the height and width of images (n, height, width), or (n, n_pixels) if square."""
    if len(shape) == 3:
        return shape[1], shape[2]
    side = isqrt(prod(shape[1:]))
    if side * side != prod(shape[1:]):
        rule = "must have the shape (n, height, width), or be square, for `augment` and `distort`"
        msg = f"`images` {rule}; got the shape {shape}"
        raise ValueError(msg)
    return side, side


def has_blank_edges(images: NDArray[Any], /) -> bool:
    """Return whether a shift by a pixel moves pictures against a blank background.

    True for bytes, in rows of square images or of shape (n, height, width), of at least 16 x 16
    pixels, whose outermost pixels are nearly all 0, unlike the columns of a table.
    """
    try:
        shape = image_shape(images.shape)
    except ValueError:
        return False
    if images.dtype != np.uint8 or min(shape) < _SMALLEST_SIDE or not len(images):
        return False
    means = images.reshape(len(images), -1).mean(axis=0).reshape(shape)
    edges = means[0], means[-1], means[:, 0], means[:, -1]
    return bool(np.concatenate(edges).mean() < _BLANK * means.mean())


def shift(
    rows: NDArray[Any],
    shape: tuple[int, int],
    pixels: int,
    random: np.random.Generator,
    background: float = 0.0,
) -> NDArray[Any]:
    """Shift images of shape (n, height * width), each at random.

    Vertical and horizontal shifts from -pixels to pixels are equally likely. Pixels that come in at
    the edges have the value `background`. Shape and dtype are kept.
    """
    margins = ((0, 0), (pixels, pixels), (pixels, pixels))
    padded = np.pad(rows.reshape(-1, *shape), margins, constant_values=background)
    windows = np.lib.stride_tricks.sliding_window_view(padded, shape, axis=(1, 2))
    down, right = random.integers(0, 2 * pixels + 1, (2, len(rows)))
    return windows[np.arange(len(rows)), down, right].reshape(rows.shape)


class Waves:
    """Random smooth displacements of pixels: sums of products of cosines along both sides.

    The longest waves, half a period, rotate, stretch and shear an image. The shorter ones have
    smaller amplitudes and bend it. `shape` is (height, width).
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = height, width = shape
        orders = np.arange(_N_WAVES)
        down, right = (
            np.cos(pi * orders[:, None] * (np.arange(n) + 0.5) / n) for n in (height, width)
        )
        sizes = 1.0 / (1.0 + orders[:, None] ** 2 + orders**2)
        sizes[0, 0] = 0.0  # would be a shift
        waves = sizes[:, :, None, None] * down[:, None, :, None] * right[None, :, None, :]
        self._waves = waves.reshape(-1, height * width).astype(np.float32)
        self._grid = np.indices(shape).reshape(2, -1).astype(np.float32)

    def coordinates(
        self, n: int, strength: float, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the source row and column of each pixel of `n` images."""
        sizes = strength * random.standard_normal((2 * n, len(self._waves)), np.float32)
        moved = (sizes @ self._waves).reshape(2, n, -1)
        moved += self._grid[:, None, :]
        return moved[0], moved[1]


def distort(
    rows: NDArray[Any],
    waves: Waves,
    strength: float,
    random: np.random.Generator,
    background: float = 0.0,
) -> NDArray[Any]:
    """Rotate, stretch, shear and bend each image at random.

    Shape, (n, height * width), and dtype are kept. Values between pixels are interpolated linearly
    along both sides, and rounded for integer dtypes. `strength` is the standard deviation of the
    amplitude of the longest waves, in pixels; pixels beyond the edges have the value `background`.

    P. Y. Simard, D. Steinkraus, J. C. Platt, "Best practices for convolutional neural networks
    applied to visual document analysis", ICDAR 2003, DOI 10.1109/ICDAR.2003.1227801.
    """
    (height, width), n = waves.shape, len(rows)
    # Coordinates are clipped to a margin of one pixel, which holds the background.
    margins = ((0, 0), (1, 2), (1, 2))
    padded = np.pad(rows.reshape(n, height, width), margins, constant_values=background)
    values = padded.reshape(-1).astype(np.float32)
    wholes, shares = [], []
    for place, size in zip(waves.coordinates(n, strength, random), (height, width), strict=True):
        share = np.clip(place + 1.0, 0.0, size + 1.0)
        wholes.append(np.floor(share))
        share -= wholes[-1]
        shares.append(share)
    starts = np.arange(n)[:, None] * ((height + 3) * (width + 3))
    index = (wholes[0] * (width + 3) + wholes[1]).astype(np.intp) + starts
    down, right = shares
    upper, lower = (_between(values, index + step, right) for step in (0, width + 3))
    lower -= upper
    lower *= down
    lower += upper
    if rows.dtype.kind in "biu":
        np.rint(lower, out=lower)
    return lower.astype(rows.dtype)


def _between(
    values: NDArray[np.float32], index: NDArray[np.intp], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate linearly between each value and the next one."""
    first = np.take(values, index, mode="clip")  # indices are in range: skips the check
    index += 1
    between = np.take(values, index, mode="clip")
    between -= first
    between *= share
    between += first
    return between
