"""What is in a file of images, by its header and first rows."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from xpnet.datasets.array_checks import image_dtype
from xpnet.datasets.column_major import ColumnTable
from xpnet.datasets.detect_format import format_of
from xpnet.datasets.label_files import labels_beside
from xpnet.datasets.read import open_rows
from xpnet.datasets.read_options import Options
from xpnet.datasets.row_tables import Rows, Table
from xpnet.datasets.sample import SAMPLE_IMAGES
from xpnet.files import DataError, open_source

if TYPE_CHECKING:
    from xpnet.datasets.csv_columns import Layout

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
    max_data_bytes: int | None = None,
) -> dict[str, Any]:
    """Return what a file of images or labels holds, by its header and first 100 rows.

    Parameters
    ----------
    path : str or os.PathLike
        A file as `xpnet.datasets.read` takes it; or "sample".
    delimiter, label, header : str
        Options for a CSV file, as for `xpnet.datasets.read`.
    max_data_bytes : int, optional
        As for `xpnet.datasets.stream`.

    Returns
    -------
    dict
        "format": "csv", "idx", "npy" or "npz"; "images", how many, or "not counted" where only
        the end of the file tells; "shape" and "dtype" of an image; "range", the smallest and the
        largest value in the rows that were read, or "not read" where a row costs as much as the
        whole file; "header", of a CSV file, its line or "none"; "labels", where they are, and
        what showed it.

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
    options = Options(
        rows=_ROWS, delimiter=delimiter, label=label, header=header, max_data_bytes=max_data_bytes
    )
    try:
        return _preview(path, options)
    except DataError:
        if not Path(path).is_file() or not _is_csv(path):  # a pipe cannot be read again
            raise
        # Whole numbers were expected; there may be fractions.
        return _preview(path, replace(options, floating=True))


def _is_csv(path: str | os.PathLike[str]) -> bool:
    with open_source(path) as source:
        return format_of(source) == "csv"


def _preview(path: str | os.PathLike[str], options: Options) -> dict[str, Any]:
    with open_source(path) as source:
        kind = format_of(source)
        found = open_rows(source, options)
        facts = _by_header(found.table) if _is_copied(found.table) else _by_first_rows(found)
        beside = None if source.path is None else labels_beside(source.path)
    facts.setdefault("labels", "none" if beside is None else os.fspath(beside))
    count = "not counted" if found.count is None else found.count
    return {"format": kind, "images": count, **facts}


def _is_copied(table: Table | None) -> TypeGuard[ColumnTable]:
    return isinstance(table, ColumnTable) and table.is_copied


def _by_header(table: ColumnTable) -> dict[str, Any]:
    return {
        "shape": _shown(table.shape),
        "dtype": str(image_dtype(table)),
        "range": "not read (column-major order)",
    }


def _by_first_rows(found: Rows) -> dict[str, Any]:
    images, labels = next(found.blocks)
    facts = {
        "shape": _shown(images.shape),
        "dtype": str(images.dtype),
        "range": f"{images.min():g} to {images.max():g}" if images.size else "no images",
    }
    layout = found.layout
    if layout is not None:
        facts["header"] = _describe_header(layout)
    if labels is not None:
        shown = ", ".join(map(str, labels[:_LABELS_SHOWN].tolist()))
        evidence = f" ({layout.evidence})" if layout is not None and layout.evidence else ""
        facts["labels"] = f"in the file: {shown} ...{evidence}"
    return facts


def _describe_header(layout: "Layout") -> str:
    if layout.header is None:
        return "none"
    line = f"line {layout.header.number}"
    if layout.header.count is None:
        return line
    low, high = layout.header.count
    return f"{line}, numbers from {low} to {high}"


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[1:]))


def count_images(
    path: str | os.PathLike[str], *, max_data_bytes: int | None = None
) -> tuple[int | None, int]:
    """Return how many images a file holds, and how many bytes a value takes, by its beginning.

    Parameters
    ----------
    path : str or os.PathLike
        A file as `xpnet.datasets.read` takes it; or "sample".
    max_data_bytes : int, optional
        As for `xpnet.datasets.stream`.

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
            options = Options(want_labels=False, max_data_bytes=max_data_bytes)
            found = open_rows(source, options)
            return found.count, 1 if found.table is None else image_dtype(found.table).itemsize
        first = source.peek(_PEEKED)
        n_lines = first.count(b"\n") or 1
        if source.size is None:
            return None, 1
        return int(float(f"{source.size * n_lines / max(len(first), 1):.2g}")), 1
