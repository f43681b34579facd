"""The header of a CSV file: detection, and the meaning of column names."""

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from xpnet.datasets.csv_columns import CsvColumns, CsvHeader, split_fields
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xpnet.datasets.read_options import ReadOptions

__all__ = ["CERTAIN_WIDTH", "find_header", "has_names", "is_header", "is_zero", "named_columns"]

_LABEL_NAMES = ("label", "class", "target", "y")
_PIXEL_NAME = re.compile(r"(?:pixel)?\d+|\d+x\d+", re.IGNORECASE | re.ASCII)
_PIXEL_WORD = re.compile(r"pixel\d+|\d+x\d+", re.ASCII)
# Nearly all damaged values begin with another character.
_WORD = re.compile(r"\s*(?:[^\W\d]|\d+x\d+)")
_INDEX_NAME = re.compile(r"|unnamed: \d+", re.ASCII)  # as pandas writes it, and reads it back
_KNOWN_NAMES = "label, then pixel0 ... or pixel1 ... or 1x1, 1x2 ... in order"
# The values of a shorter row may well count up.
CERTAIN_WIDTH = 16


def find_header(line: str, number: int, name: str, options: "ReadOptions") -> CsvHeader | None:
    """Return the header of the file `name` if its first line is one, and None for values.

    Raise DataError if the line may be either, and the option `header` is "auto".
    """
    if options.header == "no":
        return None
    fields = split_fields(line, options.delimiter)
    is_long = len(fields) >= CERTAIN_WIDTH
    numbers = _counted_numbers(fields)
    certain_numbers = numbers if is_long else None
    is_certain = is_header(fields) or certain_numbers is not None
    header = CsvHeader(number, line.rstrip("\n"), is_certain, certain_numbers)
    if options.header == "yes" or is_certain or (numbers and _is_index(fields[0])):
        return header
    if numbers or (is_long and _are_column_numbers(fields)):
        msg, found = "ambiguous first line, a header or a row of values", quoted(header.text)
        hint = "use --header yes or no (in Python header='yes')"
        raise DataError(msg, file=name, line=number, found=found, hint=hint)
    return None


def has_names(header: CsvHeader, options: "ReadOptions") -> bool:
    """Return whether `named_columns` applies to a header.

    Otherwise it contains numbers in order, or unknown words that the caller accepts.
    """
    fields = split_fields(header.text, options.delimiter)
    names = list(map(_normalize, fields))
    if _is_index(fields[0]) or any(x in _LABEL_NAMES or _PIXEL_WORD.fullmatch(x) for x in names):
        return True
    numbers = _counted_numbers(fields)
    if all(map(_is_number, fields)):  # numbers out of order are rejected as names
        return numbers is None and _are_column_numbers(fields) and not _increase(fields)
    # header="yes" asserts that columns with unknown names are in order.
    return numbers is not None or options.header == "auto"


def is_header(fields: "Sequence[str]") -> bool:
    """Return whether most fields are words, or the first or last is the name of a label.

    A row of values with one invalid field is not a header.
    """
    if not {fields[0].strip().casefold(), fields[-1].strip().casefold()}.isdisjoint(_LABEL_NAMES):
        return True
    words = sum(_WORD.match(field) is not None and not _is_number(field) for field in fields)
    return 2 * words > len(fields)


def is_zero(field: str) -> bool:
    """Return whether a field is 0, the name that pandas gives to an unnamed column."""
    return _number(field) == 0


def named_columns(header: CsvHeader, name: str, options: "ReadOptions") -> CsvColumns:
    """Return the columns of the file `name` from the names in its header.

    Raise DataError if a name is unknown, out of order or repeated, if the number of pixels is not
    `features`, or if the header contradicts `label`.
    """
    number, fields = header.line, split_fields(header.text, options.delimiter)
    if _is_index(fields[0]) and options.label != "first":
        hint = (
            "if it is a pandas index, write the file with to_csv(index=False); if it is the label,"
            " use --label first (in Python label='first')"
        )
        msg, found = "column without a name", quoted(fields[0])
        raise DataError(msg, file=name, line=number, column=1, found=found, hint=hint)
    names = list(map(_normalize, fields))
    label = _label_column(names, number, name, options)
    pixels = [index for index in range(len(names)) if index != label]
    expected = _pixel_names({names[index] for index in pixels}, len(pixels))
    if expected or options.header != "yes":
        _check_names(fields, pixels, expected, number, name)
    if not pixels or (options.features or len(pixels)) != len(pixels):
        msg, found = "header", f"{len(pixels)} pixel columns"
        rule = options.features or "at least 1"
        raise DataError(msg, file=name, line=number, found=found, expected=rule)
    return CsvColumns(name, options, len(names), label, header)


def _check_names(
    fields: list[str], pixels: list[int], expected: list[str], number: int, name: str
) -> None:
    """Raise DataError unless the fields at `pixels` have the expected names, which must exist."""
    for index, rule in zip(pixels, expected or [_KNOWN_NAMES] * len(pixels), strict=True):
        if _normalize(fields[index]) != rule:
            hint = "or use --header yes if the columns are in order"
            raise DataError(
                "column name out of order" if expected else "column name",
                file=name,
                line=number,
                column=index + 1,
                found=quoted(fields[index]),
                expected=rule,
                hint=_label_hint(fields, index) if expected else hint,
            )


def _label_hint(fields: list[str], index: int) -> str | None:
    side = {0: "first", len(fields) - 1: "last"}.get(index)
    if side is None or _PIXEL_NAME.fullmatch(_normalize(fields[index])):
        return None
    return f"if it is the label, use --label {side} (in Python label='{side}')"


def _label_column(names: list[str], number: int, name: str, options: "ReadOptions") -> int | None:
    labels = [index for index, column in enumerate(names) if column in _LABEL_NAMES]
    last = len(names) - 1
    wanted = {"first": [0], "last": [last], "none": []}.get(options.label)
    if wanted and not labels and not _PIXEL_NAME.fullmatch(names[wanted[0]]):
        labels = wanted  # a column selected by the option may have any other name
    if labels != wanted and (wanted is not None or labels not in ([], [0], [last])):
        expected = "none, or the first or last column"
        if wanted is not None:
            expected = f"{options.label}, as set by --label (in Python label=)"
        found = " and ".join(f"column {index + 1}" for index in labels) or "none"
        msg = "label in the header"
        raise DataError(msg, file=name, line=number, found=found, expected=expected)
    return labels[0] if labels else None


def _pixel_names(names: set[str], count: int) -> list[str]:
    """Return the known sequence of `count` names that contains most of `names`, or []."""
    side = math.isqrt(count)
    known = [
        [f"{word}{i + start}" for i in range(count)] for word in ("pixel", "") for start in (0, 1)
    ]
    if side * side == count:
        known.append([f"{i // side + 1}x{i % side + 1}" for i in range(count)])
    best = max(known, key=lambda sequence: len(names.intersection(sequence)))
    return best if names.intersection(best) else []


def _counted_numbers(fields: "Sequence[str]") -> tuple[int, int] | None:
    """Return the first and last of numbers that count up from 0 or 1 in all columns.

    The first or the last column is ignored if it contains a word or 0.
    """
    if _count_up(fields):
        counted = fields
    elif _may_be_label_name(fields[0]) and _count_up(fields[1:]):
        counted = fields[1:]
    elif _may_be_label_name(fields[-1]) and _count_up(fields[:-1]):
        counted = fields[:-1]
    else:
        return None
    return int(float(counted[0])), int(float(counted[-1]))


def _count_up(fields: "Sequence[str]") -> bool:
    start = _number(fields[0]) if fields else None
    return start in {0, 1} and all(_number(x) == i for i, x in enumerate(fields, int(start)))


def _may_be_label_name(field: str) -> bool:
    return is_zero(field) or not _is_number(field)


def _are_column_numbers(fields: "Sequence[str]") -> bool:
    """Return whether fields are increasing integers, or those from 0 or 1 to n in any order."""
    numbers = list(map(_number, fields))
    if not all(number is not None and number.is_integer() for number in numbers):
        return False
    return _increase(fields) or _count_up(sorted(fields, key=float))


def _increase(fields: "Sequence[str]") -> bool:
    return all(float(a) < float(b) for a, b in pairwise(fields))


def _is_index(field: str) -> bool:
    return _INDEX_NAME.fullmatch(field.strip().casefold()) is not None


def _normalize(field: str) -> str:
    """Return a name in the form used for comparison: 0 for 0.0, pixel0 for Pixel0."""
    number = _number(field)
    if number is None or not number.is_integer():
        return field.strip().casefold()
    return str(int(number))


def _is_number(field: str) -> bool:
    return _number(field) is not None


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
