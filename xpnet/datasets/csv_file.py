"""CSV files, parsed by NumPy in blocks of lines.

If NumPy rejects a block, the line and column of the error are located afterwards.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, islice, tee
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block, ImageBlocks, LabelBlocks
from xpnet.datasets.csv_columns import CsvColumns, split_fields, unnamed_columns
from xpnet.datasets.csv_digits import parse_digits
from xpnet.datasets.csv_errors import check_first_line, field_error, find_error, header_error
from xpnet.datasets.csv_header import (
    CERTAIN_WIDTH,
    find_header,
    has_names,
    is_header,
    is_zero,
    named_columns,
)
from xpnet.datasets.limits import check_data_size
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files import Source

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


def open_csv_images(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open a CSV file of images, one per line, with labels if there is a column of labels.

    The images have the shape (n, n_pixels), and are uint8, or float32 with `floating`. Raise
    DataError if the columns are invalid or ambiguous; from the blocks, if a line is invalid.
    """
    lines = _numbered_lines(source, options)
    number, first = _first_line(lines, source.name, options)
    header = find_header(first, number, source.name, options)
    if header is None:
        lines = chain([(number, first)], lines)
    if header is not None and has_names(header, options):
        columns = named_columns(header, source.name, options)
    else:
        # `rows` is ignored: the meaning of columns must not depend on it.
        lines, ahead = tee(lines)
        texts = (line for _, line in _take_lines(ahead, _LABEL_SEARCH_LINES))
        width = len(split_fields(first, options.delimiter))
        columns = unnamed_columns(texts, width, number, source.name, options, header=header)
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
    blanks = " \t\n".replace(options.delimiter, "") + "\ufeff"
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
        yield _split_label(np.empty((0, columns.parsed_width), dtype), columns)
    while block:
        table = _parse(block, columns)
        _check_values(table, block, columns)
        yield _split_label(table, columns)
        block = list(_take_lines(lines, options.block_rows))


def _parse(lines: list[Line], columns: CsvColumns) -> NDArray[Any]:
    """Return the numbers of the lines, without an unwanted label."""
    options = columns.options
    texts = [line for _, line in lines]
    if columns.header is not None and columns.header.is_among(texts):
        raise find_error(lines, columns)  # NumPy would accept a header of numbers
    table = None
    if not options.floating and options.delimiter != " ":
        table = parse_digits(texts, options.delimiter, columns.width)
    if table is None:
        table = _parse_any(lines, texts, columns)
    elif columns.parsed_width < columns.width:
        table = table[:, 1:] if columns.label == 0 else table[:, :-1]
    if options.header != "no" and len(headers := _counting_rows(table)):
        number, line = lines[headers[0]]
        raise header_error(line, number, columns)
    return table


def _parse_any(lines: list[Line], texts: list[str], columns: CsvColumns) -> NDArray[Any]:
    """Return the same by NumPy's parser, which accepts quotes, blanks and fractions."""
    options, width = columns.options, columns.parsed_width
    separator = None if options.delimiter == " " else options.delimiter
    if width < columns.width:
        # The text of the label is removed before parsing: it may be anything.
        cut = str.split if columns.label == 0 else str.rsplit
        kept = slice(1, None) if columns.label == 0 else slice(None, -1)
        texts = ["".join(cut(line, separator, 1)[kept]) for line in texts]
    dtype = np.float32 if options.floating else np.uint8
    table = None
    if any(text.strip() for text in texts):  # NumPy warns of input without numbers
        try:
            table = np.loadtxt(
                texts, dtype, comments=None, delimiter=separator, quotechar='"', ndmin=2
            )
        except ValueError:
            table = None
    # NumPy accepts an unclosed quote in the last line.
    if table is None or table.shape != (len(lines), width) or texts[-1].count('"') % 2:
        raise find_error(lines, columns)
    return table


def _counting_rows(table: NDArray[Any]) -> NDArray[np.intp]:
    """Return the indices of rows whose values count up, apart from the first and last column."""
    if table.shape[1] < CERTAIN_WIDTH:
        return np.empty(0, np.intp)
    inner = table[:, 1:-1]
    first, last = inner[:, 0].astype(np.float32), inner[:, -1].astype(np.float32)
    is_candidate = (first <= _MAX_FIRST_INNER) & (last - first == inner.shape[1] - 1)
    rows = np.flatnonzero(is_candidate)
    counting: NDArray[np.intp] = rows[(np.diff(inner[rows], axis=1) == 1).all(axis=1)]
    return counting


def _check_values(table: NDArray[Any], lines: list[Line], columns: CsvColumns) -> None:
    """Raise DataError for the first infinite or NaN value, or label out of range."""
    options, label = columns.options, columns.label
    invalid: list[tuple[int, int]] = []
    if options.floating and not (is_finite := np.isfinite(table)).all():
        row, index = divmod(int(np.argmin(is_finite)), table.shape[1])
        invalid.append((row, index + (label == 0 and not options.own_labels)))
    if label is not None and options.own_labels:
        labels = table[:, label]
        is_valid = (labels >= 0) & (labels <= options.largest_label)
        is_valid &= labels == np.floor(labels)
        if not is_valid.all():
            invalid.append((int(np.argmin(is_valid)), label))
    if invalid:
        row, index = min(invalid)
        number, line = lines[row]
        raise field_error(split_fields(line, options.delimiter)[index], number, index, columns)


def _split_label(table: NDArray[Any], columns: CsvColumns) -> Block:
    if columns.label is None or not columns.options.own_labels:
        return table, None
    pixels = slice(1, None) if columns.label == 0 else slice(None, -1)
    labels = table[:, columns.label].astype(np.uint8)
    return np.ascontiguousarray(table[:, pixels]), labels
