"""The header of a CSV file: detection, and names of columns."""

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from xpnet.datasets.csv_columns import Header, Layout, split
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xpnet.datasets.read_options import Options

__all__ = ["CERTAIN_WIDTH", "find_header", "has_names", "is_header", "is_zero", "named_columns"]

_LABEL_NAMES = ("label", "class", "target", "y")
_PIXEL_NAME = re.compile(r"(?:pixel)?\d+|\d+x\d+", re.IGNORECASE | re.ASCII)
_PIXEL_WORD = re.compile(r"pixel\d+|\d+x\d+", re.ASCII)
# Nearly all damaged values begin with no letter.
_WORD = re.compile(r"\s*(?:[^\W\d]|\d+x\d+)")
_INDEX_NAME = re.compile(r"|unnamed: \d+", re.ASCII)  # as pandas writes it, and reads it back
_KNOWN_NAMES = "label, then pixel0 ... or pixel1 ... or 1x1, 1x2 ... in order"
# The values of a shorter row may well count up.
CERTAIN_WIDTH = 16


def find_header(line: str, number: int, name: str, options: "Options") -> Header | None:
    """Return the header of a file, if its first line is one.

    Parameters
    ----------
    line, number : str, int
        The first line that is not blank, and its number.
    name : str
        The file's name.
    options : Options
        `header` and `delimiter` are used.

    Returns
    -------
    Header or None
        The header; None if the line is a row of values.

    Raises
    ------
    DataError
        If the line may be either, and `header` is "auto".
    """
    if options.header == "no":
        return None
    fields = split(line, options.delimiter)
    is_long = len(fields) >= CERTAIN_WIDTH
    count = _count_in(fields)
    long_count = count if is_long else None
    is_certain = is_header(fields) or long_count is not None
    header = Header(number, line.rstrip("\n"), is_certain, long_count)
    if options.header == "yes" or is_certain or (count and _is_index(fields[0])):
        return header
    if count or (is_long and _are_column_numbers(fields)):
        msg = "first line, it may be a header or a row of values"
        raise DataError(
            msg,
            file=name,
            line=number,
            found=quoted(header.text),
            hint="say --header yes or no (in Python header='yes')",
        )
    return None


def has_names(header: Header, options: "Options") -> bool:
    """Return whether a header holds names, or else numbers in order or words of unknown meaning.

    Parameters
    ----------
    header : Header
        The header.
    options : Options
        `delimiter` is used.

    Returns
    -------
    bool
        Whether `named_columns` can read it.
    """
    fields = split(header.text, options.delimiter)
    names = list(map(_as_name, fields))
    if _is_index(fields[0]) or any(x in _LABEL_NAMES or _PIXEL_WORD.fullmatch(x) for x in names):
        return True
    count = _count_in(fields)
    if all(map(_is_number, fields)):  # numbers out of order are names that are refused
        return count is None and _are_column_numbers(fields) and not _increase(fields)
    # Words of unknown meaning are left to the caller, who says that the columns are in order.
    return count is not None or options.header == "auto"


def is_header(fields: "Sequence[str]") -> bool:
    """Tell a header from a row of values, one of which may be wrong.

    Parameters
    ----------
    fields : sequence of str
        The fields of the file's first line.

    Returns
    -------
    bool
        Whether most fields are words, or the first or last is the name of a label.
    """
    if not {fields[0].strip().casefold(), fields[-1].strip().casefold()}.isdisjoint(_LABEL_NAMES):
        return True
    words = sum(_WORD.match(field) is not None and not _is_number(field) for field in fields)
    return 2 * words > len(fields)


def is_zero(field: str) -> bool:
    """Return whether a field is 0, which is how pandas names a column without a name."""
    return _number(field) == 0


def named_columns(header: Header, name: str, options: "Options") -> Layout:
    """Read the names of a header.

    Parameters
    ----------
    header : Header
        The header.
    name : str
        The file's name.
    options : Options
        `label`, `features`, `header` and `delimiter` are used.

    Returns
    -------
    Layout
        The columns.

    Raises
    ------
    DataError
        If a name is unknown, out of order or there twice, if there are not as many pixels as
        `features`, or if the header contradicts `label`.
    """
    number, fields = header.number, split(header.text, options.delimiter)
    if _is_index(fields[0]) and options.label != "first":
        msg = "column without a name"
        raise DataError(
            msg,
            file=name,
            line=number,
            column=1,
            found=quoted(fields[0]),
            hint="if it is the index of pandas, write the file by to_csv(index=False); if it is"
            " the label, say --label first (in Python label='first')",
        )
    names = list(map(_as_name, fields))
    label = _named_label(names, number, name, options)
    places = [place for place in range(len(names)) if place != label]
    expected = _pixel_names({names[place] for place in places}, len(places))
    if expected or options.header != "yes":
        _check_names(fields, places, expected, number, name)
    if not places or (options.features or len(places)) != len(places):
        msg = "header"
        raise DataError(
            msg,
            file=name,
            line=number,
            found=f"{len(places)} pixel columns",
            expected=options.features or "at least 1",
        )
    return Layout(name, options, len(names), label, header)


def _check_names(
    fields: list[str], places: list[int], expected: list[str], number: int, name: str
) -> None:
    """Raise DataError if the names at `places` are not the expected ones, or if there are none."""
    for place, rule in zip(places, expected or [_KNOWN_NAMES] * len(places), strict=True):
        if _as_name(fields[place]) != rule:
            hint = "or say --header yes if the columns are in order"
            raise DataError(
                "column name out of order" if expected else "column name",
                file=name,
                line=number,
                column=place + 1,
                found=quoted(fields[place]),
                expected=rule,
                hint=_label_hint(fields, place) if expected else hint,
            )


def _label_hint(fields: list[str], place: int) -> str | None:
    side = {0: "first", len(fields) - 1: "last"}.get(place)
    if side is None or _PIXEL_NAME.fullmatch(_as_name(fields[place])):
        return None
    return f"if it is the label, say --label {side} (in Python label='{side}')"


def _named_label(names: list[str], number: int, name: str, options: "Options") -> int | None:
    labels = [place for place, column in enumerate(names) if column in _LABEL_NAMES]
    last = len(names) - 1
    wanted = {"first": [0], "last": [last], "none": []}.get(options.label)
    if wanted and not labels and not _PIXEL_NAME.fullmatch(names[wanted[0]]):
        labels = wanted  # any name will do for the column that the caller points at
    if labels != wanted and (wanted is not None or labels not in ([], [0], [last])):
        columns = " and ".join(f"column {place + 1}" for place in labels)
        auto = "none, or the first or last column"
        msg = "label in the header"
        raise DataError(
            msg,
            file=name,
            line=number,
            found=columns or "none",
            expected=auto if wanted is None else f"{options.label}, as the option says",
        )
    return labels[0] if labels else None


def _pixel_names(names: set[str], count: int) -> list[str]:
    """Return the known sequence of names that most of `names` belong to, or none."""
    side = math.isqrt(count)
    known = [
        [f"{prefix}{place + start}" for place in range(count)]
        for prefix in ("pixel", "")
        for start in (0, 1)
    ]
    if side * side == count:
        known.append([f"{i // side + 1}x{i % side + 1}" for i in range(count)])
    best = max(known, key=lambda sequence: len(names.intersection(sequence)))
    return best if names.intersection(best) else []


def _count_in(fields: "Sequence[str]") -> tuple[int, int] | None:
    """Return the first and the last of numbers that count up from 0 or 1 in all columns.

    Or in all but the first or the last one, if that holds a word or 0.
    """
    if _is_count(fields):
        counting = fields
    elif _is_apart(fields[0]) and _is_count(fields[1:]):
        counting = fields[1:]
    elif _is_apart(fields[-1]) and _is_count(fields[:-1]):
        counting = fields[:-1]
    else:
        return None
    return int(float(counting[0])), int(float(counting[-1]))


def _is_count(fields: "Sequence[str]") -> bool:
    start = _number(fields[0]) if fields else None
    return start in {0, 1} and all(_number(x) == i for i, x in enumerate(fields, int(start)))


def _is_apart(field: str) -> bool:
    return is_zero(field) or not _is_number(field)


def _are_column_numbers(fields: "Sequence[str]") -> bool:
    """Return whether fields are different whole numbers that increase, or a count in disorder."""
    numbers = list(map(_number, fields))
    if not all(number is not None and number.is_integer() for number in numbers):
        return False
    return _increase(fields) or _is_count(sorted(fields, key=float))


def _increase(fields: "Sequence[str]") -> bool:
    return all(float(a) < float(b) for a, b in pairwise(fields))


def _is_index(field: str) -> bool:
    return _INDEX_NAME.fullmatch(field.strip().casefold()) is not None


def _as_name(field: str) -> str:
    """Return a name as it is compared: 0.0 is 0, Pixel0 is pixel0."""
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
