"""Polynomials by arithmetic alone."""

from collections.abc import Sequence
from typing import Any

__all__ = ["polynomial"]


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return the sum of coefficients[i] * x**i, by Horner's rule."""
    *rest, y = coefficients
    for coefficient in reversed(rest):
        y = y * x + coefficient
    return y
