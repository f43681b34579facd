"""Previews of image files, from their headers and first rows."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from xpnet.datasets.array_checks import image_dtype
from xpnet.datasets.blocks import ImageBlocks
from xpnet.datasets.detect_format import detect_format
from xpnet.datasets.read import labels_beside, open_data
from xpnet.datasets.read_options import FilePath, ReadOptions
from xpnet.datasets.stored_array import format_shape
from xpnet.files import DataError, DataWarning, open_source

__all__ = ["count_images", "preview"]

_ROWS = 100
_LABELS_SHOWN = 10
_PEEK_BYTES = 1 << 16


def preview(
    path: FilePath,
    *,
    delimiter: str = ",",
    label: str = "auto",
    header: str = "auto",
    max_data_bytes: int | None = None,
) -> dict[str, Any]:
    """Describe a file of images from its header and first 100 rows.

    `path` and the options are those of `xpnet.datasets.stream`. Raise OSError if the file cannot be
    read, and DataError if it does not contain images, or is damaged. The result has the keys:

    - "format": "csv", "idx", "npy", "npz", "picture" or "folder";
    - "images": their number, or "not counted" if only reading to the end would show it;
    - "shape" and "dtype" of an image;
    - "range": the smallest and largest value in the rows read, or "not read" if a row costs as much
      as the whole file;
    - "header": the header line of a CSV file, or "none"; missing for other formats;
    - "labels": their place, and the evidence for it.
    """
    options = ReadOptions(
        rows=_ROWS, delimiter=delimiter, label=label, header=header, max_data_bytes=max_data_bytes
    )
    try:
        return _preview(path, options)
    except DataError:
        if not Path(path).is_file():  # a pipe cannot be read again
            raise
        with open_source(path) as source:
            if detect_format(source).name != "csv":
                raise
        # The file may contain fractions instead of integers.
        return _preview(path, replace(options, floating=True))


def _preview(path: FilePath, options: ReadOptions) -> dict[str, Any]:
    with open_data(path) as source:
        data_format = detect_format(source)
        images = data_format.open_images(source, options)
        count = "not counted" if images.count is None else images.count
        found: dict[str, Any] = {"format": data_format.name, "images": count, **_describe(images)}
        if data_format.name == "folder":
            found["bytes"] = source.incoming.size
        beside = None if source.path is None else labels_beside(source.path)
    found.setdefault("labels", "none" if beside is None else str(beside))
    return found


def _describe(images: ImageBlocks) -> dict[str, str]:
    if images.array is not None and images.array.is_copied:
        return {
            "shape": format_shape(images.array.shape[1:]),
            "dtype": str(image_dtype(images.array)),
            "range": "not read (column-major order)",
        }
    block, labels = next(images.blocks)
    found = {
        "shape": format_shape(block.shape[1:]),
        "dtype": str(block.dtype),
        "range": f"{block.min():g} to {block.max():g}" if block.size else "no images",
    }
    columns = images.columns
    if columns is not None:
        header = columns.header
        found["header"] = "none" if header is None else f"line {header.line}"
        if header is not None and header.numbers is not None:
            low, high = header.numbers
            found["header"] += f", numbers from {low} to {high}"
    if labels is not None:
        shown = ", ".join(map(str, labels[:_LABELS_SHOWN].tolist()))
        evidence = f" ({columns.evidence})" if columns is not None and columns.evidence else ""
        found["labels"] = f"{images.place}: {shown} ...{evidence}"
    return found


def count_images(path: FilePath, *, max_data_bytes: int | None = None) -> tuple[int | None, int]:
    """Return the number of images in a file and the bytes per value, from its beginning.

    The number is None for standard input and pipes, or if only reading to the end would show it.
    For a CSV file, it is an estimate from its size and the length of its first lines, and the bytes
    per value are 1. Raise OSError or DataError as `preview` does.
    """
    # Standard input and pipes can be read only once.
    if path == "-" or Path(path).is_fifo() or Path(path).is_char_device():
        return None, 1
    with open_data(path) as source:
        data_format = detect_format(source)
        if data_format.name != "csv":
            options = ReadOptions(want_labels=False, max_data_bytes=max_data_bytes)
            with warnings.catch_warnings():  # the reader gives them again
                warnings.simplefilter("ignore", DataWarning)
                images = data_format.open_images(source, options)
            return images.count, image_dtype(images.array).itemsize if images.array else 1
        if source.size is None:
            return None, 1
        first = source.peek(_PEEK_BYTES)
        n_lines = first.count(b"\n") or 1
        return int(float(f"{source.size * n_lines / max(len(first), 1):.2g}")), 1
