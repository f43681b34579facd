"""Correctly rounded division, from a division that is nearly right and exact products.

Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik
18, 1971: a product and its rounding error, and so the remainder of a quotient, without rounding.
"""

from typing import Any

from xpnet.arrays.namespace import cast
from xpnet.functions.exact_products import inverse_power, power_of_two

__all__ = ["exact_quotient"]

# Sizes of numbers whose quotients are corrected, and which `power_of_two` takes.
_SMALLEST, _LARGEST = 2.0**-1020, 2.0**970


def exact_quotient(x: Any, y: Any, xp: Any) -> Any:
    """Return x / y of float64 arrays of one shape, rounded to the nearest normal number.

    Both must be from 2^-1020 to 2^970 in size; of other numbers, such as 0 and infinity, the
    quotient is the library's, whose division may be wrong in half of the bits.
    """
    size_x, size_y = xp.abs(x), xp.abs(y)
    is_usual = (xp.minimum(size_x, size_y) >= _SMALLEST) & (xp.maximum(size_x, size_y) <= _LARGEST)
    a, b = (xp.where(is_usual, size, 1.0) for size in (size_x, size_y))
    power_a, power_b = power_of_two(a, xp), power_of_two(b, xp)
    inverse_b = inverse_power(power_b, xp)
    a, b = a * inverse_power(power_a, xp), b * inverse_b  # from 1 to 2
    q = xp.divide(a, b)
    for _ in range(2):  # then the error is at most half a unit and a little more
        q = q + xp.divide(_remainder(a, b, q), b)
    rest = _remainder(a, b, q)
    is_above = (q > 1.0) | ((q == 1.0) & (rest > 0.0))
    unit = 2.0**-53 * (1.0 + cast(is_above, q.dtype, xp))  # the distance of neighbours
    # No quotient is half way between two numbers.
    q = q + xp.where(2.0 * xp.abs(rest) > unit * b, xp.sign(rest) * unit, 0.0)
    q = q * power_a * inverse_b
    return xp.where(is_usual, xp.where((x < 0.0) == (y < 0.0), q, -q), xp.divide(x, y))


def _remainder(a: Any, b: Any, q: Any) -> Any:
    """Return a - b q for numbers from 1/2 to 2; exactly if q is within one unit of a / b."""
    high_b, low_b = _halves(b)
    high_q, low_q = _halves(q)
    product = b * q
    error = (high_b * high_q - product) + high_b * low_q + low_b * high_q + low_b * low_q
    return (a - product) - error


def _halves(x: Any) -> tuple[Any, Any]:
    """Return two numbers of at most 26 bits whose sum is x (Veltkamp)."""
    scaled = x * (2.0**27 + 1.0)
    high = scaled - (scaled - x)
    return high, x - high
