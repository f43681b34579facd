"""CSV files, parsed by NumPy in blocks of lines.

If NumPy rejects a block, the line and column of the error are located afterwards.
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice, tee
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block, ImageBlocks, LabelBlocks
from xpnet.datasets.csv_columns import CsvColumns, split_fields
from xpnet.datasets.csv_header import (
    CERTAIN_WIDTH,
    check_first_line,
    comment_error,
    find_columns,
    is_header,
    is_zero,
)
from xpnet.datasets.csv_table import is_name, parse_table, split_rows
from xpnet.datasets.limits import check_data_size
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source

__all__ = ["open_csv_images", "open_csv_labels"]

Line = tuple[int, str]

# In a file sorted by label, the first label other than 0 may come late.
_LABEL_SEARCH_LINES = 8192
_LINE_CHARACTERS = 1 << 24
# Lines up to this length need no check of memory; in longer ones, a field takes this many bytes.
_SHORT_LINE_CHARACTERS, _FIELD_BYTES = 1 << 16, 200
_BLANK_LINES = 1 << 20
_BLOCK_CHARACTERS = 1 << 25
# Pixel columns count up from 0 or 1, perhaps after a label column that counts, too.
_MAX_FIRST_INNER = 2
_LARGEST_PIXEL = 255
_FLOAT32_END = 3.4028235677973366e38  # smaller numbers round to finite ones
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_NOT_FINITE = {"nan", "inf", "infinity"}
# A lookup is fast, and nearly all of thousands of fields are in this set.
_VALID_PIXELS = frozenset(map(str, range(_LARGEST_PIXEL + 1)))


def open_csv_images(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open a CSV file of images, one per line, with labels if there is a column of labels.

    The images have the shape (n, n_pixels), and are uint8, or float32 with `floating`. Raise
    DataError if the columns are invalid or ambiguous; from the blocks, if a line is invalid.
    """
    lines = _numbered_lines(source, options)
    first = _first_line(lines, source.name, options)
    # `rows` is ignored: the meaning of columns must not depend on it.
    lines, ahead = tee(lines)
    following = _take_lines(ahead, _LABEL_SEARCH_LINES)
    columns = find_columns(first, following, source.name, options)
    if columns.header is None:
        lines = chain([first], lines)
    labelled = columns.label is not None and options.own_labels
    return ImageBlocks(_blocks(lines, columns), None, labelled, columns=columns, unread=lines)


def open_csv_labels(source: "Source", options: "ReadOptions", images: str) -> LabelBlocks:
    """Open a CSV file of one column of labels, with or without a header.

    A first line of 0 is read as a label, but may be a header that pandas wrote. Raise DataError if
    there is another column; from the blocks, if a line is not a label.
    """
    name = source.name
    lines = _numbered_lines(source, options)
    number, first = _first_line(lines, name, options)
    fields = split_fields(first, options.delimiter)
    if len(fields) > 1:
        msg, found = "not labels", f"{len(fields)} columns"
        expected, hint = "one column of labels", f"is it swapped with the images file {images}?"
        raise DataError(msg, file=name, line=number, found=found, expected=expected, hint=hint)
    is_name, may_be_name = is_header(fields), is_zero(fields[0])
    if options.header == "yes" and not is_name and not may_be_name:
        msg, found = "header of the labels", quoted(first.strip())
        raise DataError(msg, file=name, line=number, found=found, expected="a word, or 0")
    if options.header == "no" or (options.header == "auto" and not is_name):
        lines = chain([(number, first)], lines)
    columns = CsvColumns(name, replace(options, labels=None, want_labels=True), 1, label=0)
    blocks = (labels for _, labels in _blocks(lines, columns) if labels is not None)
    is_ambiguous = may_be_name and options.header == "auto"
    return LabelBlocks(blocks, None, ambiguous_line=number if is_ambiguous else None)


def _numbered_lines(source: "Source", options: "ReadOptions") -> Iterator[Line]:
    """Yield the lines that are not blank, with their numbers in the file.

    Too many blank lines are an error: gzip packs billions of them into a small file.
    """
    name = source.name
    # Bytes that are not UTF-8 are kept, and later rejected with their line and column.
    text = io.TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline=None)
    blanks = " \n\ufeff" if options.delimiter == "\t" else " \t\n\ufeff"
    n_rows = 0
    for number, line in enumerate(iter(partial(text.readline, _LINE_CHARACTERS), ""), 1):
        if len(line) == _LINE_CHARACTERS:
            msg, rule = "line is too long", f"at most {_LINE_CHARACTERS} characters"
            raise DataError(msg, file=name, line=number, expected=rule)
        if line.lstrip(blanks):
            if len(line) > _SHORT_LINE_CHARACTERS:
                n_fields = line.count(options.delimiter) + 1
                what = f"line {number} of {n_fields:,} values,"
                check_data_size(what, n_fields * _FIELD_BYTES, source, options)
            n_rows += 1
            yield number, line
        elif number - n_rows > n_rows + _BLANK_LINES:
            msg, found = "too many blank lines", f"{number - n_rows} beside {n_rows} others"
            rule = f"at most {_BLANK_LINES} more"
            raise DataError(msg, file=name, line=number, found=found, expected=rule)


def _first_line(lines: Iterator[Line], name: str, options: "ReadOptions") -> Line:
    number, line = next(lines, (0, ""))
    if not line:
        msg = "file is empty"
        raise DataError(msg, file=name, found="blank lines only")
    line = line.removeprefix("\ufeff")  # the byte order mark that some programs write
    check_first_line(line, number, name, options)
    return number, line


def _take_lines(lines: Iterator[Line], count: int) -> Iterator[Line]:
    """Yield at most `count` lines, fewer if they are very long."""
    characters = 0
    for line in islice(lines, count):
        yield line
        characters += len(line[1])
        if characters > _BLOCK_CHARACTERS:
            break


def _blocks(lines: Iterator[Line], columns: CsvColumns) -> Iterator[Block]:
    options = columns.options
    lines = islice(lines, options.rows)
    block = list(_take_lines(lines, options.block_rows))
    if not block:
        dtype = np.float32 if options.floating else np.uint8
        empty = np.empty((0, columns.parsed_width), dtype)
        yield (empty, None) if columns.numbers is not None else _split_label(empty, columns)
    while block:
        if columns.numbers is None:
            yield _split_label(_parse(block, columns), columns)
        elif (found := parse_table([line for _, line in block], columns)) is not None:
            yield found
        else:
            raise _find_error(block, columns)
        block = list(_take_lines(lines, options.block_rows))


def _parse(lines: list[Line], columns: CsvColumns) -> NDArray[Any]:
    """Return the numbers of the lines, without an unwanted label."""
    options, width = columns.options, columns.parsed_width
    texts = [line for _, line in lines]
    # NumPy would accept a header of numbers, and an unclosed quote in the last line.
    may_be_valid = columns.header is None or not columns.header.is_among(texts)
    separator = None if options.delimiter == " " else options.delimiter
    if width < columns.width:
        # The text of the label is removed before parsing: it may be anything on one line.
        cut, label = (str.split, 0) if columns.label == 0 else (str.rsplit, -1)
        parts = [cut(line, separator, 1) for line in texts]
        removed = [part.pop(label) for part in parts]
        may_be_valid &= not any(text.count('"') % 2 for text in removed)
        texts = list(map("".join, parts))
    may_be_valid &= texts[-1].count('"') % 2 == 0
    may_be_valid &= any(text.strip() for text in texts)  # NumPy warns of input without numbers
    table = np.empty((0, 0))
    if may_be_valid:
        dtype = np.float32 if options.floating else np.uint8
        with suppress(ValueError):
            table = np.loadtxt(
                texts, dtype, comments=None, delimiter=separator, quotechar='"', ndmin=2
            )
    if table.shape != (len(lines), width):
        raise _find_error(lines, columns)
    if options.header != "no" and len(headers := _counting_rows(table)):
        number, line = lines[headers[0]]
        raise _header_error(number, line, columns)
    if not _are_valid(table, columns):
        raise _find_error(lines, columns)
    return table


def _counting_rows(table: NDArray[Any]) -> NDArray[np.intp]:
    """Return the indices of rows whose values count up, apart from the first and last column."""
    if table.shape[1] < CERTAIN_WIDTH:
        return np.empty(0, np.intp)
    inner = table[:, 1:-1]
    rise = inner[:, -1].astype(np.float32) - inner[:, 0]
    rows = np.flatnonzero((inner[:, 0] <= _MAX_FIRST_INNER) & (rise == inner.shape[1] - 1))
    counting: NDArray[np.intp] = rows[(np.diff(inner[rows], axis=1) == 1).all(axis=1)]
    return counting


def _are_valid(table: NDArray[Any], columns: CsvColumns) -> bool:
    """Return whether all values are finite, and wanted labels are integers in their range."""
    options = columns.options
    is_valid = np.isfinite(table).all() if options.floating else True
    if columns.label is not None and options.own_labels:
        labels = table[:, columns.label]
        is_valid &= bool(np.all((labels >= 0) & (labels <= options.largest_label)))
        is_valid &= bool(np.all(labels == np.floor(labels)))
    return bool(is_valid)


def _split_label(table: NDArray[Any], columns: CsvColumns) -> Block:
    if columns.label is None or not columns.options.own_labels:
        return table, None
    pixels = slice(1, None) if columns.label == 0 else slice(None, -1)
    labels = table[:, columns.label].astype(np.uint8)
    return np.ascontiguousarray(table[:, pixels]), labels


def _find_error(lines: list[Line], columns: CsvColumns) -> DataError:
    """Return the error in the first invalid line of a block of numbered lines."""
    first, last = None, None
    for number, line in lines:
        error = _line_error(number, line, columns)
        if error is not None:
            return error
        first, last = first or number, number
    what = f"rows up to line {last} cannot be read as numbers"
    return DataError(what, file=columns.name, line=first)


def _header_error(number: int, line: str, columns: CsvColumns) -> DataError:
    what = "header line" if columns.header is None else "repeated header line"
    found, rule = quoted(line.strip()), "a row of values"
    hint = "was the file concatenated from several?"
    return DataError(what, file=columns.name, line=number, found=found, expected=rule, hint=hint)


def _line_error(number: int, line: str, columns: CsvColumns) -> DataError | None:
    name, width = columns.name, columns.width
    fields = split_fields(line, columns.options.delimiter)
    fields = fields if columns.numbers is None else split_rows([line], columns)[0]
    if line.lstrip().startswith("#"):
        return comment_error(line, number, name)
    if columns.header is not None and columns.header.is_among([line]):
        return _header_error(number, line, columns)
    if line.count('"') % 2:
        what = "quote is not closed on its line"
        return DataError(what, file=name, line=number, column=len(fields))
    if len(fields) != width:
        what = f"row is too {'short' if len(fields) < width else 'long'}"
        found, hint = f"{len(fields)} values", None
        if len(fields) == width + 1 and not fields[-1].strip():
            hint = "the line ends in a delimiter"
        return DataError(what, file=name, line=number, found=found, expected=width, hint=hint)
    for index, field in enumerate(fields):
        if columns.numbers is not None and index not in {*columns.numbers, columns.label}:
            continue
        if field not in _VALID_PIXELS or index == columns.label:
            error = _field_error(field.strip(), number, index, columns)
            if error is not None:
                return error
    return None


def _field_error(field: str, number: int, index: int, columns: CsvColumns) -> DataError | None:
    """Return the error in the field at `index` of a line, or None if it is valid."""
    options, is_label = columns.options, index == columns.label
    if is_label and not options.own_labels:
        return None
    largest = options.largest_label if is_label else _LARGEST_PIXEL
    what = "label" if is_label else "pixel" if columns.numbers is None else "value"
    rule = f"an integer from 0 to {largest}"
    value = float(field) if _NUMBER.fullmatch(field) else None
    is_in_range = value is not None and 0 <= value <= largest
    is_integer = value is not None and value.is_integer()
    if is_label and columns.has_names:
        rule, is_valid = "a name", is_name(field)
    elif options.floating and not is_label:
        rule = "a finite number of float32" if value else "a finite number"
        is_valid = value is not None and abs(value) < _FLOAT32_END
    else:
        is_valid = is_in_range and is_integer
        is_valid &= options.floating or field.removeprefix("+").isdigit()
    if is_valid:
        return None
    has_hint = is_in_range and not options.floating and (is_integer or not is_label)
    if not field:
        what += " is missing"
    elif "\0" in field:
        what += " contains a NUL byte"
    elif any("\udc80" <= character <= "\udcff" for character in field):
        what += " is not UTF-8 text"
    elif value is None and rule != "a name" and field.lower().strip("+-") not in _NOT_FINITE:
        what += " is not a number"
    return DataError(
        what,
        file=columns.name,
        line=number,
        column=index + 1,
        found=quoted(field),
        expected=rule,
        hint="try --float (in Python floating=True)" if has_hint else None,
    )
