"""Find what is wrong with a CSV line, once NumPy has refused the block that it is in."""

import re
from typing import TYPE_CHECKING

from xpnet.datasets.csv_columns import split
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xpnet.datasets.csv_columns import Layout
    from xpnet.datasets.read_options import Options

__all__ = ["check_first_line", "field_error", "find_fault", "header_error"]

_DELIMITERS = {";": "';'", "\t": "tab", "|": "'|'", ",": "comma", " ": "space"}
_FLOAT32_MAX = 3.4028235677973366e38  # what rounds to the largest finite one, and no more
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_QUICKLY_FINE = frozenset(map(str, range(256)))
_LARGEST = 255
_FLOAT_HINT = "try --float (in Python floating=True)"


def check_first_line(line: str, number: int, name: str, options: "Options") -> None:
    """Refuse a first line that is a comment, or that only another delimiter would split.

    Parameters
    ----------
    line, number : str, int
        The first line that is not blank, and its number.
    name : str
        The file's name.
    options : Options
        `delimiter` is used.

    Raises
    ------
    DataError
        If the line is such a one; the text names the other delimiter.
    """
    if line.lstrip().startswith("#"):
        raise _comment_error(line, number, name)
    if len(split(line, options.delimiter)) > 1:
        return
    for other, word in _DELIMITERS.items():
        if other != options.delimiter and other in line.strip():
            used = _DELIMITERS.get(options.delimiter, quoted(options.delimiter))
            msg = f"no {used} between the values"
            raise DataError(
                msg,
                file=name,
                line=number,
                found=quoted(line.strip()),
                hint=f"try --delimiter {word} (in Python delimiter={other!r})",
            )


def find_fault(lines: "Iterable[tuple[int, str]]", layout: "Layout") -> DataError:
    """Return the error about the first faulty line of a block.

    Parameters
    ----------
    lines : iterable of tuple of int and str
        The lines with their numbers.
    layout : Layout
        What a line should hold.

    Returns
    -------
    DataError
        What is wrong, with the line, and with the column if one field is to blame.
    """
    first, last = None, None
    for number, line in lines:
        fault = _line_fault(line, number, layout)
        if fault is not None:
            return fault
        first, last = first or number, number
    return DataError(
        f"rows up to line {last} cannot be read as numbers", file=layout.name, line=first
    )


def header_error(line: str, number: int, layout: "Layout") -> DataError:
    """Return the error about a header in the middle of a file."""
    again = "" if layout.header is None else " again"
    return DataError(
        f"header line{again}",
        file=layout.name,
        line=number,
        found=quoted(line.strip()),
        expected="a row of values",
        hint="was the file joined from several?",
    )


def field_error(field: str, line: int, place: int, layout: "Layout") -> DataError:
    """Return the error about one field.

    Parameters
    ----------
    field : str
        The field's text.
    line, place : int
        The line's number, and the field's index in it.
    layout : Layout
        What the line should hold.

    Returns
    -------
    DataError
        What is wrong with the field.
    """
    field = field.strip()
    is_label = place == layout.label
    largest = layout.options.largest_label if is_label else _LARGEST
    whole = f"a whole number from 0 to {largest}"
    number = float(field) if _NUMBER.fullmatch(field) else None
    hint = None
    if number is not None and not layout.options.floating and 0 <= number <= largest:
        hint = None if is_label and number % 1 else _FLOAT_HINT
    expected = whole
    if layout.options.floating and not is_label:
        expected = "a finite number of float32" if number else "a finite number"
    return DataError(
        ("label" if is_label else "pixel") + _complaint(field, number),
        file=layout.name,
        line=line,
        column=place + 1,
        found=quoted(field),
        expected=expected,
        hint=hint,
    )


def _complaint(field: str, number: float | None) -> str:
    if not field:
        return " is missing"
    if "\0" in field:
        return " holds a NUL byte"
    if any("\udc80" <= character <= "\udcff" for character in field):
        return " is not UTF-8 text"
    if number is None and field.lower().strip("+-") not in {"nan", "inf", "infinity"}:
        return " is not a number"
    return ""


def _line_fault(line: str, number: int, layout: "Layout") -> DataError | None:
    fields = split(line, layout.options.delimiter)
    if line.lstrip().startswith("#"):
        return _comment_error(line, number, layout.name)
    if layout.header is not None and layout.header.is_among([line]):
        return header_error(line, number, layout)
    if line.count('"') % 2:
        return DataError(
            "quote is not closed on its line", file=layout.name, line=number, column=len(fields)
        )
    if len(fields) != layout.width:
        return _width_fault(fields, number, layout)
    for place, field in enumerate(fields):
        # Nearly all of thousands of fields are found in the set, which is quick.
        if field not in _QUICKLY_FINE and not _is_fine(field.strip(), place, layout):
            return field_error(field, number, place, layout)
    return None


def _width_fault(fields: "Sequence[str]", number: int, layout: "Layout") -> DataError:
    hint = None
    if len(fields) == layout.width + 1 and not fields[-1].strip():
        hint = "the line ends in a delimiter"
    return DataError(
        "row is too short" if len(fields) < layout.width else "row is too long",
        file=layout.name,
        line=number,
        found=f"{len(fields)} values",
        expected=layout.width,
        hint=hint,
    )


def _is_fine(field: str, place: int, layout: "Layout") -> bool:
    if place == layout.label and not layout.options.own_labels:
        return True
    if not _NUMBER.fullmatch(field):
        return False
    if layout.options.floating:
        return abs(float(field)) < _FLOAT32_MAX
    return field.removeprefix("+").isdigit() and float(field) <= _LARGEST


def _comment_error(line: str, number: int, name: str) -> DataError:
    return DataError(
        "comment line",
        file=name,
        line=number,
        found=quoted(line.strip()),
        expected="a row of values",
        hint="remove the line",
    )
