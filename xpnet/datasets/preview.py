"""Previews of image files, from their headers and first rows."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from xpnet.datasets.array_checks import image_dtype
from xpnet.datasets.blocks import ImageBlocks
from xpnet.datasets.detect_format import detect_format
from xpnet.datasets.locate import locate
from xpnet.datasets.read import labels_beside, open_data
from xpnet.datasets.read_options import FilePath, ReadOptions
from xpnet.files import DataError, DataWarning, open_source

__all__ = ["can_skip_rows", "count_images", "preview"]

_ROWS = 100
_LABELS_SHOWN = 10


def preview(path: FilePath, options: ReadOptions | None = None) -> dict[str, Any]:
    """Describe a file of images from its header and first 100 rows.

    `path` is that of `xpnet.datasets.stream`. Raise OSError if the file cannot be read, and
    DataError if it does not contain images, or is damaged. The result has the keys:

    - "format": "csv", "idx", "npy", "npz", "picture" or "folder";
    - "images": their number, None if only reading to the end would show it;
    - "shape" and "dtype" of an image;
    - "range": the smallest and largest value in the rows read, None if there are none, or a row
      costs as much as the whole file;
    - "header" of a CSV file: None, or its "line", and the first and last of its "numbers", if it
      consists of numbers;
    - "labels": None, or their "place", the "first" ten, and the "evidence" for their column;
    - "bytes" of all pictures in a folder.
    """
    path, located = locate(path, replace(options or ReadOptions(), rows=_ROWS))
    try:
        return _preview(path, located)
    except DataError:
        if not Path(path).is_file():  # a pipe cannot be read again
            raise
        with open_source(path) as source:
            if detect_format(source).name != "csv":
                raise
        # The file may contain fractions instead of integers.
        return _preview(path, replace(located, floating=True))


def _preview(path: FilePath, options: ReadOptions) -> dict[str, Any]:
    with open_data(path) as source:
        data_format = detect_format(source, options)
        images = data_format.open_images(source, options)
        found: dict[str, Any] = {"format": data_format.name, "images": images.count}
        found |= _describe(images)
        if data_format.name == "folder":
            found["bytes"] = source.incoming.size
        beside = None if source.path is None else labels_beside(source.path)
    if found["labels"] is None and beside is not None:
        found["labels"] = {"place": str(beside)}
    return found


def _describe(images: ImageBlocks) -> dict[str, Any]:
    array, columns = images.array, images.columns
    if array is not None and array.is_copied:
        shape, dtype = list(array.shape[1:]), str(image_dtype(array))
        return {"shape": shape, "dtype": dtype, "range": None, "labels": None}
    block, labels = next(images.blocks)
    limits = [block.min().item(), block.max().item()] if block.size else None
    found: dict[str, Any] = {"shape": list(block.shape[1:]), "dtype": str(block.dtype)}
    found["range"] = limits
    if columns is not None:
        header = columns.header
        numbers = {"numbers": list(header.numbers)} if header and header.numbers else {}
        found["header"] = {"line": header.line, **numbers} if header else None
    found["labels"] = None
    if labels is not None:
        evidence = {"evidence": columns.evidence} if columns and columns.evidence else {}
        first = labels[:_LABELS_SHOWN].tolist()
        found["labels"] = {"place": images.place, "first": first, **evidence}
    return found


def count_images(path: FilePath, options: ReadOptions | None = None) -> tuple[int | None, int]:
    """Return the number of images in a file and the bytes per value, from its beginning.

    The number is None for standard input and pipes, or if only reading to the end would show it;
    then the bytes per value are 1. Raise OSError or DataError as `preview` does.
    """
    options = replace(options or ReadOptions(), want_labels=False)
    with warnings.catch_warnings():  # given when the data are read
        warnings.simplefilter("ignore", DataWarning)
        path, options = locate(path, options)
        # Standard input and pipes can be read only once.
        if path == "-" or Path(path).is_fifo() or Path(path).is_char_device():
            return None, 1
        with open_data(path) as source:
            data_format = detect_format(source)
            if data_format.name == "csv":
                return None, 1
            images = data_format.open_images(source, options)
            return images.count, image_dtype(images.array).itemsize if images.array else 1


def can_skip_rows(path: FilePath, options: ReadOptions | None = None) -> bool:
    """Return whether `first_row` may be given for a file: an npy or IDX file, not compressed.

    Raise OSError or DataError as `preview` does.
    """
    path, options = locate(path, replace(options or ReadOptions(), want_labels=False))
    with open_data(path) as source:
        data_format = detect_format(source)
        if data_format.name not in {"npy", "idx"}:
            return False
        array = data_format.open_images(source, options).array
        return array is not None and array.can_skip
