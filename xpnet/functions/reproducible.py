"""Functions whose results have the same bits in every array library, on every device.

IEEE 754 defines the rounding of + - x and /, so these give the same bits everywhere. exp, log, tanh
and sums do not: each library has its own polynomials and its own order of summation. Here they are
composed of the former, in float64. Each operation is a call of its own: no compiler can fuse a
product with a sum, which would skip the rounding of the product.
"""

import functools
import math
from typing import Any

from xpnet.arrays.namespace import as_numbers, bounded, device_of
from xpnet.functions.exact_products import SlicedWeight, power_of_two
from xpnet.functions.special import polynomial

__all__ = ["EXP_SERIES", "LOG_SERIES", "reproducible_namespace"]

# (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, in r.
EXP_SERIES = (
    *(0.5000000000000001, 0.16666666666666669, 0.041666666666624164, 0.008333333333330065),
    *(0.0013888888917196719, 0.00019841269863040545, 2.4801521322368692e-05),
    *(2.7557268480310024e-06, 2.7620075879983367e-07, 2.5100375832561234e-08),
)
# (log(m) / q - 2) / q^2 where q = (m - 1) / (m + 1), for sqrt(1/2) <= m <= sqrt(2), in q^2.
LOG_SERIES = (
    *(0.666666666666667, 0.39999999999899505, 0.28571428625975487, 0.2222221113479508),
    *(0.18182889125261723, 0.15331721600556042, 0.14616449685043406),
)
# log(2) as a number of so few bits that its product with an exponent is exact, and the rest.
_LOG2_HIGH, _LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10
# From the smallest normal number on, to inf.
_LEAST, _MOST = -708.0, 709.8
_EXPONENTS = -1022, 1024
_POWERS = [*(2.0**k for k in range(*_EXPONENTS)), math.inf]


@functools.cache
def reproducible_namespace(xp: Any) -> Any:
    """Return the namespace `xp` with reproducible functions of float64 arrays in their places.

    exp and tanh take any number, expm1 those up to 709, log those from 2^-900 to 2^900, log1p one
    less, and sqrt those from 2^-500 to 2^500; their errors are at most 3 ULP. divide takes arrays
    and numbers. matmul takes arrays of one or two dimensions; its error is that of `SlicedWeight`.
    sum, cumulative_sum and mean add in the order of a binary tree. What is left, such as
    comparison, maximum, rounding and sorting, is exact in each library.
    """
    return xp if isinstance(xp, _ReproducibleNamespace) else _ReproducibleNamespace(xp)


class _ReproducibleNamespace:
    def __init__(self, xp: Any) -> None:
        self._xp, self.__name__ = xp, xp.__name__
        # NumPy converts a number in the time in which it adds a hundred.
        is_numpy = xp.__name__ == "numpy"
        self._exp_series = [xp.asarray(x) for x in EXP_SERIES] if is_numpy else EXP_SERIES
        self._tables: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def exp(self, x: Any, /) -> Any:
        """Return exp(x): exp(-708) below -708, and inf above 709.4."""
        rest, scale = self._reduced(x)
        rest += 1.0
        rest *= scale
        return rest

    def expm1(self, x: Any, /) -> Any:
        rest, scale = self._reduced(x)
        return scale * rest + (scale - 1.0)

    def tanh(self, x: Any, /) -> Any:
        below = self.expm1(-2.0 * self._xp.abs(x))
        return self._xp.copysign(below / (2.0 + below), x)

    def log(self, x: Any, /) -> Any:
        xp = self._xp
        exponent = self._exponent(x)
        m = x / self._power(bounded(exponent, xp, *_EXPONENTS))
        is_large = as_numbers(m > 1.4142135623730951, m, xp)
        m, exponent = m * (1.0 - 0.5 * is_large), exponent + is_large
        q = (m - 1.0) / (m + 1.0)
        z = q * q
        series = q * z * polynomial(LOG_SERIES, z)
        return exponent * _LOG2_HIGH + (exponent * _LOG2_LOW + (series + 2.0 * q))

    def log1p(self, x: Any, /) -> Any:
        y = 1.0 + x
        return self.log(y) + (x - (y - 1.0)) / y  # the rounding error of 1 + x

    def sqrt(self, x: Any, /) -> Any:
        """Return the square root of positive numbers; that of torch is not correctly rounded."""
        half = self._xp.floor(0.5 * self._exponent(x))
        half = self._power(bounded(half, self._xp, *_EXPONENTS))
        m = x / half / half  # from 1 to 4
        root = 0.5 + 0.5 * m
        for _ in range(5):  # Heron's method doubles the number of right digits
            root = 0.5 * (root + m / root)
        return root * half

    def divide(self, x: Any, y: Any, /) -> Any:
        """Return x / y, where one may be a number or broadcast.

        Two arrays of one shape are divided, since torch computes number / array, and JAX
        array / number and array / row, by the rounded inverse.
        """
        xp = self._xp
        like = x if hasattr(x, "shape") else y
        x, y = (v if hasattr(v, "shape") else xp.full_like(like, v) for v in (x, y))
        return xp.divide(*xp.broadcast_arrays(x, y))

    def matmul(self, x: Any, y: Any, /) -> Any:
        xp = self._xp
        rows = xp.reshape(x, (-1, x.shape[-1]))
        product = SlicedWeight(xp.astype(y, xp.float64), "float64", xp).multiply(rows, xp)
        return xp.reshape(product, (*x.shape[:-1], y.shape[-1]))

    def mean(self, x: Any, /, *, axis: int, keepdims: bool = False) -> Any:
        return self.divide(self.sum(x, axis=axis, keepdims=keepdims), float(x.shape[axis]))

    def sum(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the sum, by halves: each addition is one of whole arrays."""
        if axis is None:
            x, axis = self._xp.reshape(x, (-1,)), 0
        while (n := x.shape[axis]) > 1:
            half = (n + 1) // 2
            low, high = _part(x, axis, 0, n - half), _part(x, axis, half, n)
            total = low + high
            if n % 2:
                total = self._xp.concat((total, _part(x, axis, n - half, half)), axis=axis)
            x = total
        return x if keepdims else self._xp.squeeze(x, axis=axis)

    def cumulative_sum(self, x: Any, /, *, axis: int) -> Any:
        """Return the sums of the first 1, 2 ... n numbers, in log2(n) additions of arrays."""
        n, step = x.shape[axis], 1
        while step < n:
            later = _part(x, axis, step, n) + _part(x, axis, 0, n - step)
            x = self._xp.concat((_part(x, axis, 0, step), later), axis=axis)
            step *= 2
        return x

    def _exponent(self, x: Any) -> Any:
        """Return floor(log2(x)) for positive normal numbers."""
        # Any library's logarithm of a power of two is close enough to an integer.
        return self._xp.round(self._xp.log2(power_of_two(x, self._xp)))

    def _power(self, exponent: Any) -> Any:
        """Return 2^exponent for whole numbers in `_EXPONENTS`, and any number for NaN."""
        xp = self._xp
        if hasattr(exponent, "view"):  # which the standard lacks
            # float64 has the exponent plus 1023 in its upper bits, and this sum in its lower ones.
            power = (exponent + (1.5 * 2.0**52 + 1023.0)).view(xp.int64)
            power <<= 52
            return power.view(xp.float64)
        exponent = xp.where(exponent == exponent, exponent, 0.0)  # noqa: PLR0124 - faster than isnan
        place = xp.astype(exponent - _EXPONENTS[0], xp.int64)
        device = device_of(exponent)
        # Not a dict: the devices of some libraries have no hash.
        table = next((table for where, table in self._tables if where == device), None)
        if table is None:
            table = xp.asarray(_POWERS, dtype=xp.float64, device=device)
            self._tables.append((device, table))
        flat = xp.reshape(place, (-1,))  # as Dask wants it
        return xp.reshape(xp.take(table, flat, axis=0), place.shape)

    def _reduced(self, x: Any) -> tuple[Any, Any]:
        """Return exp(r) - 1 and 2^k, where x = k log(2) + r with the smallest r."""
        xp = self._xp
        x = bounded(x, xp, _LEAST, _MOST)
        k = xp.round(x * 1.4426950408889634)
        r = x - k * _LOG2_HIGH
        r -= k * _LOG2_LOW
        *series, y = self._exp_series
        y = y * r
        for coefficient in reversed(series[1:]):
            y += coefficient
            y *= r
        y += series[0]
        y *= r * r
        y += r
        return y, self._power(k)


def _part(x: Any, axis: int, start: int, end: int) -> Any:
    before = (slice(None),) * (axis % x.ndim)
    return x[(*before, slice(start, end), ...)]
