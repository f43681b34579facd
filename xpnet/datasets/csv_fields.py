"""Kinds of fields in a CSV file: numbers, names of columns, and names of classes."""

import re
from contextlib import suppress
from itertools import pairwise

__all__ = ["count_up", "is_class", "is_name", "is_number"]

_MISSING = {"", "?", "NA", "N/A", "nan", "NaN", "NULL", "null", "none", "None"}


def count_up(fields: list[str]) -> bool:
    """Return whether fields are whole numbers that count up from 0 or 1, or at least four."""
    numbers = [float(x) for x in fields if is_number(x)]
    if len(numbers) != len(fields) or len(numbers) < 2 or not numbers[0].is_integer():
        return False
    is_long = len(numbers) >= 4 or numbers[0] in {0, 1}
    return is_long and all(b - a == 1 for a, b in pairwise(numbers))


def is_number(field: str) -> bool:
    """Return whether a field is a number, as NumPy reads it."""
    with suppress(ValueError):
        float(field)
        return field.isascii() and "_" not in field
    return False


def is_name(field: str) -> bool:
    """Return whether a field may be the name of a column: 1,5 and 2020-12-31 are values."""
    return not field or (is_class(field) and re.search(r"[^\W\d_]", field) is not None)


def is_class(field: str) -> bool:
    """Return whether a field may be the name of a class."""
    return field not in _MISSING and field.isprintable() and not is_number(field)
