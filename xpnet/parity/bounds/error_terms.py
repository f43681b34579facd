"""Parts of the error of a stage's values, and the weights by which they propagate."""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.networks.dense import Dense

__all__ = [
    "Floats",
    "PreactivationErrors",
    "StageErrors",
    "WeightNorms",
    "count_nonzero",
    "finite_or_zero",
    "lengths",
    "product",
    "root_of_squares",
]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class StageErrors:
    """Error bounds of the values of a stage, for a chunk of n rows, and the parts of the errors.

    Arrays are of shape (n, width) or (n, 1).
    """

    sizes: Floats  # (n, width): absolute true values; 0 for NaN and infinities
    bound: Floats  # (n, width): of each value's error, all parts together
    n_live: Floats  # (n, 1): number of values that may be nonzero
    # (n, width): standard deviation of the part that is independent from value to value.
    spread: Floats | None
    # (n, 1): largest standard deviation, in any direction, of the dependent rounding errors.
    common: Floats
    # Relative size of the part that is no independent rounding error, but proportional.
    relative: float
    drift: Floats  # (n, 1): Euclidean length of the part that is neither


@dataclass(frozen=True)
class PreactivationErrors:
    """Error bounds of ``z = y @ weight + bias``, and the parts of the errors.

    As in `StageErrors`, and by value, of shape (n, width): `spreads` is the standard deviation of
    the dependent part, bounded by `common`; `drifts` is the part that is no rounding error,
    whose length `drift` bounds.
    """

    bound: Floats
    spread: Floats
    spreads: Floats | None
    common: Floats
    drifts: Floats
    drift: Floats


def root_of_squares(a: Floats, b: Floats) -> Floats:
    """Return sqrt(a^2 + b^2), or up to 8% more, without a square that could underflow."""
    total = np.minimum(a, b)
    total *= total.dtype.type(math.sqrt(2.0) - 1.0)
    total += np.maximum(a, b)
    return total


def count_nonzero(x: Floats) -> Floats:
    """Return the number of nonzeros in each row of nonnegative numbers."""
    return np.sum((x > 0.0).astype(x.dtype), axis=1, keepdims=True)


def product(slope: Floats, bound: Floats) -> Floats:
    """Return slope * bound, and 0 where the bound is 0, even if the slope is infinite."""
    moved = slope * bound
    return moved if np.max(moved, initial=0.0) < np.inf else np.where(bound > 0.0, moved, 0.0)


def finite_or_zero(x: Floats) -> Floats:
    """Return x with NaN and infinities replaced by 0."""
    return x if math.isfinite(float(np.sum(x))) else np.where(np.isfinite(x), x, 0.0)


def lengths(x: Floats) -> Floats:
    """Return the Euclidean length of each row of nonnegative numbers."""
    # In units of the largest, since squares could underflow.
    largest = np.max(x, axis=1, keepdims=True)
    x = x / np.where(largest > 0.0, largest, np.ones_like(largest))
    return largest * np.sqrt(np.vecdot(x, x))[:, None]


class WeightNorms:
    """Absolute parameters of a layer and norms of its weight, computed once for all rows."""

    def __init__(self, layer: Dense, dtype: Any) -> None:
        self.layer = layer
        self.bias = np.abs(layer.bias).astype(dtype)
        # Sums of sizes and squares are rounded too: the weights are raised by their loss.
        raised = 1.0 + 2.0 * layer.n_in * float(np.finfo(dtype).eps)
        sizes = np.abs(layer.weight) * raised
        self.sizes = sizes.astype(dtype)
        # In units of the largest, so that they neither overflow nor underflow.
        self.largest = float(np.max(sizes)) or 1.0
        self.squares = ((sizes / self.largest) ** 2 * raised).astype(dtype)
        self.square_sums = np.sum(self.squares, axis=0)
        self.lengths = self.largest * np.sqrt(self.square_sums)
        self.largest_sum = float(np.max(np.sum(self.sizes, axis=0)))
        self.norm = spectral_bound(layer.weight)

    def propagated(self, spread: Floats, common: Floats) -> Floats:
        """Return standard deviations of ``errors @ weight``, from independent and common ones."""
        # In units of the largest, since squares could underflow.
        largest = np.maximum(np.max(spread, axis=1, keepdims=True), common)
        unit = np.where(largest > 0.0, largest, np.ones_like(largest))
        shares, common = spread / unit, common / unit
        shares *= shares
        squares = shares @ self.squares
        squares += common * common * self.square_sums
        deviations: Floats = np.sqrt(squares, out=squares)
        deviations *= unit * unit.dtype.type(self.largest)
        return deviations


def spectral_bound(weight: Floats) -> float:
    """Return a close upper bound of a matrix's largest singular value.

    The Frobenius norm of a matrix is at least its largest singular value. The Frobenius norm of
    the Gram matrix, squared three times, is the 16th power of that value, or slightly more.
    """
    scale = float(np.max(np.abs(weight), initial=0.0))
    if scale == 0.0:
        return 0.0
    weight = (weight / scale).astype(np.float32)
    gram = weight.T @ weight if weight.shape[0] > weight.shape[1] else weight @ weight.T
    power = 0.5
    norm = math.log(scale)
    for _ in range(3):
        size = float(np.linalg.norm(gram))
        norm += power * math.log(size)
        gram = gram / np.float32(size)
        gram = gram @ gram
        power /= 2.0
    norm += power * math.log(float(np.linalg.norm(gram)))
    # The products are in float32.
    return float(np.exp(norm)) * (1.0 + 1e-6 * max(weight.shape))
