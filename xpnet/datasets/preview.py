"""What is in a file of images, told by its first rows."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.datasets.labels import labels_beside
from xpnet.datasets.options import Options
from xpnet.datasets.read import open_rows
from xpnet.datasets.recognize import format_of
from xpnet.datasets.sample import SAMPLE_IMAGES
from xpnet.files import DataError, open_source

if TYPE_CHECKING:
    from xpnet.datasets.columns import Layout

__all__ = ["count_images", "preview"]

_ROWS = 100
_LABELS_SHOWN = 10
_PEEKED = 1 << 16


def preview(
    path: str | os.PathLike[str],
    *,
    delimiter: str = ",",
    label: str = "auto",
    header: str = "auto",
) -> dict[str, Any]:
    """Return what a file of images or labels holds, by its header and first 100 rows.

    Parameters
    ----------
    path : str or os.PathLike
        A file as `xpnet.datasets.read` takes it; or "sample".
    delimiter, label, header : str
        Options for a CSV file, as for `xpnet.datasets.read`.

    Returns
    -------
    dict
        "format": "csv", "idx", "npy" or "npz"; "images", how many, or "not counted" where only
        the end of the file tells; "shape" and "dtype" of an image; "range", the smallest and the
        largest value in the rows that were read; "header", of a CSV file, its line or "none";
        "labels", where they are, and what showed it.

    Raises
    ------
    OSError
        If the file cannot be read.
    DataError
        If it holds no images, or damaged ones.

    Examples
    --------
    >>> preview("sample")["shape"]
    '28 x 28'
    """
    path = SAMPLE_IMAGES if path == "sample" else path
    options = Options(rows=_ROWS, delimiter=delimiter, label=label, header=header)
    try:
        return _preview(path, options)
    except DataError:  # whole numbers were expected; there may be fractions
        return _preview(path, replace(options, floating=True))


def _preview(path: str | os.PathLike[str], options: Options) -> dict[str, Any]:
    with open_source(path) as source:
        kind = format_of(source)
        found = open_rows(source, options)
        images, labels = next(found.blocks)
        beside = None if source.path is None else labels_beside(source.path)
    place = "none" if beside is None else os.fspath(beside)
    if labels is not None:
        shown = ", ".join(map(str, labels[:_LABELS_SHOWN].tolist()))
        place = f"in the file: {shown} ..."
    columns = {}
    if found.layout is not None:
        columns["header"] = _describe_header(found.layout)
        place += f" ({found.layout.evidence})" if found.layout.evidence else ""
    return {
        "format": kind,
        "images": "not counted" if found.count is None else found.count,
        "shape": " x ".join(map(str, images.shape[1:])),
        "dtype": str(images.dtype),
        "range": f"{images.min():g} to {images.max():g}" if images.size else "no images",
        **columns,
        "labels": place,
    }


def _describe_header(layout: "Layout") -> str:
    if layout.header is None:
        return "none"
    line = f"line {layout.header.number}"
    if layout.header.count is None:
        return line
    low, high = layout.header.count
    return f"{line}, numbers from {low} to {high}"


def count_images(path: str | os.PathLike[str]) -> tuple[int | None, int]:
    """Return how many images a file holds, and how many bytes a value takes, by its beginning.

    Parameters
    ----------
    path : str or os.PathLike
        A file as `xpnet.datasets.read` takes it; or "sample".

    Returns
    -------
    n_images : int or None
        None of standard input and of pipes, or where only the end tells. Of a CSV file, about: by
        its size, and the length of the first lines.
    itemsize : int
        1 of a CSV file.

    Raises
    ------
    OSError, DataError
        As for `preview`.
    """
    if path == "-":
        return None, 1
    path = SAMPLE_IMAGES if path == "sample" else path
    if Path(path).is_fifo() or Path(path).is_char_device():  # they give what they have only once
        return None, 1
    with open_source(path) as source:
        if format_of(source) != "csv":
            found = open_rows(source, Options(rows=1, floating=True, want_labels=False))
            return found.count, next(found.blocks)[0].dtype.itemsize
        first = source.peek(_PEEKED)
        n_lines = first.count(b"\n") or 1
        if source.size is None:
            return None, 1
        return int(float(f"{source.size * n_lines / max(len(first), 1):.2g}")), 1
