"""GELU, with tails that keep all digits far below 0, where 1 + erf and 1 + tanh lose them."""

import math
from typing import Any

from xpnet.arrays.namespace import bounded, cast, limits_of
from xpnet.functions.activation import OnnxOperator, activation, one_of
from xpnet.functions.polynomial import polynomial
from xpnet.functions.sigmoids import exp_and_mask, sigmoid

__all__ = ["gelu"]

# Coefficients of Q(t) exp(t^2 / 2) (1 + b t) in w = t / (1 + b t) - 1, lowest power first, where Q
# is the upper tail of the standard normal distribution and b is the bend; by bits of the dtype.
# benchmarks/polynomials.py computes them.
_BEND = 0.4375  # few bits, and errors of the argument nearly cancel in the tail's product
# fmt: off
_TAIL = {
    32: (
        0.32564449563615566, -0.15855597488114703, 0.0257690815134308, 0.009005374253505546,
        -0.0021228175465285624, -0.0012692546358132539, 1.9081890168770888e-05,
        0.00018613017440802988, 5.050897173608695e-05, -1.5818863310636256e-05,
        -9.896035064521566e-06,
    ),
    64: (
        0.32564449600874307, -0.1585559610912199, 0.025769049237021276, 0.00900508541566719,
        -0.0021223954638388636, -0.0012674887810436358, 1.7151965067640004e-05,
        0.0001814332103120024, 5.43262195871399e-05, -9.655564106827402e-06,
        -1.3082666411967086e-05, -3.978232331419146e-06, 5.63775410554303e-07,
        1.0438199297927172e-06, 4.3383787345354335e-07, 2.281690405771183e-08,
        -7.818224184488658e-08, -4.8459461509325916e-08, -1.2211425526250775e-08,
        8.281697972828543e-11, 3.20606874064984e-09, 4.735264253094676e-09,
        1.7297665827261948e-09, -1.3880247678325598e-09, -8.184559406989939e-10,
        2.0035844226998117e-10, 1.1006321956369265e-10, -1.7837135685579878e-11,
    ),
}
# fmt: on


def _gelu_derivative(x: Any, y: Any, xp: Any, *, approximate: str = "none") -> Any:
    """Return Phi(x) + x Phi'(x), where Phi is the exact or the approximate CDF."""
    z = bounded(x, xp, -40.0, 40.0)
    if approximate == "none":
        t = bounded(xp.abs(z), xp, low=1e-18)
        tail = xp.divide(_normal_tail(t, xp), t)
        is_above = cast(z > 0.0, z.dtype, xp)
        density = xp.divide(xp.exp(-0.5 * z * z), math.sqrt(2.0 * math.pi))
        return is_above + (1.0 - 2.0 * is_above) * tail + z * density
    rate = math.sqrt(8.0 / math.pi)
    gate = sigmoid.formula(rate * (z + 0.044715 * z * z * z), xp)
    slope = rate * (1.0 + 0.134145 * z * z)
    return gate + bounded(y, xp, high=40.0) * (1.0 - gate) * slope


@activation(
    derivative=_gelu_derivative,
    is_rectifier=True,
    # Of the exact form, at sqrt(2), and of the tanh form.
    turns=(-1.4185040087908284, -math.sqrt(2.0), math.sqrt(2.0), 1.4185040087908284),
    options={"approximate": one_of("none", "tanh")},
    ulp=(6, 5),
    onnx=OnnxOperator("Gelu", 20, {"approximate": "approximate"}, defaults={"approximate": "none"}),
    torch="GELU",
    keras="gelu",
)
def gelu(x: Any, xp: Any, *, approximate: str = "none") -> Any:
    """Gaussian error linear unit, x * Phi(x), where Phi is the standard normal CDF.

    At least -0.17; -inf gives 0. Both forms are max(x, 0) minus abs(x) times a tail. The rounding
    error of the exponent, which exp would amplify, is corrected for (Hendrycks and Gimpel 2016,
    arXiv:1606.08415).

    Parameters
    ----------
    x : array of real numbers, or number
    approximate : {"none", "tanh"}, default "none"
        "tanh" for x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), which differs by less than
        5e-4. The strings and the default are those of torch. Keras has a boolean, and the default
        of JAX is the tanh form.

    Examples
    --------
    >>> gelu([-1000.0, 0.0, 1.0]).round(6) + 0.0
    array([0.      , 0.      , 0.841345])
    """
    t = bounded(xp.maximum(x, -x), xp, high=40.0)  # abs(x), whose derivative at 0 is 1 in JAX
    tail = _normal_tail(t, xp) if approximate == "none" else _logistic_tail(t, xp)
    return bounded(x, xp, low=0.0) - tail


def _normal_tail(t: Any, xp: Any) -> Any:
    """Return t * Q(t) for 0 <= t <= 40, where Q is the upper tail of the standard normal.

    It is u * p(u - 1) * exp(-t^2 / 2) with u = t / (1 + b t) and a polynomial p. The rounding
    error of the square, which exp would amplify, is a correction of the polynomial: products with
    the exponential could be so small that a library flushes them to 0.
    """
    # So few bits that its square is exact, in float32 up to 16, where exp gives 0.
    coarse = xp.round(t * 256.0) * (1.0 / 256.0)
    fine = t - coarse
    high = 0.5 * coarse * coarse
    low = fine * (coarse + 0.5 * fine)
    exponent = high + low
    rounded_off = (high - exponent) + low
    u = xp.divide(t, 1.0 + _BEND * t)
    w = u - 1.0
    constant, *rest = _TAIL[limits_of(t.dtype, xp).bits]
    bent = w * polynomial(rest, w)
    return u * (constant + (bent - rounded_off * (constant + bent))) * xp.exp(-exponent)


# A = 2 sqrt(2 / pi) and B = 0.044715 A: the tanh form is x * sigmoid(A x + B x^3). Each is split
# in two; the first part has so few bits that its products with rounded numbers are exact.
_B = 0.07135481627260025
_A_HIGH, _A_LOW = 1.595703125, 6.599660573071176e-05
_B_HIGH, _B_LOW = 0.0714111328125, -5.631653989975122e-05


def _logistic_tail(t: Any, xp: Any) -> Any:
    """Return t / (1 + exp(A t + B t^3)) for 0 <= t <= 40."""
    # Multiples of 1 / grid have so few bits that their squares, and the products of these with 10
    # bits, are exact up to 10, in float64 up to 22; beyond, the result is 0.
    grid = 16.0 if limits_of(t.dtype, xp).bits == 32 else 256.0
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
    growth, mask = exp_and_mask(exponent, xp)
    return xp.divide((t - t * rounded_off) * mask, 1.0 + growth)
