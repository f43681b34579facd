"""Matrix products of slices, which are exact and so have the same bits in any order of summation.

Both factors are cut into slices of few bits: all numbers of a slice of a row, or of a column of
weights, are multiples of one power of two. A product of two slices then adds integers below 2^53
times one unit: float64 holds every partial sum, so nothing is rounded, in whatever order a library
adds, with fused multiply-add or without, on any number of threads. Products of slices are added in
one order.

Ozaki, Ogita, Oishi and Rump, "Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication and its applications", Numerical Algorithms 59, 2012.
"""

import functools
from typing import Any

from xpnet.arrays.namespace import bounded, cast
from xpnet.arrays.transfer import is_numpy

__all__ = ["SlicedWeight", "inverse_power", "power_of_two"]

# Larger inputs count as this one. Parts of a sum below the second number, and weights below the
# third as a share of the largest for the same input, may be lost. So all products are normal
# numbers, which no library flushes to 0.
_LARGEST, _SMALLEST_SUM, _SMALLEST_SHARE = 2.0**400, 2.0**-550, 2.0**-300
# Bits of float64 and float32, and those that a product keeps of each factor, relative to the
# largest number of a row or column.
_BITS, _BITS_OF_FLOAT32 = 53, 24
_KEPT_BITS = {"float32": 40, "float64": 58}


class SlicedWeight:
    """A weight of shape (n_in, n_out) in float64, for products with the bits of a given dtype.

    Inputs are multiplied, and weights divided, by a power of two for each input: that of its
    largest weight. So a row is cut relative to what its numbers add to the outputs, and inputs may
    have any units.
    """

    def __init__(self, weight: Any, dtype: str, xp: Any) -> None:
        n_in, self._n_out = weight.shape
        # Sums of n products of two slices: n * 2^bits * 2^bits <= 2^53. Rounding to the nearest
        # leaves a rest of half a unit, so each further slice holds one bit more.
        self._bits = (_BITS - (n_in - 1).bit_length()) // 2
        self._n_slices = -(-(_KEPT_BITS[dtype] + 1) // (self._bits + 1))
        powers = power_of_two(xp.max(xp.abs(weight), axis=1, keepdims=True), xp)
        # Smaller weights are not resolved for any input.
        is_used = cast(powers >= 2.0**-1020, weight.dtype, xp)
        shares = weight * (is_used * inverse_power(powers + (1.0 - is_used), xp))
        # NumPy multiplies a row by a row in a third of the time of a row by a vector.
        self._powers, self._xp = xp.reshape(powers, (1, n_in)), xp
        side_by_side = xp.concat(self._cut(shares, 0, _SMALLEST_SHARE, xp), axis=1)
        # For each slice of inputs those that it is multiplied by: one wide product is faster than
        # several narrow ones.
        ends = range(self._n_slices * self._n_out, 0, -self._n_out)
        self._slices = [side_by_side[:, :end] for end in ends]

    def multiply(self, x: Any, xp: Any) -> Any:
        """Return x @ weight in float64, for `x` of shape (n, n_in) and of any real dtype.

        `xp` may be another namespace than that of the weight, which records the operations.

        The error is at most ``n_in * 2^-40 * p``, four times that from 2,049 inputs on, and for
        float64 ``n_in * 2^-55 * p``, where p is the largest product of an input of the row and the
        largest weight for it. It is what the slices leave of both factors, and the products that
        are left out. Adding the slices rounds as three additions of float64 do (float64: five).
        """
        if is_numpy(x) and x.dtype.kind in "biu" and x.itemsize == 1 and self._for_bytes:
            high, low = self._for_bytes
            y = x.astype(xp.float64) @ high
            y += x.astype(xp.float32) @ low
            return y
        x = bounded(xp.astype(x, xp.float64, copy=False), xp, -_LARGEST, _LARGEST)
        slices = self._cut(x * self._powers, 1, _SMALLEST_SUM, xp)
        products = [xp.matmul(a, b) for a, b in zip(slices, self._slices, strict=True)]
        y = None
        # The smallest products first; those that are smaller still are left out.
        for total in reversed(range(self._n_slices)):
            for i in range(total + 1):
                start = (total - i) * self._n_out
                part = products[i][:, start : start + self._n_out]
                y = part if y is None else y + part
        return y

    @functools.cached_property
    def _for_bytes(self) -> tuple[Any, Any] | None:
        """Weights of float64 and float32, or None if these cannot hold all bits.

        The product of bytes with each is exact, and their sum is the sum of the products with both
        slices, so it is rounded to the same bits. NumPy multiplies float32 twice as fast, with all
        24 bits; other libraries may multiply fewer bits.
        """
        xp, n = self._xp, self._n_out
        largest = float(xp.max(self._powers))
        smallest = float(xp.min(xp.where(self._powers > 0.0, self._powers, largest)))
        fits = smallest >= _SMALLEST_SUM and 2.0**8 * largest / smallest <= 2.0**self._bits
        if self._n_slices != 2 or not fits:
            return None
        weight = self._powers.T * (self._slices[0][:, :n] + self._slices[0][:, n:])
        high = _rounded_for_bytes(weight, _BITS, xp)
        low = weight - high
        # Sums are far below 2^128, where float32 overflows.
        is_exact = (_rounded_for_bytes(low, _BITS_OF_FLOAT32, xp) == low) & (xp.abs(low) < 2.0**64)
        return (high, xp.astype(low, xp.float32)) if xp.all(is_exact) else None

    def _cut(self, a: Any, axis: int, smallest: float, xp: Any) -> list[Any]:
        """Return the slices of rows (axis 1) or columns (axis 0), the largest first."""
        largest = xp.max(xp.abs(a), axis=axis, keepdims=True)
        # All numbers are below `above`, a power of two.
        above = bounded(2.0 * power_of_two(largest, xp), xp, low=smallest)
        slices: list[Any] = []
        shift = above * (1.5 * 2.0 ** (_BITS - 1 - self._bits))
        for i in range(self._n_slices):
            if i:
                a -= slices[-1]
                shift = shift * 2.0 ** -(self._bits + 1)
            part = a + shift  # rounds to multiples of 2^-bits * above
            part -= shift
            slices.append(part)
        return slices


def _rounded_for_bytes(weight: Any, bits: int, xp: Any) -> Any:
    """Return a weight rounded so that sums of its products with bytes have so many bits.

    Each column is rounded to multiples of a unit. No sum of products with bytes is larger than 255
    times the sum of the positive numbers, or that of the negative ones; with signed bytes, 256
    times. So 257 times the larger sum, below 2^bits units, leaves room for what rounding adds: half
    a unit for each number. Units are so large that no product is subnormal in float32.
    """
    larger = 0.5 * (xp.sum(xp.abs(weight), axis=0) + xp.abs(xp.sum(weight, axis=0)))
    unit = bounded(power_of_two(257.0 * larger, xp) * 2.0 ** (1 - bits), xp, low=2.0**-126)
    shift = unit * (1.5 * 2.0 ** (_BITS - 1))
    return (weight + shift) - shift


def power_of_two(x: Any, xp: Any) -> Any:
    """Return the largest power of two up to each positive number; 0 for 0.

    Rump, "Error estimation of floating-point summation and dot product", BIT 52, 2012: the product
    with 2^52 + 1, rounded, and the one rounded in the other direction, differ by the power.
    """
    q = x * (2.0**52 + 1.0)
    # The number below, rounded as q * (1 - 2^-53) would be. ONNX Runtime takes that factor for 1.
    return xp.abs(q - (q - q * 2.0**-53))


def inverse_power(power: Any, xp: Any) -> Any:
    """Return 1 / power for powers of two from 2^-1020 to 2^971, even if division is inaccurate."""
    near = xp.divide(xp.full_like(power, 1.5 * 2.0**-50), power)
    return power_of_two(near, xp) * 2.0**50
