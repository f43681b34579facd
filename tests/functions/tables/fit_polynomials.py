"""Program that fits the polynomials of xpnet/functions with mpmath.

Each polynomial interpolates its function at Chebyshev points, which is within a small factor of the
best polynomial of that degree. The degree is the lowest with an error below the rounding errors.
"""

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60


def interpolate(function: Callable[[mp.mpf], mp.mpf], low: float, high: float, degree: int) -> list:
    """Return the coefficients, lowest power first, of the polynomial through Chebyshev points."""
    low, high, n = mp.mpf(low), mp.mpf(high), degree + 1
    points = [
        (high + low) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * n))
        for k in range(n)
    ]
    powers = mp.matrix([[point**i for i in range(n)] for point in points])
    values = mp.matrix([function(point) for point in points])
    return [float(c) for c in mp.lu_solve(powers, values)]


def erf_exponent(high: float, degree: int) -> list[float]:
    """Fit -log(1 - erf(t)) / t over 0 <= t <= high, in t."""

    def function(t: mp.mpf) -> mp.mpf:
        return -mp.log(mp.erfc(t)) / t

    return interpolate(function, 0, high, degree)


def normal_tail(high: float, degree: int) -> list[float]:
    """Fit Q(t) exp(t^2 / 2) (1 + b t) over 0 <= t <= high, in w = t / (1 + b t) - 1.

    Q is the upper tail of the standard normal distribution, and b is 0.4375.
    """
    bend, high = mp.mpf("0.4375"), mp.mpf(high)

    def function(w: mp.mpf) -> mp.mpf:
        t = (w + 1) / (1 - bend * (w + 1))
        return mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2 * (1 + bend * t)

    return interpolate(function, -1, high / (1 + bend * high) - 1, degree)


def tanh_remainder(degree: int) -> list[float]:
    """Fit (t - tanh(t)) / t^3 over 0 <= t <= 1, in z = t^2."""

    def function(z: mp.mpf) -> mp.mpf:
        t = mp.sqrt(z)
        return (t - mp.tanh(t)) / t**3

    return interpolate(function, 0, 1, degree)


def exp_series(degree: int) -> list[float]:
    """Fit (exp(r) - 1 - r) / r^2 over -log(2) / 2 <= r <= log(2) / 2, in r."""

    def function(r: mp.mpf) -> mp.mpf:
        return (mp.expm1(r) - r) / r**2

    return interpolate(function, -mp.log(2) / 2, mp.log(2) / 2, degree)


def log_series(degree: int) -> list[float]:
    """Fit (2 atanh(q) / q - 2) / q^2 over 0 <= q <= 3 - sqrt(8), in z = q^2."""

    def function(z: mp.mpf) -> mp.mpf:
        q = mp.sqrt(z)
        return 2 * (mp.atanh(q) / q - 1) / z

    return interpolate(function, 0, (3 - mp.sqrt(8)) ** 2, degree)


# As in xpnet.functions.exact_namespace, where all numbers are of float64.
REPRODUCIBLE = {"EXP_SERIES": exp_series(9), "LOG_SERIES": log_series(6)}

# By bits of the dtype and name, as in xpnet.functions.dtype_constants.
FITS = {
    32: {
        "erf": erf_exponent(3.92, 10),
        "tail": normal_tail(13.2, 10),
        "tanh_remainder": tanh_remainder(7),
    },
    64: {
        "erf": erf_exponent(5.95, 30),
        "tail": normal_tail(38.7, 27),
        "tanh_remainder": tanh_remainder(15),
    },
}

if __name__ == "__main__":
    for bits, fits in {**FITS, "reproducible": REPRODUCIBLE}.items():
        for name, coefficients in fits.items():
            print(bits, name)  # noqa: T201
            for coefficient in coefficients:
                print(f"    {coefficient!r},")  # noqa: T201
