"""What an option of a function may be.

A check takes a value and the option's name, and returns the value as a plain number or word.
"""

from collections.abc import Callable
from numbers import Real
from typing import Any

__all__ = ["Check", "finite", "not_negative", "positive", "share", "word"]

Check = Callable[[Any, str], Any]

# Numbers that float32 holds, and that may be multiplied by ordinary ones.
_LARGE, _SMALL = 1e30, 1e-6


def _number(allows: Callable[[float], bool], rule: str) -> Check:
    """Return the check that a value is a real number that the rule allows.

    It becomes a Python float, which never changes the dtype of the array that it meets.
    """

    def check(value: Any, name: str) -> float:
        msg = f"`{name}` must be {rule}; got {value!r}"
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(msg)
        try:
            number = float(value)
        except OverflowError:  # a very large whole number
            raise ValueError(msg) from None
        if not (-_LARGE <= number <= _LARGE and allows(number)):
            raise ValueError(msg)
        return number

    return check


def word(*known: str) -> Check:
    """Return the check that a value is one of the known words."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in known:
            msg = f"`{name}` must be {' or '.join(map(repr, known))}; got {value!r}"
            raise ValueError(msg)
        return str(value)

    return check


finite = _number(lambda _: True, "a number from -1e30 to 1e30")
not_negative = _number(lambda value: value >= 0.0, "a number from 0 to 1e30")
positive = _number(lambda value: _SMALL <= value <= 1.0 / _SMALL, "a number from 1e-6 to 1e6")
share = _number(lambda value: value == 0.0 or 1.0 / _LARGE <= value <= 1.0, "0, or from 1e-30 to 1")
