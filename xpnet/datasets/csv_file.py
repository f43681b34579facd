"""CSV files as Kaggle and pandas write them, parsed by NumPy in blocks of lines.

Three rules find the header, the label and the dtype. Where they do not decide, an error names the
option, or pandas, which reads other files and writes plain ones.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from math import isqrt
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import REGRESSION, Block, RowBlocks
from xpnet.datasets.csv_fields import count_up, is_class, is_name, is_number
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source

__all__ = ["open_csv", "open_csv_labels"]

Line = tuple[int, str]

_LABELS = {"label", "class", "target", "y"}
_NO_NAME = re.compile(r"|unnamed: \d+(\.\d+)?", re.IGNORECASE)  # the second as pandas names it
_ROW_NUMBERS = re.compile(rf"{_NO_NAME.pattern}|(.*[_ ])?id|index", re.IGNORECASE)
_FEWEST_PIXELS = 64  # fewer numbers in a row are measurements
_MOST_SHOWN = 20  # columns in an error
_ROWS_AHEAD = 100
_load = partial(np.loadtxt, comments=None, quotechar='"', ndmin=2)
_IS_HEADER = "is it a header? Use --header yes or no (in Python header='yes')"
_OTHERS = "--label, --drop and --delimiter choose others"
_PANDAS = (
    "pandas writes a plain file: pandas.read_csv(FILE, sep=..., decimal=..., encoding=...)"
    ".dropna().to_csv('plain.csv', index=False)"
)
_RULES: dict[Any, tuple[str, str]] = {
    np.float32: ("a finite number", _PANDAS),
    np.uint8: ("an integer from 0 to 255", "--float takes any numbers (in Python floating=True)"),
    "label": (
        "the name of a class, or an integer from 0 to 255 in all rows",
        f"{REGRESSION}; {_PANDAS}",
    ),
}


def open_csv(source: "Source", options: "ReadOptions") -> RowBlocks:
    """Open a CSV file of rows of numbers, with labels if there is a column of labels.

    The rows have the shape (n, n_numbers), and are float32, or uint8 if there are 64 numbers or
    more and `floating` is false. Errors of lines come from the blocks.
    """
    table = _Table(source, options)
    names, word = table.names, table.word
    dropped = {table.place(x) for x in options.drop}
    label = table.find_label([i for i in range(table.width) if i not in dropped])
    if names and _ROW_NUMBERS.fullmatch(names[0]):
        dropped.add(0)
    numbers = [i for i in range(table.width) if i not in {*dropped, label}]
    table.check(numbers, label)
    is_pixels = len(numbers) >= _FEWEST_PIXELS and not options.floating
    wanted = label if options.own_labels else None
    return RowBlocks(
        table.blocks(numbers, wanted, np.uint8 if is_pixels else np.float32),
        label=None if wanted is None else quoted(word(wanted)),
        names=tuple(names[i] for i in numbers) if names else None,
        left_out=tuple(word(i) for i in sorted(dropped - {label})),
    )


def open_csv_labels(source: "Source", options: "ReadOptions") -> NDArray[Any]:
    """Read the labels of a CSV file of one column, shape (n,): uint8, or strings."""
    table = _Table(source, options)
    if table.width > 1:
        table.reject(f"labels must be one column; got {table.width} columns")
    is_certain = not table.names or table.names[0].casefold() in _LABELS or not table.text
    if options.header == "auto" and not is_certain:
        table.reject(f"a word above words, {quoted(table.names[0])}; {_IS_HEADER}")
    blocks = table.blocks([], 0, np.float32)
    return np.concatenate([labels for _, labels in blocks if labels is not None])


class _Table:
    """The lines of a CSV file, and what the first ones tell about its columns."""

    def __init__(self, source: "Source", options: "ReadOptions") -> None:
        self.file, self.options, self.delimiter = source.name, options, options.delimiter
        self.first: Line = (1, "")
        self.lines = self.numbered(source)
        ahead = list(islice(self.lines, _ROWS_AHEAD))
        if not ahead:
            self.reject("file is empty")
        self.first = ahead[0]
        fields = self.fields(self.first)
        self.width = len(fields)
        if self.width == 1 and (mark := re.search("[;|\t]", fields[0])):
            hint = f"use --delimiter {mark[0]!r}, or {_PANDAS}"
            self.reject(f"no delimiter in {quoted(fields[0])}; {hint}")
        self.names = fields if self.has_header(fields) else []  # empty without a header
        self.ahead = ahead[bool(self.names) :]
        self.lines = chain(self.ahead, self.lines)
        self.check_widths(self.ahead[:1])
        row = self.fields(self.ahead[0]) if self.ahead else []
        self.text = {i for i, x in enumerate(row) if not is_number(x)}  # columns of text

    def reject(self, what: str, line: Line | None = None, column: int | None = None) -> NoReturn:
        raise DataError(what, file=self.file, line=(line or self.first)[0], column=column)

    def numbered(self, source: "Source") -> Iterator[Line]:
        """Yield the lines that are not blank, without their ends, and their numbers."""
        # Bytes that are not UTF-8 are kept until here, so that their line is known.
        file = io.TextIOWrapper(source, "utf-8-sig", "surrogateescape")
        blanks = " \t".replace(self.delimiter, "")
        for line in enumerate(file, 1):
            number, text = line
            if "\0" in text or (not text.isascii() and re.search("[\udc80-\udcff]", text)):
                other = f"(a network is given by --model); {_PANDAS}"
                self.reject(f"line must be UTF-8; got {quoted(text)} {other}", line)
            if text.lstrip().startswith("#"):
                self.reject(f"comment line {quoted(text)}; remove it", line)
            row = " ".join(text.split()) if self.delimiter == " " else text.rstrip("\n")
            if row.lstrip(blanks):
                yield number, row

    def fields(self, line: Line) -> list[str]:
        """Return the fields of a line without quotes, and without blanks around them."""
        mark = self.delimiter
        if '"' not in line[1]:
            return [x.strip() for x in line[1].split(mark)]
        try:
            rows = csv.reader([line[1]], delimiter=mark, skipinitialspace=mark != " ", strict=True)
            return [x.strip() for x in next(rows)]
        except csv.Error as error:
            self.reject(f"quotes: {error}; {_PANDAS}", line)

    def check_widths(self, lines: list[Line]) -> None:
        """Reject a row with more or fewer values than the first line."""
        for line in lines:
            n = len(self.fields(line)) if '"' in line[1] else line[1].count(self.delimiter) + 1
            if n != self.width:
                rule = f"{self.width}, as in line {self.first[0]}"
                self.reject(f"number of values must be {rule}; got {n} values", line)

    def has_header(self, fields: list[str]) -> bool:
        """Return whether the first line is one of names; reject it if that is unclear."""
        if self.options.header != "auto":
            return self.options.header == "yes"
        are_names = [is_name(x) for x in fields]
        # There may be a column of labels.
        counts = any(map(count_up, (fields, fields[1:], fields[:-1])))
        if counts or (any(are_names) and not all(are_names)):
            what = "names and numbers, or numbers that count up, in the first line"
            self.reject(f"{what}, {quoted(self.first[1])}; {_IS_HEADER}")
        return all(are_names)

    def word(self, index: int) -> str:
        """Return the word for a column in an option: its name, or its number from 1."""
        name = self.names[index] if self.names else ""
        return name if name and "," not in name and self.names.count(name) == 1 else str(index + 1)

    def place(self, word: str) -> int:
        """Return the index of a column by its name, or by its number from 1."""
        if self.names.count(word) == 1:
            return self.names.index(word)
        if word in self.names or not (word.isdecimal() and 1 <= int(word) <= self.width):
            found = quoted(", ".join(self.names)) if self.names else f"{self.width} columns"
            rule = f"the name of one column, or a number from 1 to {self.width}"
            self.reject(f"{quoted(word)} must be {rule}; got {found}")
        return int(word) - 1

    def find_label(self, kept: list[int]) -> int | None:
        """Return the label among the columns `kept`, if any."""
        label, features, width = self.options.label, self.options.features, len(kept)
        ends = {"first": kept[:1], "last": kept[-1:], "none": []}
        if label in ends:
            return next(iter(ends[label]), None)
        if label != "auto":
            return self.place(label)
        found = [i for i in kept if self.names and self.names[i].casefold() in _LABELS]
        if len(found) > 1:
            names = ", ".join(map(self.word, found))
            self.reject(f"several labels, {names}; {_OTHERS}")
        is_square = width >= _FEWEST_PIXELS and isqrt(width) ** 2 == width
        fits = width == features or (features is None and is_square)
        if not self.names and not fits and self.text.isdisjoint(kept):
            hint = "use --label first, last or none (in Python label='first')"
            self.reject(f"{width} columns without names; {hint}")
        return found[0] if found else None

    def check(self, numbers: list[int], label: int | None) -> None:
        """Reject columns that are no numbers, count the rows, have no names, or are not ordered."""
        words = [self.word(i) for i in [x for x in numbers if x in self.text][:_MOST_SHOWN]]
        if words:
            hint = f"--drop {quote(','.join(words))} leaves it out, or {_PANDAS}"
            if label is None:
                hint = f"--label {quote(words[0])} if it is the label, {hint}"
            self.reject(f"column of text, {quoted(', '.join(words))}; {hint}")
        n_numbers, rule = len(numbers), self.options.features
        if not numbers or (rule is not None and n_numbers != rule):
            what = f"number of columns must be {rule or 'at least 1'}"
            self.reject(f"{what}; got {n_numbers} columns of numbers; {_OTHERS}")
        firsts = [self.fields(line)[0] for line in self.ahead] if numbers[0] == 0 else []
        if len(firsts) >= 3 and count_up(firsts) and float(firsts[0]) in {0, 1}:
            self.reject("column 1 counts the rows; --drop 1 leaves it out")
        names = {i: self.names[i] for i in numbers if self.names}
        counts = Counter(names.values())
        for i, name in names.items():
            if counts[name] > 1 or _NO_NAME.fullmatch(name):
                what = f"column must have a name of its own; got {quoted(name)}"
                self.reject(f"{what}; --drop {i + 1} leaves it out", column=i + 1)
        is_series = len({re.sub(r"\d+", "", name) for name in counts}) == 1
        places = [[int(x) for x in re.findall(r"\d{1,9}", name)] for name in counts]
        is_disordered = is_series and places != sorted(places)  # pixel1, pixel10, pixel2
        if is_disordered and n_numbers >= _FEWEST_PIXELS and self.options.header == "auto":
            self.reject("columns out of order; --header yes reads them as they are")

    def blocks(self, numbers: list[int], label: int | None, dtype: Any) -> Iterator[Block]:
        """Yield the columns of numbers, and that of labels if there is one; at least one block."""
        next_block = partial(self.next_block, numbers, label, dtype)
        yield next_block()
        while len((block := next_block())[0]):
            yield block

    def next_block(self, numbers: list[int], label: int | None, dtype: Any) -> Block:
        """Return the numbers and labels of the next lines; none after the last."""
        lines = list(map(self.plain, islice(self.lines, self.options.block_rows)))
        if label is None:
            return self.loaded(lines, dtype, numbers), None
        if label in self.text:
            x = self.loaded(lines, dtype, numbers)
            labels = np.strings.strip(self.loaded(lines, str, [label])[:, 0])
            is_valid = np.asarray([is_class(name) for name in labels.tolist()])
        else:
            read = sorted([*numbers, label])
            x, place = self.loaded(lines, dtype, read), read.index(label)
            x, values = np.delete(x, place, axis=1), x[:, place]
            is_valid = (values >= 0) & (values <= 255) & (values == np.floor(values))
            labels = np.where(is_valid, values, 0).astype(np.uint8)
        if not is_valid.all():
            self.reject_value(lines[int(np.argmin(is_valid))], label, "label")
        return x, labels

    def plain(self, line: Line) -> Line:
        """Return a row in the quotes that NumPy reads."""
        number, text = line
        if '"' in text:
            fields = [x.replace('"', '""') for x in self.fields(line)]
            text = self.delimiter.join(f'"{x}"' for x in fields)
        return number, text

    def loaded(self, lines: list[Line], dtype: Any, columns: list[int]) -> NDArray[Any]:
        """Return the values in some columns."""
        if not lines or not columns:
            return np.empty((len(lines), len(columns)), dtype)
        usecols = None if len(columns) == self.width else columns
        if usecols is not None:  # NumPy ignores the columns that follow these
            self.check_widths(lines)
        try:
            texts = [text for _, text in lines]
            x = _load(texts, dtype, delimiter=self.delimiter, usecols=usecols)
        except ValueError as error:
            self.check_widths(lines)
            [(row, column)] = re.findall(r"at row (\d+), column (\d+)\.$", str(error))
            self.reject_value(lines[int(row)], int(column) - 1, dtype)
        if dtype is np.float32 and not (is_finite := np.isfinite(x)).all():
            row, column = np.argwhere(~is_finite)[0]
            self.reject_value(lines[row], columns[column], dtype)
        return x

    def reject_value(self, line: Line, index: int, kind: Any) -> NoReturn:
        found, (rule, hint) = quoted(self.fields(line)[index]), _RULES[kind]
        self.reject(f"value must be {rule}; got {found}; {hint}", line, index + 1)
