"""More images from the same ones: a digit that moved or bent a little is still that digit."""

from dataclasses import dataclass
from functools import cached_property
from math import isqrt, pi, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import blas_threads, one_blas_thread
from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.inference.thread_pool import do_all

__all__ = ["Augmentation", "distort", "image_shape", "shift"]

# Waves of up to so many half periods along each side bend an image: more would tear strokes.
_N_WAVES = 4
# Of so many images, all that is computed on the way stays in the cache.
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class Augmentation:
    """What is done to images each time that they are met.

    Attributes
    ----------
    shape : (height, width)
    pixels : int
        Images are moved by up to so many, down or up, and right or left.
    distortion : float
        Images are bent by about so many pixels.
    background : float
        What comes from outside an image.
    """

    shape: tuple[int, int]
    pixels: int = 0
    distortion: float = 0.0
    background: float = 0.0

    def __post_init__(self) -> None:
        most = min(self.shape)
        for name, value in (("augment", self.pixels), ("distort", self.distortion)):
            if not 0 <= value < most:
                msg = f"`{name}` must be from 0 to below {most} pixels, as images are; got {value}"
                raise ValueError(msg)

    def __call__(self, rows: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """Return images like `rows`, of shape (n, height * width).

        They are made in parts, several at a time, by as many threads as BLAS has. Each part draws
        from a generator of its own, so that their number makes no difference.
        """
        keep_freed_memory()
        made = np.empty_like(rows)
        starts = range(0, len(rows), _ROWS_AT_A_TIME)

        def make(part: tuple[int, np.random.Generator]) -> None:
            start, own = part
            some = rows[start : start + _ROWS_AT_A_TIME]
            if self.distortion:
                some = distort(some, self._waves, self.distortion, own, self.background)
            if self.pixels:
                some = shift(some, self.shape, self.pixels, own, self.background)
            made[start : start + _ROWS_AT_A_TIME] = some

        n_threads = min(blas_threads(), len(starts))
        with one_blas_thread():
            do_all(make, zip(starts, random.spawn(len(starts)), strict=True), n_threads)
        return made

    @cached_property
    def _waves(self) -> "Waves":
        return Waves(self.shape)


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
    if len(shape) == 3:
        return shape[1], shape[2]
    side = isqrt(prod(shape[1:]))
    if side * side != prod(shape[1:]):
        msg = (
            "`images` must be (n, height, width) or square to be moved or bent;"
            f" got the shape {shape}"
        )
        raise ValueError(msg)
    return side, side


def shift(
    rows: NDArray[Any],
    shape: tuple[int, int],
    pixels: int,
    random: np.random.Generator,
    background: float = 0.0,
) -> NDArray[Any]:
    """Return images, each moved by up to `pixels` in both directions.

    Parameters
    ----------
    rows : array of shape (n, height * width)
    shape : (height, width)
    pixels : int
        Each move, from -pixels to pixels, is as likely as any other.
    random : numpy.random.Generator
    background : float, default 0
        What moves in.

    Returns
    -------
    array
        Like `rows`.
    """
    margins = ((0, 0), (pixels, pixels), (pixels, pixels))
    padded = np.pad(rows.reshape(-1, *shape), margins, constant_values=background)
    windows = np.lib.stride_tricks.sliding_window_view(padded, shape, axis=(1, 2))
    down, right = random.integers(0, 2 * pixels + 1, (2, len(rows)))
    return windows[np.arange(len(rows)), down, right].reshape(rows.shape)


class Waves:
    """Smooth displacements of an image's pixels: products of cosines along both sides.

    The longest ones, of half a period, turn, stretch and shear an image; the shorter ones, which
    are the smaller, bend it.

    Parameters
    ----------
    shape : (height, width)
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = height, width = shape
        orders = np.arange(_N_WAVES)
        down, right = (
            np.cos(pi * orders[:, None] * (np.arange(n) + 0.5) / n) for n in (height, width)
        )
        sizes = 1.0 / (1.0 + orders[:, None] ** 2 + orders**2)
        sizes[0, 0] = 0.0  # that would be a shift
        waves = sizes[:, :, None, None] * down[:, None, :, None] * right[None, :, None, :]
        self._waves = waves.reshape(-1, height * width).astype(np.float32)
        places = np.indices(shape).reshape(2, -1)
        self._places = places.astype(np.float32)

    def places(
        self, n: int, strength: float, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return from where each pixel of `n` images is taken: how far down, how far right."""
        sizes = strength * random.standard_normal((2 * n, len(self._waves)), np.float32)
        moved = (sizes @ self._waves).reshape(2, n, -1)
        moved += self._places[:, None, :]
        return moved[0], moved[1]


def distort(
    rows: NDArray[Any],
    waves: Waves,
    strength: float,
    random: np.random.Generator,
    background: float = 0.0,
) -> NDArray[Any]:
    """Return images, each turned, stretched, sheared and bent by chance.

    Parameters
    ----------
    rows : array of shape (n, height * width)
    waves : Waves
        Of images of this height and width.
    strength : float
        In pixels: the standard deviation of the longest waves' heights, of which the shorter ones
        have a share.
    random : numpy.random.Generator
    background : float, default 0
        What comes from outside an image.

    Returns
    -------
    array
        Like `rows`. Values between pixels are interpolated linearly along both sides; of whole
        numbers they are rounded.

    References
    ----------
    P. Y. Simard, D. Steinkraus, J. C. Platt, "Best practices for convolutional neural networks
    applied to visual document analysis", ICDAR 2003, DOI 10.1109/ICDAR.2003.1227801.
    """
    (height, width), n = waves.shape, len(rows)
    # A margin, from which comes what is outside: one pixel wide, as far as anything goes.
    margins = ((0, 0), (1, 2), (1, 2))
    padded = np.pad(rows.reshape(n, height, width), margins, constant_values=background)
    values = padded.reshape(-1).astype(np.float32)
    wholes, shares = [], []
    for place, size in zip(waves.places(n, strength, random), (height, width), strict=True):
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
    """Return what is between values and the next ones, at a share of the way."""
    first = np.take(values, index, mode="clip")  # as they are within: it spares the look
    index += 1
    between = np.take(values, index, mode="clip")
    between -= first
    between *= share
    between += first
    return between
