"""The header of a CSV file: whether there is one, and what its names say."""

import math
import re
from typing import TYPE_CHECKING

from xpnet.datasets.columns import Layout
from xpnet.files import DataError, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xpnet.datasets.options import Options

__all__ = ["is_header", "named_columns"]

_LABEL_NAMES = ("label", "class", "target", "y")
_PIXEL_NAME = re.compile(r"(?:pixel)?\d+|\d+x\d+", re.IGNORECASE | re.ASCII)
_KNOWN_NAMES = "label, then pixel0 ... or pixel1 ... or 1x1, 1x2 ... in order"


def is_header(fields: "Sequence[str]") -> bool:
    """Tell a header from a row of values, one of which may be wrong.

    Parameters
    ----------
    fields : sequence of str
        The fields of the file's first line.

    Returns
    -------
    bool
        Whether most fields are words, or the first or last is the name of a label.
    """
    if not {fields[0].strip().casefold(), fields[-1].strip().casefold()}.isdisjoint(_LABEL_NAMES):
        return True
    words = sum(bool(field.strip()) and not _is_number(field) for field in fields)
    return 2 * words > len(fields)


def named_columns(header: "Sequence[str]", number: int, name: str, options: "Options") -> Layout:
    """Read a header.

    Parameters
    ----------
    header : sequence of str
        The names of the columns.
    number : int
        The header's line.
    name : str
        The file's name.
    options : Options
        `label` and `features` are used.

    Returns
    -------
    Layout
        The columns.

    Raises
    ------
    DataError
        If a name is unknown, out of order or there twice, if there are not as many pixels as
        `features`, or if the header contradicts `label`.
    """
    names = [field.strip().casefold() for field in header]
    label = _named_label(names, number, name, options)
    places = [place for place in range(len(names)) if place != label]
    expected = _pixel_names({names[place] for place in places}, len(places))
    for place, rule in zip(places, expected or [_KNOWN_NAMES] * len(places), strict=True):
        if names[place] != rule:
            raise DataError(
                "column name out of order" if expected else "column name",
                file=name,
                line=number,
                column=place + 1,
                found=quoted(header[place]),
                expected=rule,
                hint=None if expected else "or remove the line if the columns are in order",
            )
    if not places or (options.features or len(places)) != len(places):
        msg = "header"
        raise DataError(
            msg,
            file=name,
            line=number,
            found=f"{len(places)} pixel columns",
            expected=options.features or "at least 1",
        )
    return Layout(name, options, len(names), label, tuple(names))


def _named_label(names: list[str], number: int, name: str, options: "Options") -> int | None:
    labels = [place for place, column in enumerate(names) if column in _LABEL_NAMES]
    last = len(names) - 1
    wanted = {"first": [0], "last": [last], "none": []}.get(options.label)
    if wanted and not labels and not _PIXEL_NAME.fullmatch(names[wanted[0]]):
        labels = wanted  # any name will do for the column that the caller points at
    if labels != wanted and (wanted is not None or labels not in ([], [0], [last])):
        columns = " and ".join(f"column {place + 1}" for place in labels)
        auto = "none, or the first or last column"
        msg = "label in the header"
        raise DataError(
            msg,
            file=name,
            line=number,
            found=columns or "none",
            expected=auto if wanted is None else f"{options.label}, as the option says",
        )
    return labels[0] if labels else None


def _pixel_names(names: set[str], count: int) -> list[str]:
    """Return the known sequence of names that most of `names` belong to, or none."""
    side = math.isqrt(count)
    known = [
        [f"{prefix}{place + start}" for place in range(count)]
        for prefix in ("pixel", "")
        for start in (0, 1)
    ]
    if side * side == count:
        known.append([f"{i // side + 1}x{i % side + 1}" for i in range(count)])
    best = max(known, key=lambda sequence: len(names.intersection(sequence)))
    return best if names.intersection(best) else []


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
