"""The columns of a CSV file: how a line falls into fields, and which of them is the label."""

import csv
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xpnet.files import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from xpnet.datasets.read_options import Options

__all__ = ["Header", "Layout", "counted_columns", "split"]

# In smaller pictures, too few pixels lie around a corner to tell it from a label.
_SMALLEST_SIDE = 4
# Labels of more classes do not come in turn.
_MOST_IN_TURN, _MOSTLY = 10, 0.9
_LABEL_HINT = "say --label first, last or none (in Python label='first')"


@dataclass(frozen=True)
class Header:
    """The header of a file: line `number`, without its line end.

    `is_certain` is false for a few numbers, which a row may hold as well. `count` is the first and
    the last of the numbers, if the header is certain because they count up.
    """

    number: int
    text: str
    is_certain: bool
    count: tuple[int, int] | None

    def is_among(self, lines: list[str]) -> bool:
        """Return whether a line is the header again, as in a file joined from several."""
        return self.is_certain and (self.text + "\n" in lines or self.text in lines)


@dataclass(frozen=True)
class Layout:
    """How the lines of the file `name` are read under the options that were given.

    A line holds `width` fields: the label at the index `label`, pixels in the others. `evidence`
    is what the values showed, if the label was found by them.
    """

    name: str
    options: "Options"
    width: int
    label: int | None
    header: Header | None = None
    evidence: str | None = None

    @property
    def parsed_width(self) -> int:
        """The number of fields that are parsed: not a label that nobody wants."""
        return self.width - (self.label is not None and not self.options.own_labels)


def split(line: str, delimiter: str) -> list[str]:
    """Split a line into fields; quotes are taken off.

    Parameters
    ----------
    line : str
        One line, with its line end or without.
    delimiter : str
        The character between fields; a space stands for any run of blanks.

    Returns
    -------
    list of str
        The fields as they are, blanks included. A quote that is not closed on its line leaves
        the line end in its field.
    """
    if delimiter == " ":
        return [field.strip('"') for field in line.split()]
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=delimiter))
        except csv.Error:  # a field longer than that module takes
            pass
    return line.rstrip("\n").split(delimiter)


def counted_columns(
    lines: "Iterable[str]",
    width: int,
    number: int,
    name: str,
    options: "Options",
    *,
    header: Header | None = None,
) -> Layout:
    """Find the label of a file whose columns have no names.

    Parameters
    ----------
    lines : iterable of str
        The first rows; the more of them, the surer the answer. None is read if the number of
        columns or the options decide.
    width : int
        The number of columns.
    number : int
        The number of the first line.
    name : str
        The file's name.
    options : Options
        `label`, `features`, `classes` and `delimiter` are used.
    header : Header, optional
        The header of the file.

    Returns
    -------
    Layout
        The columns.

    Raises
    ------
    DataError
        If the number of columns fits no image, or if the label may be first or last.

    Notes
    -----
    A label column is found only if the four corners of the pictures beside it are 0 in all rows,
    and if the column itself holds class numbers, of which some differ and some repeat: row numbers
    never repeat. The label can be at the other end only if all labels are 0 and a lit pixel in a
    corner of a picture has dark neighbors in all rows.
    """
    labelled = _has_label(width, options)
    if labelled is None:
        raise _width_error(width, number, name, options)
    if not labelled:
        return Layout(name, options, width, None, header)
    if options.label != "auto":
        label = 0 if options.label == "first" else width - 1
        return Layout(name, options, width, label, header)
    edges = _edges(lines, width, options.delimiter)
    # The columns of the corners: behind a label that is first, before one that is last.
    sides = {0: edges[:, [1, 3, 5, 7]], width - 1: edges[:, [0, 2, 4, 6]]}
    for label, corners in sides.items():
        values = edges[:, 0 if label == 0 else -1]
        is_picture = math.isqrt(width - 1) ** 2 == width - 1 >= _SMALLEST_SIDE**2
        if is_picture and not corners.any() and _are_labels(values, options.largest_label):
            evidence = (
                f"column {label + 1} holds {_seen(values)} in {len(values)} rows, and the"
                " corners of the pictures beside it are 0"
            )
            return Layout(name, options, width, label, header, evidence)
    msg = "label column, it may be the first or the last"
    first, last = _seen(edges[:, 0]), _seen(edges[:, -1])
    found = f"{width} values a row, {first} in column 1 and {last} in column {width}"
    raise DataError(
        msg,
        file=name,
        line=number,
        found=f"{found}, of {len(edges)} rows",
        hint=_LABEL_HINT,
    )


def _has_label(width: int, options: "Options") -> bool | None:
    if options.label != "auto":
        labelled = options.label != "none"
        n_pixels = width - labelled
        return labelled if n_pixels == (options.features or max(n_pixels, 1)) else None
    sizes = [options.features] if options.features else [math.isqrt(width) ** 2]
    if width in sizes:
        return False
    return True if width - 1 in sizes else None


def _width_error(width: int, number: int, name: str, options: "Options") -> DataError:
    label = {"none": "without a label", "auto": "with or without a label"}.get(
        options.label, "and a label"
    )
    hint = None
    if options.features is None:
        hint = _LABEL_HINT
    return DataError(
        "row",
        file=name,
        line=number,
        found=f"{width} values a row",
        expected=f"{options.features or 'a square number of'} pixels, {label}",
        hint=hint,
    )


def _edges(lines: "Iterable[str]", width: int, delimiter: str) -> "NDArray[np.float64]":
    """Return the columns at the edges and at the corners of the pictures, in the file's order.

    With a picture of `side` pixels a row: columns 0, 1, side - 1, side, and likewise at the end.
    """
    separator = None if delimiter == " " else delimiter
    side = math.isqrt(width - 1)
    rows = []
    for line in lines:
        head = line.split(separator, side + 1)
        tail = line.rsplit(separator, side + 1)
        # A row that is not of numbers is no evidence; it is an error once it is read.
        with suppress(ValueError, IndexError):
            fields = [head[i] for i in (0, 1, side - 1, side)]
            fields += [tail[-1 - i] for i in (side, side - 1, 1, 0)]
            rows.append([float(field.strip(' "\t\n')) for field in fields])
    return np.asarray(rows).reshape(-1, 8)


def _are_labels(values: "NDArray[np.float64]", largest: int) -> bool:
    """Return whether values are class numbers, some different and some the same."""
    fits = (values >= 0) & (values <= largest) & (values == np.floor(values))
    n_different = len(np.unique(values))
    # Row numbers that begin anew now and then, as in files that were joined.
    is_index = n_different > _MOST_IN_TURN and np.mean(np.diff(values) == 1) > _MOSTLY
    return bool(fits.all()) and 1 < n_different < len(values) and not is_index


def _seen(values: "NDArray[np.float64]") -> str:
    if not len(values):
        return "nothing"
    low, high = f"{values.min():g}", f"{values.max():g}"
    return f"only {low}" if low == high else f"{low} to {high}"
