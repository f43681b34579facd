"""The formulas of one variable in float64, for a whole block of inputs at once.

They hold wherever the input is finite, and keep the digits of every tail.
"""

import math
from functools import cached_property
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

special = import_module("scipy.special")  # which has no types

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
GELU_CUBIC = 0.044715
SHRINK = 0.5
# Below this, x - tanh(x) loses more digits than the series does by ending.
TANH_SHRINK_SERIES_BELOW = 0.05
TANH_SHRINK_SERIES = (1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075)


class Inputs:
    """A block of inputs in float64, with the intermediate results that formulas share.

    Parameters
    ----------
    x : array of float64
        The inputs, exactly.
    """

    def __init__(self, x: F64) -> None:
        self.x = x

    @cached_property
    def tail(self) -> F64:
        """exp(-abs(x)), which cannot overflow."""
        return np.exp(-np.abs(self.x))

    @cached_property
    def log1p_tail(self) -> F64:
        """log(1 + exp(-abs(x)))."""
        return np.log1p(self.tail)

    @cached_property
    def expit(self) -> F64:
        """1 / (1 + exp(-x))."""
        return expit(self.x, self.tail)

    @cached_property
    def expm1(self) -> F64:
        """exp(x) - 1."""
        return np.expm1(self.x)

    @cached_property
    def tanh(self) -> F64:
        """The hyperbolic tangent."""
        return np.tanh(self.x)


def expit(x: F64, tail: F64) -> F64:
    """1 / (1 + exp(-x)), with tail = exp(-abs(x))."""
    return np.where(x >= 0, 1.0, tail) / (1.0 + tail)


def elu(t: Inputs) -> F64:
    """Return x above 0, and exp(x) - 1 elsewhere."""
    return np.where(t.x > 0, t.x, t.expm1)


def gelu(t: Inputs) -> F64:
    """Return x times the normal distribution function."""
    values: F64 = 0.5 * t.x * special.erfc(t.x * -math.sqrt(0.5))
    return values


def gelu_tanh(t: Inputs) -> F64:
    """Return gelu's approximation by tanh."""
    # (1 + tanh(u)) / 2 is the sigmoid of 2u, which keeps the digits of the negative tail.
    doubled = math.sqrt(8 / math.pi) * (t.x + GELU_CUBIC * t.x * t.x * t.x)
    return t.x * expit(doubled, np.exp(-np.abs(doubled)))


def mish(t: Inputs) -> F64:
    """Return x * tanh(log(1 + exp(x)))."""
    # tanh(log(1 + e)) is (e^2 + 2 e) / (e^2 + 2 e + 2); for x > 0 both are divided by e^2.
    n = t.tail
    upper = np.where(t.x >= 0, 1.0 + 2.0 * n, n * (n + 2.0))
    return t.x * (upper / (upper + np.where(t.x >= 0, 2.0 * n * n, 2.0)))


def squareplus(t: Inputs) -> F64:
    """Return (x + sqrt(x^2 + 4)) / 2."""
    root = np.sqrt(t.x * t.x + 4.0)
    # Each denominator is kept from the cancellation of the half where it is not used.
    return np.where(t.x >= 0, (t.x + root) / 2.0, 2.0 / (root + np.abs(t.x)))


def tanh_shrink(t: Inputs) -> F64:
    """Return x - tanh(x)."""
    values = t.x - t.tanh
    near = np.flatnonzero(np.abs(t.x) < TANH_SHRINK_SERIES_BELOW)
    if near.size:
        x = t.x[near]
        squared = x * x
        values[near] = np.polyval(TANH_SHRINK_SERIES[::-1], squared) * squared * x
    return values


def sparse_plus(t: Inputs) -> F64:
    """Return 0 up to -1, x from 1 on, and (x + 1)^2 / 4 between them."""
    inside = np.clip(t.x, -1.0, 1.0) + 1.0
    return np.where(t.x >= 1, t.x, inside * inside / 4.0)


def hard_sigmoid(t: Inputs) -> F64:
    """Return (x + 3) / 6 between 0 and 1."""
    return np.clip(t.x + 3.0, 0.0, 6.0) / 6.0
