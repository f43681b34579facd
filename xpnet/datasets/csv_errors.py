"""Errors in the lines of a CSV file, located after NumPy has rejected a block of them."""

import re
from typing import TYPE_CHECKING

from xpnet.datasets.csv_columns import split_fields
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xpnet.datasets.csv_columns import CsvColumns
    from xpnet.datasets.read_options import ReadOptions

__all__ = ["check_first_line", "field_error", "find_error", "header_error"]

_DELIMITERS = {";": "';'", "\t": "tab", "|": "'|'", ",": "comma", " ": "space"}
_FLOAT32_END = 3.4028235677973366e38  # smaller numbers round to finite ones
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_NOT_FINITE = {"nan", "inf", "infinity"}
_LARGEST_PIXEL = 255
# A lookup is fast, and nearly all of thousands of fields are in this set.
_VALID_FIELDS = frozenset(map(str, range(_LARGEST_PIXEL + 1)))


def check_first_line(line: str, number: int, name: str, options: "ReadOptions") -> None:
    """Raise DataError if the first line of the file `name` is a comment or has another delimiter.

    The message contains the delimiter to use.
    """
    if line.lstrip().startswith("#"):
        raise _comment_error(line, number, name)
    if len(split_fields(line, options.delimiter)) > 1:
        return
    for delimiter, word in _DELIMITERS.items():
        if delimiter != options.delimiter and delimiter in line.strip():
            used = _DELIMITERS.get(options.delimiter, quoted(options.delimiter))
            msg = f"no {used} between the values"
            hint = f"try --delimiter {word} (in Python delimiter={delimiter!r})"
            raise DataError(msg, file=name, line=number, found=quoted(line.strip()), hint=hint)


def find_error(lines: "Iterable[tuple[int, str]]", columns: "CsvColumns") -> DataError:
    """Return the error in the first invalid line of a block of numbered lines."""
    first, last = None, None
    for number, line in lines:
        error = _line_error(line, number, columns)
        if error is not None:
            return error
        first, last = first or number, number
    return DataError(
        f"rows up to line {last} cannot be read as numbers", file=columns.name, line=first
    )


def header_error(line: str, number: int, columns: "CsvColumns") -> DataError:
    """Return the error for a header in the middle of a file."""
    return DataError(
        "header line" if columns.header is None else "repeated header line",
        file=columns.name,
        line=number,
        found=quoted(line.strip()),
        expected="a row of values",
        hint="was the file concatenated from several?",
    )


def field_error(field: str, line: int, index: int, columns: "CsvColumns") -> DataError:
    """Return the error for the field at `index` of a line."""
    field = field.strip()
    is_label = index == columns.label
    largest = columns.options.largest_label if is_label else _LARGEST_PIXEL
    number = float(field) if _NUMBER.fullmatch(field) else None
    expected, hint = f"an integer from 0 to {largest}", None
    if columns.options.floating and not is_label:
        expected = "a finite number of float32" if number else "a finite number"
    is_in_range = number is not None and 0 <= number <= largest
    if is_in_range and not columns.options.floating and not (is_label and float(field) % 1):
        hint = "try --float (in Python floating=True)"
    return DataError(
        ("label" if is_label else "pixel") + _complaint(field, number),
        file=columns.name,
        line=line,
        column=index + 1,
        found=quoted(field),
        expected=expected,
        hint=hint,
    )


def _complaint(field: str, number: float | None) -> str:
    if not field:
        return " is missing"
    if "\0" in field:
        return " contains a NUL byte"
    if any("\udc80" <= character <= "\udcff" for character in field):
        return " is not UTF-8 text"
    if number is None and field.lower().strip("+-") not in _NOT_FINITE:
        return " is not a number"
    return ""


def _line_error(line: str, number: int, columns: "CsvColumns") -> DataError | None:
    fields = split_fields(line, columns.options.delimiter)
    if line.lstrip().startswith("#"):
        return _comment_error(line, number, columns.name)
    if columns.header is not None and columns.header.is_among([line]):
        return header_error(line, number, columns)
    if line.count('"') % 2:
        msg = "quote is not closed on its line"
        return DataError(msg, file=columns.name, line=number, column=len(fields))
    if len(fields) != columns.width:
        is_delimiter_last = len(fields) == columns.width + 1 and not fields[-1].strip()
        return DataError(
            "row is too short" if len(fields) < columns.width else "row is too long",
            file=columns.name,
            line=number,
            found=f"{len(fields)} values",
            expected=columns.width,
            hint="the line ends in a delimiter" if is_delimiter_last else None,
        )
    for index, field in enumerate(fields):
        if field not in _VALID_FIELDS and not _is_valid(field.strip(), index, columns):
            return field_error(field, number, index, columns)
    return None


def _is_valid(field: str, index: int, columns: "CsvColumns") -> bool:
    if index == columns.label and not columns.options.own_labels:
        return True
    if not _NUMBER.fullmatch(field):
        return False
    if columns.options.floating:
        return abs(float(field)) < _FLOAT32_END
    return field.removeprefix("+").isdigit() and float(field) <= _LARGEST_PIXEL


def _comment_error(line: str, number: int, name: str) -> DataError:
    return DataError(
        "comment line",
        file=name,
        line=number,
        found=quoted(line.strip()),
        expected="a row of values",
        hint="remove the line",
    )
