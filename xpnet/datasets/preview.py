"""Previews of image files, from their headers and first rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from xpnet.datasets.detect_format import detect_data_format
from xpnet.datasets.locate import locate
from xpnet.datasets.read import labels_beside, open_data
from xpnet.datasets.read_options import FilePath, ReadOptions
from xpnet.datasets.stored_array import BLOCK_BYTES
from xpnet.files import DataError

__all__ = ["preview"]

_ROWS = 100
_LABELS_SHOWN = 10


def preview(path: FilePath, options: ReadOptions | None = None) -> dict[str, Any]:
    """Describe a file of images from its header and first 100 rows.

    `path` is that of `xpnet.datasets.stream`. Raise OSError if the file cannot be read, and
    DataError if it does not contain images, or is damaged. The result has the keys:

    - "format": "csv", "idx", "npy", "npz", "picture" or "folder";
    - "images": their number, None if only reading to the end would show it;
    - "shape" and "dtype" of an image;
    - "range": the smallest and largest value in the rows read, None if there are none, or if a row
      costs as much as a whole file of many MB, in column-major order;
    - "header" of a CSV file: None, or its "line", and the first and last of its "numbers", if it
      consists of numbers;
    - "labels": None, or their "place", the "first" ten, and the "evidence" for their column;
    - "bytes" of all pictures in a folder.
    """
    path, located = locate(path, replace(options or ReadOptions(), rows=_ROWS))
    try:
        return _preview(path, located)
    except DataError as error:
        # A CSV file, whose errors alone have a line, may contain fractions instead of integers.
        if error.line is None or not Path(path).is_file():  # a pipe cannot be read again
            raise
        return _preview(path, replace(located, floating=True))


def _preview(path: FilePath, options: ReadOptions) -> dict[str, Any]:
    with open_data(path) as source:
        data_format = detect_data_format(source, options)
        images = data_format.open_images(source, options)
        found: dict[str, Any] = {"format": data_format.name, "images": images.count}
        array, columns = images.array, images.columns
        labels = None
        if array is not None and array.is_fortran and array.total > BLOCK_BYTES:
            found |= {
                "shape": list(array.shape[1:]),
                "dtype": str(array.image_dtype),
                "range": None,
            }
        else:
            block, labels = next(images.blocks)
            limits = [block.min().item(), block.max().item()] if block.size else None
            found |= {"shape": list(block.shape[1:]), "dtype": str(block.dtype), "range": limits}
        if columns is not None:
            header = columns.header
            numbers = {"numbers": list(header.numbers)} if header and header.numbers else {}
            found["header"] = {"line": header.line, **numbers} if header else None
        found["labels"] = None
        if labels is not None:
            evidence = {"evidence": columns.evidence} if columns and columns.evidence else {}
            first = labels[:_LABELS_SHOWN].tolist()
            found["labels"] = {"place": images.place, "first": first, **evidence}
        elif source.path is not None and (beside := labels_beside(source.path)) is not None:
            found["labels"] = {"place": str(beside)}
        if data_format.name == "folder":
            found["bytes"] = source.incoming.size
    return found
