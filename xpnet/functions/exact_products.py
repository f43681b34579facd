"""Matrix products that are exact, so that they have the same bits in any order of summation.

Both factors are cut into slices of few bits: all numbers of a slice of a row, or of a column of
weights, are multiples of one power of two. A product of two slices then adds integers below 2^53
times one unit: float64 holds every partial sum, so nothing is rounded, in whatever order a library
adds, with fused multiply-add or without, on any number of threads. Products of slices are added in
one order.

Ozaki, Ogita, Oishi and Rump, "Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication and its applications", Numerical Algorithms 59, 2012.
"""

from typing import Any

from xpnet.arrays.namespace import bounded, is_kind

__all__ = ["LARGEST", "ExactWeight", "power_of_two"]

# Numbers beyond count as this one. Smaller numbers than its inverse are multiples of a power of two
# that is fixed. The products are then normal numbers, which no library flushes to 0.
LARGEST = 2.0**400
# Bits of float64, and those that a product keeps of each factor, relative to the largest number of
# a row or column.
_BITS = 53
_KEPT_BITS = {"float32": 40, "float64": 58}


class ExactWeight:
    """A weight of shape (n_in, n_out) in float64, for products with the bits of a given dtype."""

    def __init__(self, weight: Any, dtype: str, xp: Any) -> None:
        n_in, self._n_out = weight.shape
        # Sums of n products of two slices: n * 2^bits * 2^bits <= 2^53. Rounding to the nearest
        # leaves a rest of half a unit, so each further slice holds one bit more.
        self._bits = (_BITS - (n_in - 1).bit_length()) // 2
        self._n_slices = -(-(_KEPT_BITS[dtype] + 1) // (self._bits + 1))
        slices = self._cut(weight, 0, xp)
        # For each slice of inputs those that it is multiplied by, side by side: one wide product is
        # faster than several narrow ones.
        self._slices = [xp.concat(slices[: len(slices) - i], axis=1) for i in range(len(slices))]

    def multiply(self, x: Any, xp: Any) -> Any:
        """Return x @ weight in float64, for `x` of shape (n, n_in) and of any real dtype.

        The error is at most ``n_in * 2^-39 * p``, for float64 ``n_in * 2^-56 * p``, where p is the
        product of the largest numbers of the row and the column: what is left of both factors, and
        the products that are left out. Adding the slices rounds as three additions of float64 do
        (five for float64).
        """
        if is_kind(x.dtype, xp, "bool") or (
            is_kind(x.dtype, xp, "integral") and xp.iinfo(x.dtype).max <= 2**self._bits
        ):
            slices = [xp.astype(x, xp.float64)]
        else:
            slices = self._cut(xp.astype(x, xp.float64, copy=False), 1, xp)
        products = [a @ b for a, b in zip(slices, self._slices, strict=False)]
        y = None
        # The smallest products first; those that are smaller still are left out.
        for total in reversed(range(self._n_slices)):
            for i in range(min(total + 1, len(slices))):
                start = (total - i) * self._n_out
                part = products[i][:, start : start + self._n_out]
                y = part if y is None else y + part
        return y

    def _cut(self, a: Any, axis: int, xp: Any) -> list[Any]:
        """Return the slices of rows (axis 1) or columns (axis 0), the largest first."""
        a = bounded(a, xp, -LARGEST, LARGEST)
        largest = xp.max(xp.abs(a), axis=axis, keepdims=True)
        # All numbers are below `above`, a power of two.
        above = bounded(2.0 * power_of_two(largest, xp), xp, low=1.0 / LARGEST)
        slices: list[Any] = []
        shift = above * (1.5 * 2.0 ** (_BITS - 1 - self._bits))
        for i in range(self._n_slices):
            if i:
                a = a - slices[-1]
                shift = shift * 2.0 ** -(self._bits + 1)
            part = a + shift  # rounds to multiples of 2^-bits * above
            part -= shift
            slices.append(part)
        return slices


def power_of_two(x: Any, xp: Any) -> Any:
    """Return the largest power of two up to each positive number; 0 for 0.

    Rump, "Error estimation of floating-point summation and dot product", BIT 52, 2012: the product
    with 2^52 + 1, rounded, and the one rounded in the other direction, differ by the power.
    """
    q = x * (2.0**52 + 1.0)
    return xp.abs(q - q * (1.0 - 2.0**-53))
