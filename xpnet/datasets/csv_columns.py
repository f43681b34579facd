"""The columns of a CSV file: fields of a line, and the label column of unnamed columns."""

import csv
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions

__all__ = ["LABEL_NAMES", "CsvColumns", "CsvHeader", "split_fields", "unnamed_columns"]

LABEL_NAMES = ("label", "class", "target", "y")
# In smaller images, too few pixels surround a corner to distinguish it from a label.
_SMALLEST_SIDE = 4
# Labels of more classes than this do not follow each other in order, most of the time.
_MAX_ORDERED, _MOST = 10, 0.9
_LABEL_HINT = "use --label first, last or none (in Python label='first')"


@dataclass(frozen=True)
class CsvHeader:
    """The header of a CSV file."""

    line: int  # number of its line
    text: str  # the line without its end
    is_certain: bool  # False for a few numbers, which may also be the values of a row
    numbers: tuple[int, int] | None  # first and last, if it is certain because they count up

    def is_among(self, lines: list[str]) -> bool:
        """Return whether a line repeats the header, as in a file concatenated from several."""
        return self.is_certain and (self.text + "\n" in lines or self.text in lines)


@dataclass(frozen=True)
class CsvColumns:
    """The columns of the CSV file `name`, read with `options`."""

    name: str
    options: "ReadOptions"
    width: int  # number of fields per line
    label: int | None  # index of the label column; all others are pixels
    header: CsvHeader | None = None
    numbers: tuple[int, ...] | None = None  # indices of the pixels, if not all others
    has_names: bool = False  # whether the labels are strings

    @property
    def parsed_width(self) -> int:
        """Number of fields that are parsed: an unwanted label is not."""
        if self.numbers is not None:
            return len(self.numbers)
        return self.width - (self.label is not None and not self.options.own_labels)


def split_fields(line: str, delimiter: str) -> list[str]:
    """Split a line into fields, and remove quotes but not blanks.

    An unclosed quote leaves the line end in its field.
    """
    if delimiter == " ":  # any run of blanks
        return [field.strip('"') for field in line.split()]
    if '"' in line:
        with suppress(csv.Error):  # a field longer than this module supports
            return next(csv.reader([line], delimiter=delimiter))
    return line.rstrip("\n").split(delimiter)


def unnamed_columns(rows: Iterable[str], number: int, columns: CsvColumns) -> CsvColumns:
    """Return columns without names, which begin in line `number`, with their label column.

    The first `rows` are used unless the number of columns or the options decide; more rows give a
    surer answer. Raise DataError if the number of columns does not fit an image, or the label may
    be first or last.

    A label column is accepted only if the four corners of the images beside it are 0 in all rows,
    and if its values are class numbers, some different and some repeated: row numbers never
    repeat. The label can be at the other end only if all labels are 0, and a corner pixel is lit
    in some row while its neighbors are dark in all rows.
    """
    width, options = columns.width, columns.options
    if not _has_label(width, number, columns):
        return columns
    if options.label != "auto":
        return replace(columns, label=0 if options.label == "first" else width - 1)
    edges = _edge_columns(rows, width, options.delimiter)
    # The image corners: after a first label column, or before a last one.
    sides = {0: edges[:, [1, 3, 5, 7]], width - 1: edges[:, [0, 2, 4, 6]]}
    is_image = math.isqrt(width - 1) ** 2 == width - 1 >= _SMALLEST_SIDE**2
    for label, corners in sides.items():
        values = edges[:, 0 if label == 0 else -1]
        if is_image and not corners.any() and _are_labels(values, options.largest_label):
            return replace(columns, label=label)
    first, last = _format_range(edges[:, 0]), _format_range(edges[:, -1])
    found = f"{width} values per row, {first} in column 1 and {last} in column {width}"
    msg, found = "ambiguous label column, first or last", f"{found}, of {len(edges)} rows"
    raise DataError(msg, file=columns.name, line=number, found=found, hint=_LABEL_HINT)


def _has_label(width: int, number: int, columns: CsvColumns) -> bool:
    """Return whether a column is a label; raise DataError if the number of columns does not fit."""
    options = columns.options
    choices = {"none": (False,), "auto": (False, True)}.get(options.label, (True,))
    fitting = math.isqrt(width) ** 2 if options.label == "auto" else max(width - choices[0], 1)
    labelled = [x for x in choices if (options.features or fitting) + x == width]
    if not labelled:
        labels = {"none": "without a label", "auto": "with or without a label"}
        pixels = options.features or "a square number of"
        rule = f"{pixels} pixels, {labels.get(options.label, 'and a label')}"
        found, hint = f"{width} values per row", None if options.features else _LABEL_HINT
        msg, name = "row", columns.name
        raise DataError(msg, file=name, line=number, found=found, expected=rule, hint=hint)
    return labelled[0]


def _edge_columns(lines: Iterable[str], width: int, delimiter: str) -> NDArray[np.float64]:
    """Return the columns that are image corners beside a label, in the order of the file.

    For images of `side` pixels per row: columns 0, 1, side - 1, side, and the same from the end.
    """
    separator = None if delimiter == " " else delimiter
    side = math.isqrt(width - 1)
    rows = []
    for line in lines:
        head = line.split(separator, side + 1)
        tail = line.rsplit(separator, side + 1)
        # An invalid row is ignored here; it is an error when it is read.
        with suppress(ValueError, IndexError):
            fields = [head[i] for i in (0, 1, side - 1, side)]
            fields += [tail[-1 - i] for i in (side, side - 1, 1, 0)]
            rows.append([float(field.strip(' "\t\n')) for field in fields])
    return np.asarray(rows).reshape(-1, 8)


def _are_labels(values: NDArray[np.float64], largest: int) -> bool:
    """Return whether values are class numbers, some different and some repeated."""
    is_valid = (values >= 0) & (values <= largest) & (values == np.floor(values))
    n_different = len(np.unique(values))
    # Row numbers that restart now and then, as in concatenated files.
    is_index = n_different > _MAX_ORDERED and np.mean(np.diff(values) == 1) > _MOST
    return bool(is_valid.all()) and 1 < n_different < len(values) and not is_index


def _format_range(values: NDArray[np.float64]) -> str:
    if not len(values):
        return "nothing"
    low, high = f"{values.min():g}", f"{values.max():g}"
    return f"only {low}" if low == high else f"{low} to {high}"
