"""CSV tables of measurements: the columns of numbers, and the column of labels."""

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.datasets.csv_columns import LABEL_NAMES, CsvColumns, split_fields
from xpnet.files import DataError, DataWarning, quoted
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.datasets.blocks import Block

__all__ = [
    "FEWEST_PIXELS",
    "are_bytes",
    "is_name",
    "is_word",
    "parse_table",
    "split_rows",
    "table_columns",
]

FEWEST_PIXELS = 64  # in a table of fewer columns, integers are measurements

_INDEX_NAME = re.compile(r"|unnamed: \d+|id|index|rownames", re.ASCII)
_NUMBER = re.compile(r"\d+(\.0*)?", re.ASCII)
_POINT = re.compile(r"(?<![\w.])\d*\.\d++(?!\.)", re.ASCII)  # then commas separate thousands
_MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
_MOST_FIELDS, _FEWEST_ROWS, _FEWEST_COUNTED, _MOST_CLASSES, _MOST_SHOWN = 1 << 20, 100, 6, 256, 6


def table_columns(
    names: Sequence[str], lines: Iterable[tuple[int, str]], columns: CsvColumns
) -> CsvColumns:
    """Return the columns of a table, whose `lines` are numbered: its label, and its numbers.

    The label is the column in the option `label`; or named label, class, target or y; or the only
    column of text; or the first or last one, if it holds class numbers. Columns in the option
    `drop`, and row numbers in the first column, are left out. Raise DataError if several columns
    may be the label, or others hold text or lack values; the message contains all of them.
    """
    options, names = columns.options, [name.strip() for name in names]
    numbered = list(islice(lines, max(_FEWEST_ROWS, _MOST_FIELDS // len(names))))
    fields = split_rows([text for _, text in numbered], columns)
    if not numbered:
        msg = "no rows below the header"
        raise DataError(msg, file=columns.name)
    rows = {i: row for (i, _), row in zip(numbered, fields, strict=True) if len(row) == len(names)}
    values: list[Sequence[str]] = list(zip(*rows.values(), strict=True)) or [()] * len(names)
    dropped, notes = {_place(name, names, columns) for name in options.drop}, []
    counts = [[str(i + start) for i in range(len(rows))] for start in (0, 1)]
    is_index = len(rows) >= _FEWEST_COUNTED and [*values[0]] in counts
    is_index |= names[0].casefold().endswith(("_id", " id")) and len({*values[0]}) == len(rows)
    if 0 not in dropped and (is_index or _INDEX_NAME.fullmatch(names[0].casefold())):
        dropped.add(0)
        notes.append(f"column 1, {quoted(names[0])}, is left out as row numbers")
    kept = [i for i in range(len(names)) if i not in dropped]
    # Single words among numbers are faults, which are found later.
    n_words = {i: sum(map(is_word, values[i])) for i in kept}
    text = [i for i in kept if 10 * n_words[i] > sum(not _is_missing(x) for x in values[i])]
    label, is_guess = _label(names, values, kept, text, columns)
    if is_guess and label is not None and options.own_labels:
        notes.append(f"column {label + 1}, {quoted(names[label])}, is read as the label")
    numbers = tuple(i for i in kept if i != label)
    columns = replace(columns, label=label, numbers=numbers, has_names=label in text)
    _check(names, rows, text, columns)
    if notes:
        msg = f"{printable(columns.name)}: {'; '.join(notes)} (--label and --drop choose others)"
        warnings.warn(msg, DataWarning, stacklevel=6)
    is_picture = math.isqrt(len(numbers)) ** 2 == len(numbers) >= FEWEST_PIXELS
    is_picture &= all(are_bytes(row[i] for i in numbers) for row in rows.values())
    return replace(columns, options=replace(options, floating=options.floating or not is_picture))


def parse_table(texts: Sequence[str], columns: CsvColumns) -> "Block | None":
    """Return the numbers and labels of lines, or None if a value is not valid."""
    options, label, numbers, labels = columns.options, columns.label, columns.numbers or (), None
    rows = split_rows(texts, columns)
    if any(len(row) != columns.width for row in rows):
        return None
    if label is not None and options.own_labels:
        found: list[Any] = [row[label] for row in rows]
        if columns.has_names:
            is_valid = all(map(is_name, found))
        else:
            found = [float(x) if _NUMBER.fullmatch(x) else math.inf for x in found]
            is_valid = max(found) <= options.largest_label
        if not is_valid:
            return None
        labels = np.asarray(found, None if columns.has_names else np.uint8)
    cells = [";".join(row[i] for i in numbers) for row in rows]
    if not all(cells):  # NumPy warns of input without numbers
        return None
    with suppress(ValueError):
        dtype = np.float32 if options.floating else np.uint8
        table = np.loadtxt(cells, dtype, comments=None, delimiter=";", ndmin=2)
        if table.shape == (len(rows), len(numbers)) and np.isfinite(table).all():
            return table, labels
    return None


def is_word(field: str) -> bool:
    """Return whether a field is neither a number nor the mark of a missing value."""
    with suppress(ValueError):
        float(field.replace(",", "."))
        return False
    return not _is_missing(field)


def is_name(field: str) -> bool:
    """Return whether a field can be the name of a class: printable, and not missing."""
    return field.isprintable() and not _is_missing(field)


def _is_missing(field: str) -> bool:
    return field.strip().casefold() in _MISSING


def are_bytes(row: Iterable[str]) -> bool:
    """Return whether fields are integers from 0 to 255."""
    return all(x.strip().isdecimal() and float(x) <= 255 for x in row)


def split_rows(texts: Sequence[str], columns: CsvColumns) -> list[list[str]]:
    """Return the fields of lines without blanks around them; decimal commas become points."""
    delimiter = columns.options.delimiter
    if delimiter != ",":
        texts = [x if _POINT.search(x) else re.sub(r"(?<=\d),(?=\d)", ".", x) for x in texts]
    return [[x.strip() for x in split_fields(text.rstrip("\n"), delimiter)] for text in texts]


def _place(name: str, names: Sequence[str], columns: CsvColumns) -> int:
    """Return the index of a column by its name, or by its number from 1."""
    if name in names:
        return names.index(name)
    if name.isdecimal() and 1 <= float(name) <= len(names):
        return int(name) - 1
    msg, hint = f"no column {quoted(name)}", "give a name of the header, or a number from 1"
    raise DataError(msg, file=columns.name, found=_listed(map(quoted, names)), hint=hint)


def _label(
    names: Sequence[str],
    values: Sequence[Sequence[str]],
    kept: list[int],
    text: list[int],
    columns: CsvColumns,
) -> tuple[int | None, bool]:
    """Return the index of the label column, if any, and whether only its values show it."""
    options, ends = columns.options, {"first": kept[:1], "last": kept[-1:], "none": []}
    if options.label in ends:
        return next(iter(ends[options.label]), None), False
    if options.label != "auto":
        return _place(options.label, names, columns), False
    found = [i for i in kept if names[i].casefold() in LABEL_NAMES]
    is_guess = not found and not text and len(kept) != options.features
    if is_guess:
        found = list(dict.fromkeys(ends["first"] + ends["last"]))
        found = [i for i in found if 1 < len({*values[i]}) < len(values[i])]
        largest = options.largest_label
        found = [i for i in found if all(x.isdecimal() and float(x) <= largest for x in values[i])]
    if len(found) > 1:
        msg, hint = "ambiguous label column", "use --label NAME (in Python label='NAME')"
        listed = _listed(quoted(names[i]) for i in found)
        raise DataError(msg, file=columns.name, found=listed, hint=hint)
    if not found and len(text) == 1:  # texts that never repeat are no classes
        n_rows, n_names = len(values[text[0]]), len({*values[text[0]]})
        found = text if n_names < n_rows or n_rows < _FEWEST_COUNTED else []
    return (found[0] if found else None), is_guess


def _check(
    names: Sequence[str], rows: dict[int, list[str]], text: Sequence[int], columns: CsvColumns
) -> None:
    """Raise DataError unless a table has numbers, and as many of them as the network expects."""
    options, label, numbers = columns.options, columns.label, columns.numbers or ()
    words = [names[i] for i in numbers if i in text]
    used = [i for i in numbers if i not in text]
    used += [] if label is None or not options.own_labels else [label]
    gaps = [(n, names[i]) for n, row in rows.items() for i in used if _is_missing(row[i])]
    classes = {row[label] for row in rows.values()} if columns.has_names and label in used else ()
    faults = []
    if words:
        hint = "--label NAME chooses the label, " if label is None else ""
        hint += f"--drop {quoted(','.join(words))} leaves columns out"
        faults.append((f"text in {_listed(map(quoted, words))}", hint))
    elif rows and len(numbers) != (options.features or len(numbers) or 1):
        found = _listed(quoted(names[i]) for i in numbers)
        what = f"{len(numbers)} instead of {options.features or 'some'} columns of numbers, {found}"
        faults.append((what, "--label, --drop and --model choose others"))
    if gaps:
        numbered, places = map(dict.fromkeys, zip(*gaps, strict=True))
        what = f"values missing in {_listed(map(quoted, places))} (line {_listed(numbered)})"
        faults.append((what, "complete or remove these lines"))
    if len(classes) > _MOST_CLASSES:
        faults.append((f"{len(classes)} different labels, more than {_MOST_CLASSES}", "--label"))
    if faults:
        whats, hints = zip(*faults, strict=True)
        raise DataError("; ".join(whats), file=columns.name, hint="; ".join(hints))


def _listed(shown: Iterable[object]) -> str:
    first = list(map(str, shown))
    more = f" and {len(first) - _MOST_SHOWN} more" * (len(first) > _MOST_SHOWN)
    return ", ".join(first[:_MOST_SHOWN]) + more
