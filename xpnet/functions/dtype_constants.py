"""Constants of the mathematics for float32 and float64: limits and polynomial coefficients.

The polynomials are fitted by ``tests/functions/tables/fit_polynomials.py``.
"""

from typing import Any, NamedTuple

from xpnet.arrays.namespace import limits_of

__all__ = ["TAIL_BEND", "DtypeConstants", "constants_of"]

TAIL_BEND = 0.4375  # few bits, and errors of the argument nearly cancel in the tail's product


class DtypeConstants(NamedTuple):
    """Limits and polynomials (coefficients, lowest power first) of one floating-point dtype."""

    largest_exponent: float  # the largest number whose exponential is finite
    # A smaller number, where exp is accurate: exp(safe_exponent) can be doubled, and its inverse
    # is below the smallest normal number.
    safe_exponent: float
    # Numbers up to 11 (float64: 22) that are rounded to multiples of 1 / grid have so few bits
    # that their squares, and the products of these with 9 bits, are exact.
    grid: float
    largest_selu: float  # the largest number whose selu is finite
    # Q(t) exp(t^2 / 2) (1 + b t) in w = t / (1 + b t) - 1, where Q is the upper tail of the
    # standard normal distribution and b is TAIL_BEND.
    tail: tuple[float, ...]


def constants_of(x: Any, xp: Any) -> DtypeConstants:
    """Return the constants for a float32 or float64 array."""
    return DTYPE_CONSTANTS[int(limits_of(x.dtype, xp).bits)]


# fmt: off
DTYPE_CONSTANTS = {
    32: DtypeConstants(
        largest_exponent=88.72283172607422,
        safe_exponent=87.75,
        grid=16.0,
        largest_selu=3.2386221488365256e38,
        tail=(
            0.32564449563615566, -0.15855597488114703, 0.0257690815134308, 0.009005374253505546,
            -0.0021228175465285624, -0.0012692546358132539, 1.9081890168770888e-05,
            0.00018613017440802988, 5.050897173608695e-05, -1.5818863310636256e-05,
            -9.896035064521566e-06,
        ),
    ),
    64: DtypeConstants(
        largest_exponent=709.782712893384,
        safe_exponent=709.0,
        grid=256.0,
        largest_selu=1.7109464600266028e308,
        tail=(
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
    ),
}
# fmt: on
