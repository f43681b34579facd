"""What the propagation of errors asks of a layer's weights."""

import math
from typing import Any

import numpy as np

from xpnet.networks.dense import Dense
from xpnet.parity.bounds.error_terms import Array

__all__ = ["Weights", "spectral_bound"]


class Weights:
    """What the propagation asks of a layer's parameters, computed once."""

    def __init__(self, layer: Dense, dtype: Any) -> None:
        self.layer = layer
        self.bias = np.abs(layer.bias).astype(dtype)
        # Sums of sizes and squares are rounded too: what they may lose is added before.
        may_lose = 1.0 + 2.0 * layer.n_in * float(np.finfo(dtype).eps)
        sizes = np.abs(layer.weight) * may_lose
        self.sizes = sizes.astype(dtype)
        # In units of the largest, so that they neither overflow nor vanish.
        self.largest = float(np.max(sizes)) or 1.0
        self.squares = ((sizes / self.largest) ** 2 * may_lose).astype(dtype)
        self.square_sums = np.sum(self.squares, axis=0)
        self.lengths = self.largest * np.sqrt(self.square_sums)
        self.largest_sum = float(np.max(np.sum(self.sizes, axis=0)))
        self.norm = spectral_bound(layer.weight)

    def passed(self, spread: Array, common: Array) -> Array:
        """Return the standard deviations, behind the weights, of errors independent and common."""
        # In units of the largest, since squares could underflow.
        largest = np.maximum(np.max(spread, axis=1, keepdims=True), common)
        unit = np.where(largest > 0.0, largest, np.ones_like(largest))
        shares, common = spread / unit, common / unit
        shares *= shares
        squares = shares @ self.squares
        squares += common * common * self.square_sums
        deviations: Array = np.sqrt(squares, out=squares)
        deviations *= unit * unit.dtype.type(self.largest)
        return deviations


def spectral_bound(weight: Array) -> float:
    """Return a number that is at least the largest singular value, and close to it.

    The Frobenius norm of a matrix is at least its largest singular value; that of the Gram matrix,
    squared three times, is its 16th power or little more.
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
