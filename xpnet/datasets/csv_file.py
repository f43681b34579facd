"""CSV files as Kaggle and pandas write them, parsed by NumPy in blocks of lines.

Three rules find the header, the label and the dtype. Where they do not decide, an error names the
option, or the line of pandas that writes a plain file.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice, pairwise
from math import isqrt
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block, RowBlocks
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source

__all__ = ["open_csv", "open_csv_labels"]

Line = tuple[int, str]

_LABELS = {"label", "class", "target", "y"}
_NO_NAME = re.compile(r"|unnamed: \d+(\.\d+)?", re.IGNORECASE)  # the second as pandas names it
_ROW_NUMBERS = re.compile(rf"{_NO_NAME.pattern}|(.*[_ ])?id|index", re.IGNORECASE)
_MISSING = {"", "?", "NA", "N/A", "nan", "NaN", "NULL", "null", "none", "None"}
_FEWEST_PIXELS = 64  # fewer numbers in a row are measurements
_ROWS_AHEAD, _FEWEST_COUNTED = 100, 3
_MOST_SHOWN = 20  # columns in an error
_LINE_CHARACTERS, _BLOCK_CHARACTERS = 1 << 23, 1 << 25
_load = partial(np.loadtxt, comments=None, quotechar='"', ndmin=2)
_IS_HEADER = "is it a header? Use --header yes or no (in Python header='yes')"
_OTHERS = "--label, --drop and --delimiter choose others"


def open_csv(source: "Source", options: "ReadOptions") -> RowBlocks:
    """Open a CSV file of rows of numbers, with labels if there is a column of labels.

    The rows have the shape (n, n_numbers), and are float32, or uint8 if there are 64 numbers or
    more and `floating` is false. Raise DataError if the rules do not decide about the columns; from
    the blocks, if a line is invalid.
    """
    file = _CsvFile(source, options)
    dropped = {file.place(word) for word in options.drop}
    label = file.find_label([i for i in range(file.width) if i not in dropped])
    dropped.discard(label)
    if file.names and label != 0 and _ROW_NUMBERS.fullmatch(file.names[0]):
        dropped.add(0)
    others = {*dropped, label}
    file.numbers = [i for i in range(file.width) if i not in others]
    file.check_numbers(has_label=label is not None)
    file.check_names()
    if options.want_labels and options.labels is None:
        file.label = label
    if len(file.numbers) >= _FEWEST_PIXELS and not options.floating:
        file.dtype = np.uint8
    return RowBlocks(
        file.blocks(),
        label=None if file.label is None else quoted(file.word(file.label)),
        names=tuple(file.names[i] for i in file.numbers) if file.names else None,
        left_out=tuple(map(file.word, sorted(dropped))),
    )


def open_csv_labels(source: "Source", options: "ReadOptions") -> NDArray[Any]:
    """Read the labels of a CSV file of one column, shape (n,): uint8, or strings.

    Raise DataError if there are more columns, if a line is no label, or if a word above other words
    may be a header.
    """
    file = _CsvFile(source, options)
    if file.width > 1:
        hint = "are the files of images and labels swapped?"
        file.reject("not one column of labels", found=f"{file.width} columns", hint=hint)
    is_certain = not file.names or file.names[0].casefold() in _LABELS or not file.text
    if options.header == "auto" and not is_certain:
        file.reject("a word above words", found=quoted(file.names[0]), hint=_IS_HEADER)
    file.label = 0
    return np.concatenate([labels for _, labels in file.blocks() if labels is not None])


class _CsvFile:
    """A CSV file from its first lines; `blocks` yields its rows and labels."""

    def __init__(self, source: "Source", options: "ReadOptions") -> None:
        self.file, self.options, self.delimiter = source.name, options, options.delimiter
        self.first: Line = (1, "")
        self.lines = self.numbered(source)
        self.ahead = list(self.taken(_ROWS_AHEAD))
        if not self.ahead:
            self.reject("file is empty")
        self.first = self.ahead[0]
        self.check_text(self.first)
        self.check_delimiter(self.first[1])
        fields = self.fields(self.first)
        self.width = len(fields)
        self.names = fields if self.has_header(fields) else []  # empty without a header
        self.lines = chain(self.ahead[bool(self.names) :], self.lines)
        self.text, self.firsts = self.look_ahead()
        self.numbers: list[int] = []  # indices of columns
        self.label: int | None = None
        self.dtype: Any = np.float32  # of the numbers

    def reject(self, what: str, line: Line | None = None, **more: Any) -> NoReturn:
        raise DataError(what, file=self.file, line=(line or self.first)[0], **more)

    def numbered(self, source: "Source") -> Iterator[Line]:
        """Yield the lines that are not blank, without their ends, and their numbers."""
        # Bytes that are not UTF-8 are kept until their line is checked.
        text = io.TextIOWrapper(source, "utf-8-sig", "surrogateescape")
        blanks = " \t".replace(self.delimiter, "")
        for number, line in enumerate(iter(partial(text.readline, _LINE_CHARACTERS), ""), 1):
            if len(line) == _LINE_CHARACTERS:
                rule = f"fewer than {_LINE_CHARACTERS:,} characters"
                self.reject("line is too long", (number, line), expected=rule)
            row = " ".join(line.split()) if self.delimiter == " " else line.rstrip("\n")
            if row.lstrip(blanks):
                yield number, row

    def taken(self, count: int) -> Iterator[Line]:
        """Yield at most `count` lines, fewer if they are very long."""
        n_characters = 0
        for line in islice(self.lines, count):
            yield line
            n_characters += len(line[1])
            if n_characters > _BLOCK_CHARACTERS:
                break

    def check_text(self, line: Line) -> None:
        """Reject a line that is no text, or a comment."""
        text = line[1]
        if "\0" in text or (not text.isascii() and re.search("[\udc80-\udcff]", text)):
            what, hint = "not UTF-8", _pandas(encoding="latin-1")
            if "\0" in text:
                what, hint = "NUL byte", f"damaged, or UTF-16: {_pandas(encoding='utf-16')}"
            self.reject(what, line, found=quoted(text), hint=hint)
        if text.lstrip().startswith("#"):
            self.reject("comment line", line, found=quoted(text), hint="remove it")

    def check_delimiter(self, text: str) -> None:
        """Reject a first line with another delimiter than the comma, if that is the option."""
        unquoted = re.sub(r'"[^"]*"', "", text)
        for mark in ";\t" if "," in unquoted else ";\t|":
            if self.delimiter == "," and mark in unquoted:
                hint = f"use --delimiter {mark!r}, or for decimal commas {_pandas(mark)}"
                self.reject("no comma between the values", found=quoted(text), hint=hint)

    def fields(self, line: Line) -> list[str]:
        """Return the fields of a line without quotes, and without blanks around them."""
        mark = self.delimiter
        if '"' not in line[1]:
            return [x.strip() for x in line[1].split(mark)]
        try:
            rows = csv.reader([line[1]], delimiter=mark, skipinitialspace=mark != " ", strict=True)
            return [x.strip() for x in next(rows)]
        except csv.Error as error:
            self.reject(f"quotes: {error}", line, hint=_pandas())

    def has_header(self, fields: list[str]) -> bool:
        """Return whether the first line is one of names; reject it if that is unclear."""
        if self.options.header != "auto":
            return self.options.header == "yes"
        names, found = list(map(_is_name, fields)), quoted(self.first[1])
        if any(names) and not all(names):
            self.reject("names and numbers in the first line", found=found, hint=_IS_HEADER)
        parts = [x for x in (fields, fields[1:], fields[:-1]) if _count_up(x)]
        if any(len(x) > _FEWEST_COUNTED or float(x[0]) in {0, 1} for x in parts):
            self.reject("numbers that count up", found=found, hint=_IS_HEADER)
        return all(names)

    def look_ahead(self) -> tuple[set[int], list[str]]:
        """Return the columns of text alone, and the values of the first column."""
        text, firsts = set(range(self.width)), []
        for line in self.ahead[bool(self.names) :]:
            with suppress(DataError):  # raised where the line is read
                fields = self.fields(line)
                if len(fields) == self.width:
                    text = {i for i in text if not _is_number(fields[i])}
                    firsts.append(fields[0])
        return text if firsts else set(), firsts

    def word(self, index: int) -> str:
        """Return the word for a column in an option: its name, or its number from 1."""
        name = self.names[index] if self.names else ""
        return name if name and "," not in name and self.names.count(name) == 1 else str(index + 1)

    def place(self, word: str) -> int:
        """Return the index of a column by its name, or by its number from 1."""
        is_number = word.isdecimal() and 1 <= int(word) <= self.width
        if self.names.count(word) != 1 and (word in self.names or not is_number):
            found = ", ".join(map(quoted, self.names)) or f"{self.width} columns"
            hint = "give a name, or a number from 1"
            self.reject(f"no single column {quoted(word)}", found=found, hint=hint)
        return self.names.index(word) if word in self.names else int(word) - 1

    def find_label(self, kept: list[int]) -> int | None:
        """Return the label among the columns `kept`, if any."""
        label, features = self.options.label, self.options.features
        ends = {"first": kept[:1], "last": kept[-1:], "none": []}
        if label in ends:
            return next(iter(ends[label]), None)
        if label != "auto":
            return self.place(label)
        found = [i for i in kept if self.names and self.names[i].casefold() in _LABELS]
        if len(found) > 1:
            listed, hint = ", ".join(map(self.word, found)), "use --label NAME and --drop NAME"
            self.reject("several labels", found=listed, hint=hint)
        width = len(kept)
        is_square = width >= _FEWEST_PIXELS and isqrt(width) ** 2 == width
        fits = width == features or (features is None and is_square)
        if not self.names and not fits and self.text.isdisjoint(kept):
            hint = "use --label first, last or none (in Python label='first')"
            self.reject(f"{width} columns without names", hint=hint)
        return found[0] if found else None

    def check_numbers(self, *, has_label: bool) -> None:
        """Reject columns of text, of row numbers, or not as many as expected."""
        numbers, n_numbers = self.numbers, len(self.numbers)
        words = list(map(self.word, [i for i in numbers if i in self.text][:_MOST_SHOWN]))
        if words:
            hint = f"--drop {quote(','.join(words))} leaves it out"
            if not has_label:
                hint = f"--label {quote(words[0])} if it is the label, {hint}"
            if self.width == 1:
                hint = "is there another delimiter? Use --delimiter, such as --delimiter space"
            elif self.delimiter != ",":
                hint += f", or {_pandas(self.delimiter)}"
            self.reject("column of text", found=", ".join(map(quoted, words)), hint=hint)
        if not numbers:
            self.reject("no column of numbers", found=quoted(self.first[1]), hint=_OTHERS)
        is_counted = _count_up(self.firsts) and float(self.firsts[0]) in {0, 1}
        if numbers[0] == 0 and is_counted and len(self.firsts) >= _FEWEST_COUNTED:
            self.reject("column 1 counts the rows", hint="--drop 1 leaves it out")
        if n_numbers != (self.options.features or n_numbers):
            found, rule = f"{n_numbers} columns of numbers", self.options.features
            self.reject("number of columns", found=found, expected=rule, hint=_OTHERS)

    def check_names(self) -> None:
        """Reject names of numbers that are missing, equal, or out of order in a series."""
        names = [self.names[i] for i in self.numbers if self.names]
        counts, is_auto = Counter(names), self.options.header == "auto"
        for i, name in zip(self.numbers, names, strict=False):
            if counts[name] > 1 or _NO_NAME.fullmatch(name):
                what, hint = "no name of its own", f"--drop {i + 1} leaves it out"
                self.reject(what, column=i + 1, found=quoted(name), hint=hint)
        places = [[(len(n), n) for n in re.findall(r"\d+", name)] for name in names]
        is_series = len({re.sub(r"\d+", "", name) for name in names}) == 1
        if len(names) >= _FEWEST_PIXELS and is_auto and is_series and places != sorted(places):
            self.reject("columns out of order", hint="--header yes reads them as they are")

    def blocks(self) -> Iterator[Block]:
        """Yield rows of numbers, and labels if there is a label; at least one block."""
        yield self.next_block()
        while len((block := self.next_block())[0]):
            yield block

    def row(self, line: Line) -> Line:
        """Return a line in the quotes that NumPy reads; reject a header, as in joined files."""
        self.check_text(line)
        text = line[1]
        if self.names and text == self.first[1]:
            self.reject("header again", line, hint="was the file joined from several?")
        if '"' in text:
            fields = [x.replace('"', '""') for x in self.fields(line)]
            return line[0], self.delimiter.join(f'"{x}"' for x in fields)
        return line

    def next_block(self) -> Block:
        """Return the numbers and labels of the next lines; none after the last."""
        block, label = list(map(self.row, self.taken(self.options.block_rows))), self.label
        if label is None:
            return self.loaded(block, self.dtype, self.numbers), None
        if label in self.text:
            x = self.loaded(block, self.dtype, self.numbers)
            labels = np.strings.strip(self.loaded(block, str, [label])[:, 0])
            is_valid = np.asarray([_is_class(name) for name in labels.tolist()])
        else:
            columns = sorted([*self.numbers, label])
            x, place = self.loaded(block, self.dtype, columns), columns.index(label)
            x, values = np.delete(x, place, axis=1), x[:, place]
            is_valid = (values >= 0) & (values <= 255) & (values == np.floor(values))
            labels = np.where(is_valid, values, 0).astype(np.uint8)
        if not is_valid.all():
            self.reject_field(block[int(np.argmin(is_valid))], label)
        return x, labels

    def loaded(self, block: list[Line], dtype: Any, columns: Sequence[int]) -> NDArray[Any]:
        """Return the values in some columns."""
        if not block or not columns:
            return np.empty((len(block), len(columns)), dtype)
        texts = [text for _, text in block]
        usecols = None if len(columns) == self.width else columns
        try:
            x = _load(texts, dtype, delimiter=self.delimiter, usecols=usecols)
        except ValueError as error:
            found = re.search(r"at row (\d+), column (\d+)", str(error))
            row, column = map(int, found.groups()) if found else (len(block) - 1, 1)
            self.check_width(block[: row + 1])
            self.reject_field(block[row], column - 1)
        if x.shape[1] != self.width:  # then NumPy ignores what follows the columns
            self.check_width(block)
        if dtype is np.float32 and not (is_finite := np.isfinite(x)).all():
            row, column = np.argwhere(~is_finite)[0]
            self.reject_field(block[row], columns[column])
        return x

    def check_width(self, block: list[Line]) -> None:
        """Reject a row with more or fewer values than the first line."""
        for line in block:
            n = len(self.fields(line)) if '"' in line[1] else line[1].count(self.delimiter) + 1
            if n != self.width:
                rule = f"{self.width} as in line {self.first[0]}"
                self.reject("row", line, found=f"{n} values", expected=rule)

    def reject_field(self, line: Line, index: int) -> NoReturn:
        field, is_label = self.fields(line)[index], index == self.label
        what, rule, hint = "label" if is_label else "value", "a finite number", None
        if is_label and index in self.text:
            rule = "the name of a class"
        elif is_label or self.dtype is np.uint8:
            rule = "an integer from 0 to 255"
        if field in _MISSING:
            what, hint = f"{what} is missing", _pandas(then="dropna().")
        elif self.dtype is np.uint8 and _is_number(field):
            hint = "--float takes any numbers (in Python floating=True)"
        found = quoted(field)
        self.reject(what, line, column=index + 1, found=found, expected=rule, hint=hint)


def _pandas(sep: str = ",", encoding: str = "", then: str = "") -> str:
    """Return the line of pandas that reads a file and writes a plain one."""
    options = f", sep={sep!r}, decimal=','" if sep != "," else ""
    options += f", encoding={encoding!r}" if encoding else ""
    return f"pandas.read_csv(FILE{options}).{then}to_csv('plain.csv', index=False)"


def _count_up(fields: list[str]) -> bool:
    """Return whether fields are numbers, at least two, each larger by one than the one before."""
    if len(fields) < 2 or not all(map(_is_number, fields)):
        return False
    return all(float(b) - float(a) == 1 for a, b in pairwise(fields))


def _is_number(field: str) -> bool:
    with suppress(ValueError):
        float(field)
        return field.isascii() and "_" not in field
    return False


def _is_name(field: str) -> bool:
    """Return whether a field may be the name of a column: 1,5 and 2020-12-31 are values."""
    return not field or (_is_class(field) and re.search(r"[^\W\d_]", field) is not None)


def _is_class(field: str) -> bool:
    """Return whether a field may be the name of a class."""
    return field not in _MISSING and field.isprintable() and not _is_number(field)
