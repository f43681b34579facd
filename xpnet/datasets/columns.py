"""The columns of a CSV file: how a line falls into fields, and which of them is the label."""

import csv
import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from xpnet.files import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xpnet.datasets.options import Options

__all__ = ["Layout", "counted_columns", "split"]


@dataclass(frozen=True)
class Layout:
    """How the lines of the file `name` are read under the options that were given.

    A line holds `width` fields: the label at the index `label`, pixels in the others.
    """

    name: str
    options: "Options"
    width: int
    label: int | None
    header: tuple[str, ...] | None = None


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


def counted_columns(lines: "Iterator[str]", number: int, name: str, options: "Options") -> Layout:
    """Find the label of a file without a header.

    Parameters
    ----------
    lines : iterator of str
        The first lines; the more of them, the surer the answer. Only the first is read where
        the number of columns says it all.
    number : int
        The number of the first one.
    name : str
        The file's name.
    options : Options
        `label`, `features` and `delimiter` are used.

    Returns
    -------
    Layout
        The columns.

    Raises
    ------
    DataError
        If the number of columns fits no image, or if the label may be first or last.
    """
    first_line = next(lines)
    width = len(split(first_line, options.delimiter))
    labelled = _has_label(width, options)
    if labelled is None:
        raise _width_error(width, number, name, options)
    if not labelled:
        return Layout(name, options, width, None)
    if options.label != "auto":
        return Layout(name, options, width, 0 if options.label == "first" else width - 1)
    # The pixel in a corner is 0 in every picture; a label is not.
    first, last = _are_zero(chain([first_line], lines), options.delimiter)
    if first == last:
        msg = "label column, it may be the first or the last"
        raise DataError(
            msg,
            file=name,
            line=number,
            found=f"{width} values a row",
            hint="say --label first, last or none (in Python label='first')",
        )
    return Layout(name, options, width, width - 1 if first else 0)


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
        hint = "say --label first, last or none (in Python label='first')"
    return DataError(
        "row",
        file=name,
        line=number,
        found=f"{width} values a row",
        expected=f"{options.features or 'a square number of'} pixels, {label}",
        hint=hint,
    )


def _are_zero(lines: "Iterable[str]", delimiter: str) -> tuple[bool, bool]:
    """Return whether the first and the last field are zero in all lines."""
    separator = None if delimiter == " " else delimiter
    first = last = True
    for line in lines:
        first = first and _is_zero(line.split(separator, 1)[0])
        last = last and _is_zero(line.rsplit(separator, 1)[-1])
        if not first and not last:
            break
    return first, last


def _is_zero(field: str) -> bool:
    return field.strip(' "\n').strip("0.") == ""
