"""Coefficients of the polynomials in xpnet/functions, by mpmath.

    python benchmarks/polynomials.py

Each polynomial interpolates its function at Chebyshev points, which is within a small factor of the
best polynomial of that degree. The degree is the lowest with an error below the rounding errors.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

mp = import_module("mpmath").mp  # which has no types
mp.dps = 60
BEND = mp.mpf("0.4375")  # of `_TAIL`


def interpolate(function: Callable[[Any], Any], low: Any, high: Any, degree: int) -> list[float]:
    """Return the coefficients, lowest power first, of the polynomial through Chebyshev points."""
    low, high, n = mp.mpf(low), mp.mpf(high), degree + 1
    angles = [mp.pi * (2 * k + 1) / (2 * n) for k in range(n)]
    points = [(high + low) / 2 + (high - low) / 2 * mp.cos(angle) for angle in angles]
    powers = mp.matrix([[point**i for i in range(n)] for point in points])
    return [float(c) for c in mp.lu_solve(powers, mp.matrix(list(map(function, points))))]


def normal_tail(w: Any) -> Any:
    """Return Q(t) exp(t^2 / 2) (1 + b t), where w = t / (1 + b t) - 1."""
    t = (w + 1) / (1 - BEND * (w + 1))
    return mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2 * (1 + BEND * t)


def logarithm(z: Any) -> Any:
    """Return (log(m) / q - 2) / q^2, where q = (m - 1) / (m + 1) and z = q^2."""
    q = mp.sqrt(z)
    return 2 * (mp.atanh(q) / q - 1) / z


half = mp.log(2) / 2
for title, *given in (
    ("gelu.py, _TAIL of 32 bits", normal_tail, -1, 13.2 / (1 + BEND * 13.2) - 1, 10),
    ("gelu.py, _TAIL of 64 bits", normal_tail, -1, 38.7 / (1 + BEND * 38.7) - 1, 27),
    ("exact_functions.py, EXP_SERIES", lambda r: (mp.expm1(r) - r) / r**2, -half, half, 9),
    ("exact_functions.py, _LOG_SERIES", logarithm, 0, (3 - mp.sqrt(8)) ** 2, 6),
):
    print(title, *interpolate(*given), sep="\n    ")
