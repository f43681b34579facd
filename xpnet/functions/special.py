"""Special functions missing from the array API standard: erf and the normal distribution's tail.

They use arithmetic, exp and expm1 only.
"""

import math
from collections.abc import Sequence
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded
from xpnet.functions.activation import Activation, OnnxOperator, UlpBounds
from xpnet.functions.dtype_constants import TAIL_BEND, constants_of

__all__ = ["erf"]


def erf(x: ArrayT, /) -> ArrayT:
    """Error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, in [-1, 1].

    Computed as 1 - exp(-v) by expm1, where v = -log(1 - erf) is a polynomial times the argument:
    one formula for small and large arguments. The error is at most, in float32 and float64: 4 and 3
    ULP on NumPy, 4 and 3 on torch, 7 and 6 on JAX.

    Examples
    --------
    >>> erf([-1000.0, 0.0, 1.0]).round(6)
    array([-1.      ,  0.      ,  0.842701])
    """
    return apply(_erf, x)


def _erf(x: Any, xp: Any) -> Any:
    constants = constants_of(x, xp)
    end = constants.erf_end
    z = bounded(x, xp, -end, end)
    # The bound makes z / t the sign, or x / 1e-18 near 0; JAX squares t to differentiate.
    t = bounded(xp.maximum(z, -z), xp, low=1e-18)
    return xp.divide(z, t) * -xp.expm1(-t * polynomial(constants.erf, t))


def _erf_derivative(x: Any, _y: Any, xp: Any) -> Any:
    z = bounded(x, xp, -40.0, 40.0)
    return (2.0 / math.sqrt(math.pi)) * xp.exp(-z * z)


ERF = Activation(
    _erf,
    derivative=_erf_derivative,
    turns=(0.0,),
    ulp=UlpBounds(numpy=(4, 3), torch=(4, 3), jax=(7, 6)),
    onnx=OnnxOperator("Erf", 9),
)


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return the sum of coefficients[i] * x**i, by Horner's rule."""
    *rest, y = coefficients
    for coefficient in reversed(rest):
        y = y * x + coefficient
    return y


def product_with_error(factor: float, x: Any, xp: Any) -> tuple[Any, Any]:
    """Return factor * x as the rounded product and its rounding error.

    Dekker's algorithm: both factors are split into halves whose products are exact.

    A compiler for GPUs may fuse a product with a sum, which skips the rounding of the product. This
    changes nothing if the product is exact, or if the sum adds 0, as in `rounded`.
    """
    bits = constants_of(x, xp).half_bits
    shift = 2.0 ** (bits - math.frexp(factor)[1])
    high = round(factor * shift) / shift
    low = factor - high
    scaled = 2.0**bits * x + x
    x_high = scaled - (scaled - x)
    x_low = x - x_high
    rounded = factor * x + 0.0
    return rounded, ((high * x_high - rounded) + high * x_low + low * x_high) + low * x_low


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
