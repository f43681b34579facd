"""The errors of a stage's values: their parts, and how such parts are put together."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Errors", "WeightedErrors", "count_live", "finite", "largest_deviation"]
__all__ += ["length", "of_unknown_kind", "product", "root_of_squares"]

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """How far the values of a stage may be off, for a tile of n rows.

    Attributes
    ----------
    sizes : array of shape (n, width)
        The absolute true values; 0 for NaN and infinities.
    bound : array of shape (n, width)
        For each value, all parts together.
    n_live : array of shape (n, 1)
        How many values may be other than zero.
    spread : array of shape (n, width), or None
        The standard deviation of the part that is independent from value to value.
    common : array of shape (n, 1)
        The largest standard deviation, in any direction, of the part that is not.
    relative : float
        Of the part that is no independent rounding error and in proportion to the values.
    drift : array of shape (n, 1)
        The Euclidean length of the part that is neither.
    """

    sizes: Array
    bound: Array
    n_live: Array
    spread: Array | None
    common: Array
    relative: float
    drift: Array


@dataclass(frozen=True)
class WeightedErrors:
    """The same for ``z = y @ weight + bias``, by value and as a whole.

    Attributes
    ----------
    bound, spread, common, drift
        As in `Errors`.
    spreads : array of shape (n, width), or None
        The standard deviation of the part that is not independent, which is `common` as a whole.
    drifts : array of shape (n, width)
        The part that is no rounding error, whose length is `drift`.
    """

    bound: Array
    spread: Array
    spreads: Array | None
    common: Array
    drifts: Array
    drift: Array


def largest_deviation(errors: Errors) -> Array:
    """Return the largest standard deviation of errors in any direction."""
    if errors.spread is None:
        return errors.common
    return np.hypot(np.max(errors.spread, axis=1, keepdims=True), errors.common)


def root_of_squares(a: Array, b: Array) -> Array:
    """Return sqrt(a^2 + b^2), or up to 8% more, without a square that could underflow."""
    total = np.minimum(a, b)
    total *= total.dtype.type(math.sqrt(2.0) - 1.0)
    total += np.maximum(a, b)
    return total


def of_unknown_kind(sizes: Array, bound: Array) -> Errors:
    """Return errors of which nothing is known but how large they are at most."""
    none = np.zeros((len(sizes), 1), sizes.dtype)
    return Errors(sizes, bound, count_live(bound), None, none, 0.0, length(finite(bound)))


def count_live(x: Array) -> Array:
    """Return how many numbers of each row are not zero: none is negative."""
    return np.sum((x > 0.0).astype(x.dtype), axis=1, keepdims=True)


def product(steepness: Array, bound: Array) -> Array:
    """Return the product, which is 0 where the bound is: no distance, however steep."""
    moved = steepness * bound
    return moved if np.max(moved, initial=0.0) < np.inf else np.where(bound > 0.0, moved, 0.0)


def finite(x: Array) -> Array:
    """Return x with 0 in place of NaN and infinities."""
    return x if math.isfinite(float(np.sum(x))) else np.where(np.isfinite(x), x, 0.0)


def length(x: Array) -> Array:
    """Return the Euclidean length of each row of numbers that are not negative."""
    # In units of the largest, since squares could underflow.
    largest = np.max(x, axis=1, keepdims=True)
    x = x / np.where(largest > 0.0, largest, np.ones_like(largest))
    return largest * np.sqrt(np.vecdot(x, x))[:, None]
