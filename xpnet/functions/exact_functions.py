"""Functions whose results have the same bits in every array library, on every device.

IEEE 754 defines the rounding of + - x and /, so these give the same bits everywhere. exp, log, tanh
and sums do not: each library has its own polynomials and its own order of summation. Here they are
composed of the former, in float64. Each operation is a call of its own: no compiler can fuse a
product with a sum, which would skip the rounding of the product.
"""

from typing import Any

from xpnet.arrays.namespace import bounded, cast
from xpnet.arrays.transfer import is_numpy, is_traced
from xpnet.functions.exact_division import exact_quotient
from xpnet.functions.exact_products import SlicedWeight
from xpnet.functions.polynomial import polynomial

__all__ = ["EXP_SERIES", "ExactNamespace", "refuse_tracing"]

# Coefficients, lowest power first, by benchmarks/polynomials.py.
# (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, in r.
EXP_SERIES = (
    *(0.5000000000000001, 0.16666666666666669, 0.041666666666624164, 0.008333333333330065),
    *(0.0013888888917196719, 0.00019841269863040545, 2.4801521322368692e-05),
    *(2.7557268480310024e-06, 2.7620075879983367e-07, 2.5100375832561234e-08),
)
# (log(m) / q - 2) / q^2 where q = (m - 1) / (m + 1), for sqrt(1/2) <= m <= sqrt(2), in q^2.
_LOG_SERIES = (
    *(0.666666666666667, 0.39999999999899505, 0.28571428625975487, 0.2222221113479508),
    *(0.18182889125261723, 0.15331721600556042, 0.14616449685043406),
)
# log(2) as a number of so few bits that its product with an exponent is exact, and the rest.
_LOG2_HIGH, _LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10
# exp is 0 at the first number and infinite at the second one; expm1 is -1 at the third one.
_ZERO, _INFINITE, _MINUS_ONE = -708.4, 709.8, -100.0
# Exponents of normal numbers.
_LEAST, _MOST = -1022, 1023
_SMALLEST = 2.0**_LEAST

# Names of the standard that formulas use and that do not round.
_NAMES = """abs all any argmax astype bool concat empty expand_dims finfo float32 float64 full
full_like iinfo inf int32 int64 isdtype isfinite isnan max maximum min minimum nan negative ones
ones_like reshape round squeeze take where zeros zeros_like"""
_EXACT = frozenset(_NAMES.split())


def refuse_tracing(*arrays: Any) -> None:
    """Raise TypeError for arrays whose operations are recorded for a compiler."""
    if any(map(is_traced, arrays)):
        msg = "reproducible results cannot be traced, by jax.jit or torch.compile for example:"
        msg += " a compiler may fuse a product with a sum, which changes bits"
        raise TypeError(msg)


class ExactNamespace:
    """An array namespace with functions of float64 arrays that give the same bits everywhere.

    Operators of two arrays, or of an array and a number, are the library's: + - and * have the same
    bits everywhere; formulas use `divide` and `matmul` for / and @, and no **. Functions that do
    not round are the library's, too; others, such as ``sin``, raise AttributeError.

    The errors of exp, expm1, log, log1p, tanh and sqrt are at most 3 ULP. Subnormal numbers, and
    exponentials below 2^-1021, count as 0. `ordinary` is the library's own namespace.
    """

    def __init__(self, xp: Any, device: Any, *, divides: bool = True) -> None:
        self.ordinary, self.__name__ = xp, xp.__name__
        powers = [0.0, *(2.0**k for k in range(_LEAST, _MOST + 1))]
        self._table = xp.asarray(powers, dtype=xp.float64, device=device)
        # NumPy converts a number in the time in which it adds a hundred.
        is_host = is_numpy(self._table)
        self._exp_series = [xp.asarray(x) for x in EXP_SERIES] if is_host else EXP_SERIES
        # / of two arrays of one shape
        self._quotient = xp.divide if divides else lambda x, y: exact_quotient(x, y, xp)

    def __getattr__(self, name: str) -> Any:
        if name not in _EXACT:
            msg = f"{name!r} has no exact form"
            raise AttributeError(msg)
        value = vars(self)[name] = getattr(self.ordinary, name)
        return value

    def exp(self, x: Any, /) -> Any:
        """Return exp(x); 0 below -708.04, where it is less than 2^-1021."""
        y, half = self._reduced(x, _ZERO)
        y += 1.0
        y += y  # before the product, which could be subnormal
        y *= half
        return y

    def expm1(self, x: Any, /) -> Any:
        """Return exp(x) - 1."""
        y, half = self._reduced(x, _MINUS_ONE)
        y *= half
        y += half - 0.5
        y += y
        return y

    def tanh(self, x: Any, /) -> Any:
        """Return tanh(x)."""
        below = self.expm1(-2.0 * self.ordinary.abs(x))
        return self.ordinary.copysign(self._quotient(below, 2.0 + below), x)

    def log(self, x: Any, /) -> Any:
        """Return log(x); -inf for 0 and subnormal numbers."""
        m, exponent = self._split(x)
        q = self._quotient(m - 1.0, m + 1.0)
        z = q * q
        series = q * z * polynomial(_LOG_SERIES, z)
        y = exponent * _LOG2_HIGH + (exponent * _LOG2_LOW + (series + 2.0 * q))
        return self._with_edges(x, y, -self.ordinary.inf)

    def log1p(self, x: Any, /) -> Any:
        """Return log(1 + x)."""
        y, xp = 1.0 + x, self.ordinary
        rest = self._quotient(x - (y - 1.0), y)  # the rounding error of 1 + x
        return self.log(y) + xp.where(xp.isfinite(rest), rest, 0.0)

    def sqrt(self, x: Any, /) -> Any:
        """Return the square root; 0 for subnormal numbers.

        The root of torch is not correctly rounded.
        """
        m, exponent = self._split(x)
        half = self.ordinary.floor(0.5 * (exponent - cast(m < 1.0, m.dtype, self.ordinary)))
        m = m * self._power(exponent - 2.0 * half)  # from 1 to 4
        root = 0.5 + 0.5 * m
        for _ in range(5):  # Heron's method doubles the number of right digits
            root = 0.5 * (root + self._quotient(m, root))
        return self._with_edges(x, root * self._power(half), 0.0)

    def divide(self, x: Any, y: Any, /) -> Any:
        """Return x / y, where one may be a number or broadcast.

        Two arrays of one shape are divided, since torch computes number / array, and JAX
        array / number and array / row, by the rounded inverse.
        """
        xp = self.ordinary
        if getattr(x, "shape", None) != getattr(y, "shape", None):
            like = x if hasattr(x, "shape") else y
            x, y = (v if hasattr(v, "shape") else xp.full_like(like, v) for v in (x, y))
            x, y = xp.broadcast_arrays(x, y)
        return self._quotient(x, y)

    def matmul(self, x: Any, y: Any, /) -> Any:
        """Return the product of two matrices; numbers of `x` beyond 2^400 count as 2^400.

        The error is that of `SlicedWeight.multiply`.
        """
        xp = self.ordinary
        return SlicedWeight(xp.astype(y, xp.float64), "float64", xp).multiply(x, xp)

    def mean(self, x: Any, /, *, axis: int, keepdims: bool = False) -> Any:
        """Return the sum, divided by the length of the axis."""
        return self.divide(self.sum(x, axis=axis, keepdims=keepdims), float(x.shape[axis]))

    def sum(self, x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the sum along one axis or of all numbers, added by halves as in a binary tree."""
        if axis is None:
            x, axis = self.ordinary.reshape(x, (-1,)), 0
        while (n := x.shape[axis]) > 1:
            half = (n + 1) // 2
            low, high = _part(x, axis, 0, n - half), _part(x, axis, half, n)
            total = low + high
            if n % 2:
                total = self.ordinary.concat((total, _part(x, axis, n - half, half)), axis=axis)
            x = total
        return x if keepdims else self.ordinary.squeeze(x, axis=axis)

    def _split(self, x: Any) -> tuple[Any, Any]:
        """Return m from sqrt(1/2) to sqrt(2) and an exponent: x = m 2^exponent if it is normal.

        Any numbers, or NaN, for 0, infinity, and negative and subnormal numbers.
        """
        xp = self.ordinary
        # At a power of two, either of two integers gives the same m, so any library's logarithm is
        # accurate enough.
        exponent = bounded(xp.floor(xp.log2(x)), xp, _LEAST, _MOST)
        m = x * self._power(1.0 - exponent)  # from 2 to 4
        is_large = cast(m > 2.8284271247461903, m.dtype, xp)
        return m * (0.5 - 0.25 * is_large), exponent + is_large

    def _with_edges(self, x: Any, y: Any, at_zero: float) -> Any:
        """Return `y` for positive normal numbers `x`, and the values at 0, infinity and below 0."""
        xp = self.ordinary
        edge = xp.where(xp.abs(x) < _SMALLEST, at_zero, xp.where(x == xp.inf, x, xp.nan))
        return xp.where((x >= _SMALLEST) & (x < xp.inf), y, edge)

    def _power(self, exponent: Any, bias: int = 0) -> Any:
        """Return 2^(exponent + bias), a normal number, 0 for the next one, any number for NaN."""
        xp = self.ordinary
        if is_numpy(exponent):
            # A float64 has its exponent plus 1023 in its upper bits; the sum here has that number
            # in its lower bits.
            power = (exponent + (1.5 * 2.0**52 + 1023.0 + bias)).view(xp.int64)
            power <<= 52
            return power.view(xp.float64)
        exponent = xp.where(exponent == exponent, exponent, 0.0)  # noqa: PLR0124 - faster than isnan
        place = xp.astype(exponent + (1.0 + bias - _LEAST), xp.int64)
        flat = xp.reshape(place, (-1,))  # as Dask wants it
        return xp.reshape(xp.take(self._table, flat, axis=0), place.shape)

    def _reduced(self, x: Any, least: float) -> tuple[Any, Any]:
        """Return exp(r) - 1 and 2^(k - 1), where x = k log(2) + r with the smallest r.

        Half of the power, since 2^1024 would be infinite. Smaller `x` count as `least`.
        """
        xp = self.ordinary
        x = bounded(x, xp, least, _INFINITE)
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
        return y, self._power(k, -1)


def _part(x: Any, axis: int, start: int, end: int) -> Any:
    before = (slice(None),) * (axis % x.ndim)
    return x[(*before, slice(start, end), ...)]
