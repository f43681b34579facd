"""The first line of a CSV file: detection of a header, and the meaning of column names."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING

from xpnet.datasets.csv_columns import (
    LABEL_NAMES,
    CsvColumns,
    CsvHeader,
    split_fields,
    unnamed_columns,
)
from xpnet.datasets.csv_table import FEWEST_PIXELS, are_bytes, is_word, table_columns
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions

__all__ = [
    "CERTAIN_WIDTH",
    "check_first_line",
    "comment_error",
    "find_columns",
    "is_header",
    "is_zero",
]

_DELIMITERS = {";": "';'", "\t": "tab", "|": "'|'", ",": "comma", " ": "space"}
_PIXEL_NAME = re.compile(r"(?:pixel)?\d+|\d+x\d+", re.IGNORECASE | re.ASCII)
_PIXEL_WORD = re.compile(r"pixel\d+|\d+x\d+", re.ASCII)
# Nearly all damaged values begin with another character.
_WORD = re.compile(r"\s*(?:[^\W\d]|\d+x\d+)")
_INDEX_NAME = re.compile(r"|unnamed: \d+", re.ASCII)  # as pandas writes it, and reads it back
_KNOWN_NAMES = "label, then pixel0 ... or pixel1 ... or 1x1, 1x2 ... in order"
# The values of a shorter row may well count up.
CERTAIN_WIDTH = 16


def check_first_line(line: str, number: int, name: str, options: "ReadOptions") -> None:
    """Raise DataError, with the right delimiter, if a line is a comment or has another one."""
    if line.lstrip().startswith("#"):
        raise comment_error(line, number, name)
    is_other = options.delimiter == "," and not {";", "\t"}.isdisjoint(line.strip())
    if len(split_fields(line, options.delimiter)) > 1 and (not is_other or '"' in line):
        return
    for delimiter, word in _DELIMITERS.items():
        if delimiter != options.delimiter and delimiter in line.strip():
            used = _DELIMITERS.get(options.delimiter, quoted(options.delimiter))
            msg = f"no {used} between the values"
            hint = f"try --delimiter {word} (in Python delimiter={delimiter!r})"
            raise DataError(msg, file=name, line=number, found=quoted(line.strip()), hint=hint)


def comment_error(line: str, number: int, name: str) -> DataError:
    """Return the error for a comment line."""
    found, rule, hint = quoted(line.strip()), "a row of values", "remove the line"
    return DataError("comment line", file=name, line=number, found=found, expected=rule, hint=hint)


def find_columns(
    first: tuple[int, str], following: Iterable[tuple[int, str]], name: str, options: "ReadOptions"
) -> CsvColumns:
    """Return the columns of the file `name` from its first line and the lines after it, numbered.

    Raise DataError if the first line may be a header or a row of values, and the option `header` is
    "auto"; if a name is out of order or repeated; and as `unnamed_columns` and `table_columns` do.
    """
    number, line = first
    fields = split_fields(line.rstrip("\n"), options.delimiter)
    header = _find_header(line, fields, number, name, options)
    lines = chain([first] if header is None else [], following)
    ahead = list(islice(lines, 2))
    lines = chain(ahead, lines)
    rows = [split_fields(line.rstrip("\n"), options.delimiter) for _, line in ahead]
    # Most programs write even the zeros of such a file with a point.
    has_points = bool(rows) and 2 * sum("." in x or "," in x for x in rows[0]) >= len(rows[0])
    options = replace(options, floating=options.floating or has_points)
    columns = CsvColumns(name, options, len(fields), None, header)
    if _is_table(fields, rows, columns, has_points=has_points):
        names = list(map(str, range(1, len(fields) + 1))) if header is None else fields
        return table_columns(names, lines, columns)
    if header is not None and _are_names(fields, options):
        columns = _named_columns(fields, header, name, options)
    else:
        columns = unnamed_columns((line for _, line in lines), number, columns)
    label = columns.label
    # One label that is not a number may be a fault; if there are two, labels are names.
    if (
        label is not None
        and len(rows) > 1
        and all(is_word(row[label]) for row in rows if row[label:])
    ):
        numbers = tuple(i for i in range(columns.width) if i != label)
        return replace(columns, numbers=numbers, has_names=True)
    return columns


def _is_table(
    fields: Sequence[str], rows: Sequence[Sequence[str]], columns: CsvColumns, *, has_points: bool
) -> bool:
    """Return whether a file is a table of measurements: its first line and rows are no pixels."""
    options, width = columns.options, len(fields)
    squares = [n * (math.isqrt(n) ** 2 == n) for n in (width, width - 1)]
    if options.names_columns:
        return True
    if columns.header is None:
        if len(rows) > 1 and any(all(map(is_word, pair)) for pair in zip(*rows, strict=False)):
            return True
        return has_points and max(squares) < CERTAIN_WIDTH
    names = list(map(_normalize, fields))
    n_pixels = sum(_PIXEL_NAME.fullmatch(x) is not None for x in names)
    if 2 * n_pixels >= width - 1 or any(map(_PIXEL_WORD.fullmatch, names)) or not is_header(fields):
        return False
    may_be_pixels = options.header == "yes" or max(squares) >= FEWEST_PIXELS
    return not (may_be_pixels and all(map(are_bytes, rows)))


def _find_header(
    line: str, fields: Sequence[str], number: int, name: str, options: "ReadOptions"
) -> CsvHeader | None:
    if options.header == "no":
        return None
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


def _are_names(fields: Sequence[str], options: "ReadOptions") -> bool:
    """Return whether the fields of a header name the columns.

    Otherwise they are numbers in order, or unknown words that the caller accepts.
    """
    names = list(map(_normalize, fields))
    if _is_index(fields[0]) or any(x in LABEL_NAMES or _PIXEL_WORD.fullmatch(x) for x in names):
        return True
    numbers = _counted_numbers(fields)
    if None not in map(_number, fields):  # numbers out of order are rejected as names
        return numbers is None and _are_column_numbers(fields) and not _increase(fields)
    # header="yes" asserts that columns with unknown names are in order.
    return numbers is not None or options.header == "auto"


def is_header(fields: Sequence[str]) -> bool:
    """Return whether most fields are words, or the first or last is the name of a label.

    A row of values with one invalid field is not a header.
    """
    if not {fields[0].strip().casefold(), fields[-1].strip().casefold()}.isdisjoint(LABEL_NAMES):
        return True
    if len(fields) > 1 and all(map(is_word, fields)):
        return True
    words = sum(_WORD.match(field) is not None and _number(field) is None for field in fields)
    return 2 * words > len(fields)


def is_zero(field: str) -> bool:
    """Return whether a field is 0, the name that pandas gives to an unnamed column."""
    return _number(field) == 0


def _named_columns(
    fields: Sequence[str], header: CsvHeader, name: str, options: "ReadOptions"
) -> CsvColumns:
    number = header.line
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
    rules = expected or [_KNOWN_NAMES] * len(pixels)
    accepted = not expected and options.header == "yes"
    for index, rule in zip(pixels, rules, strict=True):
        if names[index] != rule and not accepted:
            hint = "or use --header yes if the columns are in order"
            raise DataError(
                "column name out of order" if expected else "column name",
                file=name,
                line=number,
                column=index + 1,
                found=quoted(fields[index]),
                expected=rule,
                hint=_label_hint(names, index) if expected else hint,
            )
    if not pixels or (options.features or len(pixels)) != len(pixels):
        msg, found = "header", f"{len(pixels)} pixel columns"
        n_expected = options.features or "at least 1"
        raise DataError(msg, file=name, line=number, found=found, expected=n_expected)
    return CsvColumns(name, options, len(names), label, header)


def _label_hint(names: list[str], index: int) -> str | None:
    side = {0: "first", len(names) - 1: "last"}.get(index)
    if side is None or _PIXEL_NAME.fullmatch(names[index]):
        return None
    return f"if it is the label, use --label {side} (in Python label='{side}')"


def _label_column(names: list[str], number: int, name: str, options: "ReadOptions") -> int | None:
    labels = [index for index, column in enumerate(names) if column in LABEL_NAMES]
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


def _counted_numbers(fields: Sequence[str]) -> tuple[int, int] | None:
    """Return the first and last of numbers that count up from 0 or 1 in all columns.

    The first or the last column is ignored if it contains a word or 0.
    """
    parts = [fields]
    parts += [fields[1:]] * (_number(fields[0]) in {None, 0})
    parts += [fields[:-1]] * (_number(fields[-1]) in {None, 0})
    counted = next(filter(_count_up, parts), None)
    return None if counted is None else (int(float(counted[0])), int(float(counted[-1])))


def _count_up(fields: Sequence[str]) -> bool:
    start = _number(fields[0]) if fields else None
    return start in {0, 1} and all(_number(x) == i for i, x in enumerate(fields, int(start)))


def _are_column_numbers(fields: Sequence[str]) -> bool:
    """Return whether fields are increasing integers, or those from 0 or 1 to n in any order."""
    numbers = list(map(_number, fields))
    if not all(number is not None and number.is_integer() for number in numbers):
        return False
    return _increase(fields) or _count_up(sorted(fields, key=float))


def _increase(fields: Sequence[str]) -> bool:
    return all(float(a) < float(b) for a, b in pairwise(fields))


def _is_index(field: str) -> bool:
    return _INDEX_NAME.fullmatch(field.strip().casefold()) is not None


def _normalize(field: str) -> str:
    """Return a name in the form used for comparison: 0 for 0.0, pixel0 for Pixel0."""
    number = _number(field)
    if number is None or not number.is_integer():
        return field.strip().casefold()
    return str(int(number))


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
