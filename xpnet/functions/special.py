"""Tails of the normal and the logistic distribution, by arithmetic and exp."""

from collections.abc import Sequence
from typing import Any

from xpnet.arrays.namespace import bounded
from xpnet.functions.dtype_constants import TAIL_BEND, constants_of

__all__ = ["logistic_tail", "normal_tail", "polynomial", "split_exp"]


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return the sum of coefficients[i] * x**i, by Horner's rule."""
    *rest, y = coefficients
    for coefficient in reversed(rest):
        y = y * x + coefficient
    return y


def normal_tail(t: Any, xp: Any) -> Any:
    """Return t * Q(t) for 0 <= t <= 40, where Q is the upper tail of the standard normal.

    It is u * p(u - 1) * exp(-t^2 / 2) with u = t / (1 + b t) and a polynomial p. The rounding
    error of the square, which exp would amplify, is a correction of the polynomial: products with
    the exponential could be so small that a library flushes them to 0.
    """
    coarse = xp.round(t * 256.0) * (1.0 / 256.0)  # so few bits that its square is exact
    fine = t - coarse
    high = 0.5 * coarse * coarse
    low = fine * (coarse + 0.5 * fine)
    exponent = high + low
    rounded_off = (high - exponent) + low
    u = xp.divide(t, 1.0 + TAIL_BEND * t)
    w = u - 1.0
    constant, *rest = constants_of(t, xp).tail
    bent = w * polynomial(rest, w)
    return u * (constant + (bent - rounded_off * (constant + bent))) * xp.exp(-exponent)


# A = 2 sqrt(2 / pi) and B = 0.044715 A: the tanh form is x * sigmoid(A x + B x^3). Each is split
# in two; the first part has so few bits that its products with rounded numbers are exact.
_B = 0.07135481627260025
_A_HIGH, _A_LOW = 1.595703125, 6.599660573071176e-05
_B_HIGH, _B_LOW = 0.0714111328125, -5.631653989975122e-05


def logistic_tail(t: Any, xp: Any) -> Any:
    """Return t / (1 + exp(A t + B t^3)) for 0 <= t <= 40."""
    grid = constants_of(t, xp).grid
    coarse = xp.round(t * grid) * (1.0 / grid)
    fine = t - coarse
    square = coarse * coarse
    factor = xp.round((_A_HIGH + _B * square) * 4096.0) * (1.0 / 4096.0)
    correction = (_B_HIGH * square - (factor - _A_HIGH)) + (_B_LOW * square + _A_LOW)
    high = factor * coarse
    # A + 3 B coarse^2 from the factor, which is A + B coarse^2 in two parts.
    slope = (3.0 * factor - 2.0 * _A_HIGH) + (
        (3.0 * correction - 2.0 * _A_LOW) + _B * fine * (3.0 * coarse + fine)
    )
    low = correction * coarse + fine * slope
    exponent = high + low
    rounded_off = (high - exponent) + low
    growth, rest = split_exp(exponent, xp)
    return xp.divide((t - t * rounded_off) * xp.exp(rest), 1.0 + growth)


def split_exp(exponent: Any, xp: Any) -> tuple[Any, Any]:
    """Return growth = exp(min(exponent, limit)) and rest = min(limit - exponent, 0).

    The limit keeps the growth finite. z * exp(rest) / (1 + growth) is accurate down to the smallest
    normal number.
    """
    limit = constants_of(exponent, xp).safe_exponent
    return xp.exp(bounded(exponent, xp, high=limit)), bounded(limit - exponent, xp, high=0.0)
