"""Floating-point formats: the number nearest to a value of any precision, and its bits."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mpmath import mp, mpf

__all__ = ["FORMATS", "Format", "from_bits", "nearest", "to_bits"]


@dataclass(frozen=True)
class Format:
    """A binary format.

    Attributes
    ----------
    digits : int
        Of the significand, the hidden one included.
    lowest : int
        The exponent of the smallest normal number.
    highest : int
        The exponent of the largest number.
    """

    digits: int
    lowest: int
    highest: int

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return math.ldexp(1.0, self.lowest)

    @property
    def smallest(self) -> float:
        """The smallest subnormal number."""
        return math.ldexp(1.0, self.lowest - self.digits + 1)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return math.ldexp(2.0 - math.ldexp(1.0, 1 - self.digits), self.highest)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "float16": Format(11, -14, 15),
        "bfloat16": Format(8, -126, 127),
        "float32": Format(24, -126, 127),
        "float64": Format(53, -1022, 1023),
    }
)


def nearest(value: mpf, dtype: str) -> tuple[float, mpf]:
    """Return the dtype's number nearest to a value, and what is left, in ULP of the value.

    A tie goes to the even number. An ULP is the spacing of the dtype's numbers at the value;
    below the smallest normal number, the spacing of the subnormal ones.
    """
    form = FORMATS[dtype]
    exponent = max(mp.frexp(value)[1] - 1, form.lowest) - form.digits + 1
    in_ulp = mp.ldexp(value, -exponent)
    whole = mp.nint(in_ulp)
    if abs(whole) * mpf(2) ** exponent > form.largest:
        return math.copysign(math.inf, whole), mpf(0)
    return math.ldexp(int(whole), exponent), in_ulp - whole


def to_bits(number: float, dtype: str) -> str:
    """Return the bits of a number that the dtype has, in hexadecimal."""
    if dtype == "bfloat16":
        return struct.pack(">f", number)[:2].hex()
    return struct.pack({"float16": ">e", "float32": ">f", "float64": ">d"}[dtype], number).hex()


def from_bits(bits: str, dtype: str) -> float:
    """Return the number that has these bits."""
    raw = bytes.fromhex(bits)
    if dtype == "bfloat16":
        return struct.unpack(">f", raw + b"\0\0")[0]
    return struct.unpack({"float16": ">e", "float32": ">f", "float64": ">d"}[dtype], raw)[0]
