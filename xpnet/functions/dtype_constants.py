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
    half_bits: int  # half of the bits of the significand, rounded up
    # Numbers up to 11 (float64: 22) that are rounded to multiples of 1 / grid have so few bits
    # that their squares, and the products of these with 9 bits, are exact.
    grid: float
    largest_selu: float  # the largest number whose selu is finite
    erf_end: float  # from here on, erf rounds to 1
    erf: tuple[float, ...]  # -log(1 - erf(t)) / t for 0 <= t <= erf_end, in t
    # Q(t) exp(t^2 / 2) (1 + b t) in w = t / (1 + b t) - 1, where Q is the upper tail of the
    # standard normal distribution and b is TAIL_BEND.
    tail: tuple[float, ...]
    tanh_remainder: tuple[float, ...]  # (t - tanh(t)) / t^3 for 0 <= t <= 1, in t^2


def constants_of(x: Any, xp: Any) -> DtypeConstants:
    """Return the constants for a float32 or float64 array."""
    return DTYPE_CONSTANTS[int(limits_of(x.dtype, xp).bits)]


# fmt: off
DTYPE_CONSTANTS = {
    32: DtypeConstants(
        largest_exponent=88.72283172607422,
        safe_exponent=87.75,
        half_bits=12,
        grid=16.0,
        largest_selu=3.2386221488365256e38,
        erf_end=3.92,
        erf=(
            1.1283791672200127, 0.6366197873638085, 0.10277127156599937, -0.019113859170377424,
            -0.00027171574933725984, 0.001836922906328002, -0.0007804703728388034,
            0.00019135887710497102, -2.9490326800774905e-05, 2.652859378972219e-06,
            -1.064180761862213e-07,
        ),
        tail=(
            0.32564449563615566, -0.15855597488114703, 0.0257690815134308, 0.009005374253505546,
            -0.0021228175465285624, -0.0012692546358132539, 1.9081890168770888e-05,
            0.00018613017440802988, 5.050897173608695e-05, -1.5818863310636256e-05,
            -9.896035064521566e-06,
        ),
        tanh_remainder=(
            0.3333333315672231, -0.133333106555451, 0.05396341475443884, -0.02182954884305937,
            0.008697847592814879, -0.003206803386846565, 0.0009235008463481761,
            -0.00014279318799621565,
        ),
    ),
    64: DtypeConstants(
        largest_exponent=709.782712893384,
        safe_exponent=709.0,
        half_bits=27,
        grid=256.0,
        largest_selu=1.7109464600266028e308,
        erf_end=5.95,
        erf=(
            1.1283791670955126, 0.6366197723675759, 0.10277260330223842, -0.019128447015855653,
            -0.0002091945552692708, 0.0016962052628315674, -0.000590119442711976,
            2.585483854023168e-05, 6.456054539971602e-05, -2.987577533991069e-05,
            3.6689731942614684e-06, 2.4769196297857814e-06, -1.3475623883429109e-06,
            -1.5136914545543796e-08, 3.933768378193233e-07, -2.950843935413531e-07,
            1.4132434311521205e-07, -5.1718141058545014e-08, 1.532833209952656e-08,
            -3.770486121293546e-09, 7.777312116709035e-10, -1.348774504210989e-10,
            1.9616326004894064e-11, -2.3759941643301373e-12, 2.369248972928487e-13,
            -1.9117384768308042e-14, 1.2169993700883976e-15, -5.881953379901596e-17,
            2.0277827280567077e-18, -4.4408873755548366e-20, 4.64178839899308e-22,
        ),
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
        tanh_remainder=(
            0.3333333333333333, -0.1333333333333309, 0.05396825396804637, -0.02186948852912909,
            0.008863235404578283, -0.003592126679366341, 0.0014558246920964941,
            -0.0005899792946300052, 0.00023895705228738225, -9.646277743313181e-05,
            3.8389607893147334e-05, -1.4606131676715378e-05, 4.987760317520347e-06,
            -1.3791814499083342e-06, 2.6330772232959337e-07, -2.5155023659382105e-08,
        ),
    ),
}
# fmt: on
