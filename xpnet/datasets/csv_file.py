"""CSV: NumPy parses blocks of lines; when it refuses one, the line and column are looked up."""

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, islice, tee
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.csv_columns import Layout, counted_columns, split
from xpnet.datasets.csv_errors import check_first_line, field_error, find_fault, header_error
from xpnet.datasets.csv_header import (
    CERTAIN_WIDTH,
    find_header,
    has_names,
    is_header,
    is_zero,
    named_columns,
)
from xpnet.datasets.limits import check_held
from xpnet.datasets.row_tables import Block, Labels, Rows
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from xpnet.datasets.read_options import Options
    from xpnet.files import Source

__all__ = ["open_delimited", "read_delimited_labels"]

Line = tuple[int, str]

# The first label column that is not all zero may come late in a file sorted by label.
_LAYOUT_LINES = 8192
_LINE_CHARACTERS = 1 << 24
# A longer line may take too much memory for its file. Each field takes so many bytes while a line
# is judged, as measured.
_SHORT_LINE_CHARACTERS, _FIELD_BYTES = 1 << 16, 200
_BLANK_LINES = 1 << 20
_BLOCK_CHARACTERS = 1 << 25
# Columns are numbered from 0 or 1, and one may stand before.
_MOST_FIRST = 2


def open_delimited(source: "Source", options: "Options") -> Rows:
    """Open a CSV file of images, a line for each, with labels if there is a column of them.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.
    options : Options
        The options of `xpnet.datasets.read`.

    Returns
    -------
    Rows
        Images of shape (n, n_pixels), uint8, or float32 with `floating`.

    Raises
    ------
    DataError
        If the columns cannot be understood; from the blocks, if a line is wrong.
    """
    lines = _numbered_lines(source, options)
    number, first = _first_line(lines, source.name, options)
    header = find_header(first, number, source.name, options)
    if header is None:
        lines = chain([(number, first)], lines)
    if header is not None and has_names(header, options):
        layout = named_columns(header, source.name, options)
    else:
        lines, ahead = tee(lines)
        # Whatever number of rows is wanted: it must not change what the columns are.
        rows = (line for _, line in _bounded(ahead, _LAYOUT_LINES))
        width = len(split(first, options.delimiter))
        layout = counted_columns(rows, width, number, source.name, options, header=header)
    labelled = layout.label is not None and options.own_labels
    return Rows(_blocks(lines, layout), None, labelled, layout=layout, rest=lines)


def read_delimited_labels(source: "Source", options: "Options") -> Labels:
    """Read a CSV file of one column of labels, with a header or without.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.
    options : Options
        The options of `xpnet.datasets.read`.

    Returns
    -------
    Labels
        All of them; `doubtful` is the number of the first line if it is read as a label, 0, but
        may be a header of pandas.

    Raises
    ------
    DataError
        If there is another column; from the blocks, if a line is not a label.
    """
    lines = _numbered_lines(source, options)
    number, first = _first_line(lines, source.name, options)
    fields = split(first, options.delimiter)
    if len(fields) > 1:
        found = f"{len(fields)} columns"
        msg = "not labels"
        raise DataError(
            msg, file=source.name, line=number, found=found, expected="one column of labels"
        )
    is_name, may_be_name = is_header(fields), is_zero(fields[0])
    if options.header == "yes" and not is_name and not may_be_name:
        msg = "header of the labels"
        found, rule = quoted(first.strip()), "a word, or 0"
        raise DataError(msg, file=source.name, line=number, found=found, expected=rule)
    if options.header == "no" or (options.header == "auto" and not is_name):
        lines = chain([(number, first)], lines)
    own = replace(options, labels=None, want_labels=True)
    blocks = _blocks(lines, Layout(source.name, own, 1, 0))
    return Labels(
        (labels for _, labels in blocks if labels is not None),
        count=None,
        doubtful=number if may_be_name and options.header == "auto" else None,
    )


def _numbered_lines(source: "Source", options: "Options") -> Iterator[Line]:
    """Yield the lines that are not blank, with their numbers in the file.

    Far more blank lines than others are an error: gzip packs billions of them into a small file.
    """
    # Bytes that are not UTF-8 come through, to be refused with their line and column.
    text = io.TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline=None)
    blanks = " \t\n".replace(options.delimiter, "") + "\ufeff"
    n_rows = 0
    for number, line in enumerate(iter(partial(text.readline, _LINE_CHARACTERS), ""), 1):
        if len(line) == _LINE_CHARACTERS:
            limit = f"at most {_LINE_CHARACTERS} characters"
            msg = "line is too long"
            raise DataError(msg, file=source.name, line=number, expected=limit)
        if line.lstrip(blanks):
            if len(line) > _SHORT_LINE_CHARACTERS:
                n_fields = line.count(options.delimiter) + 1
                check_held(
                    f"line {number} of {n_fields:,} values,",
                    n_fields * _FIELD_BYTES,
                    source,
                    options,
                )
            n_rows += 1
            yield number, line
        elif number - n_rows > n_rows + _BLANK_LINES:
            found, rule = (
                f"{number - n_rows} beside {n_rows} others",
                f"at most {_BLANK_LINES} more",
            )
            msg = "too many blank lines"
            raise DataError(msg, file=source.name, line=number, found=found, expected=rule)


def _first_line(lines: Iterator[Line], name: str, options: "Options") -> Line:
    number, line = next(lines, (0, ""))
    if not line:
        msg = "file is empty"
        raise DataError(msg, file=name, found="blank lines only")
    line = line.removeprefix("\ufeff")  # the byte order mark that some programs write
    check_first_line(line, number, name, options)
    return number, line


def _bounded(lines: Iterator[Line], count: int) -> Iterator[Line]:
    """Yield at most `count` lines, fewer where they are very long."""
    characters = 0
    for line in islice(lines, count):
        yield line
        characters += len(line[1])
        if characters > _BLOCK_CHARACTERS:
            break


def _blocks(lines: Iterator[Line], layout: Layout) -> Iterator[Block]:
    lines = islice(lines, layout.options.rows)
    taken = list(_bounded(lines, layout.options.block_rows))
    if not taken:
        dtype = np.float32 if layout.options.floating else np.uint8
        yield _separated(np.empty((0, layout.parsed_width), dtype), layout)
    while taken:
        table = _parse(taken, layout)
        _check_values(table, taken, layout)
        yield _separated(table, layout)
        taken = list(_bounded(lines, layout.options.block_rows))


def _parse(lines: list[Line], layout: Layout) -> NDArray[Any]:
    """Return the numbers of the lines; without those of a label that nobody asked for."""
    separator = None if layout.options.delimiter == " " else layout.options.delimiter
    texts = [line for _, line in lines]
    if layout.header is not None and layout.header.is_among(texts):
        raise find_fault(lines, layout)  # names that are numbers are no fault to NumPy
    width = layout.parsed_width
    if width < layout.width:
        # Cut off as text: whatever is written there does no harm.
        cut = str.split if layout.label == 0 else str.rsplit
        kept = slice(1, None) if layout.label == 0 else slice(None, -1)
        texts = ["".join(cut(line, separator, 1)[kept]) for line in texts]
    table = None
    if any(text.strip() for text in texts):  # NumPy warns of an input without numbers
        try:
            table = np.loadtxt(
                texts,
                np.float32 if layout.options.floating else np.uint8,
                comments=None,
                delimiter=separator,
                quotechar='"',
                ndmin=2,
            )
        except ValueError:
            table = None
    # In the last line, NumPy takes the end for a closing quote.
    if table is None or table.shape != (len(lines), width) or texts[-1].count('"') % 2:
        raise find_fault(lines, layout)
    if layout.options.header != "no" and len(counted := _counted_rows(table)):
        number, line = lines[counted[0]]
        raise header_error(line, number, layout)
    return table


def _counted_rows(table: NDArray[Any]) -> NDArray[np.intp]:
    """Return which rows are numbers that count up, but for a label's column at either end."""
    if table.shape[1] < CERTAIN_WIDTH:
        return np.empty(0, np.intp)
    inner = table[:, 1:-1]
    first, last = inner[:, 0].astype(np.float32), inner[:, -1].astype(np.float32)
    is_candidate = (first <= _MOST_FIRST) & (last - first == inner.shape[1] - 1)
    rows = np.flatnonzero(is_candidate)
    is_counted = (np.diff(inner[rows], axis=1) == 1).all(axis=1)
    counted: NDArray[np.intp] = rows[is_counted]
    return counted


def _check_values(table: NDArray[Any], lines: list[Line], layout: Layout) -> None:
    """Refuse what NumPy accepts: infinities, and labels out of range."""
    wrong: list[tuple[int, int]] = []
    if layout.options.floating and not (finite := np.isfinite(table)).all():
        row, place = divmod(int(np.argmin(finite)), table.shape[1])
        wrong.append((row, place + (layout.label == 0 and not layout.options.own_labels)))
    if layout.label is not None and layout.options.own_labels:
        labels = table[:, layout.label]
        fits = (labels >= 0) & (labels <= layout.options.largest_label)
        fits &= labels == np.floor(labels)
        if not fits.all():
            wrong.append((int(np.argmin(fits)), layout.label))
    if wrong:
        row, place = min(wrong)
        number, line = lines[row]
        field = split(line, layout.options.delimiter)[place]
        raise field_error(field, number, place, layout)


def _separated(table: NDArray[Any], layout: Layout) -> Block:
    if layout.label is None or not layout.options.own_labels:
        return table, None
    pixels = slice(1, None) if layout.label == 0 else slice(None, -1)
    labels = table[:, layout.label].astype(np.uint8)
    return np.ascontiguousarray(table[:, pixels]), labels
