"""What an option of a function may be.

A check takes a value and the option's name, and returns the value as a plain number or word.
"""

import math
from collections.abc import Callable
from typing import Any

__all__ = ["Check", "finite", "not_negative", "positive", "share", "word"]

Check = Callable[[Any, str], Any]


def _number(low: float, high: float, rule: str) -> Check:
    """Return the check that a value is a real number within [low, high].

    It becomes a Python float, which never changes the dtype of the array that it meets.
    """

    def check(value: Any, name: str) -> float:
        if isinstance(value, bool | str | complex) or not hasattr(value, "__float__"):
            msg = f"`{name}` must be {rule}; got {value!r}"
            raise TypeError(msg)
        number = float(value)
        if not (low <= number <= high and math.isfinite(number)):
            msg = f"`{name}` must be {rule}; got {value!r}"
            raise ValueError(msg)
        return number

    return check


def word(*known: str) -> Check:
    """Return the check that a value is one of the known words."""

    def check(value: Any, name: str) -> str:
        if value not in known:
            msg = f"`{name}` must be {' or '.join(map(repr, known))}; got {value!r}"
            raise ValueError(msg)
        return str(value)

    return check


finite = _number(-math.inf, math.inf, "a finite number")
not_negative = _number(0.0, math.inf, "a finite number of at least 0")
share = _number(0.0, 1.0, "a number from 0 to 1")
# Far inside the range of float32, so that products with it do not leave that range.
positive = _number(1e-6, 1e6, "a number from 1e-6 to 1e6")
