"""The data formats and their detection by the first bytes of a file, never by its name."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xpnet.datasets.arrays import as_images, as_labels, npz_labels, npz_rows, read_idx, read_npy
from xpnet.datasets.csv_file import open_csv, open_csv_labels
from xpnet.datasets.picture_files import PICTURE_START, open_picture
from xpnet.files import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from xpnet.datasets.blocks import RowBlocks
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source

__all__ = ["DataFormat", "detect_format"]


@dataclass(frozen=True)
class DataFormat:
    """A file format of images and labels."""

    name: str  # the usual suffix
    start: bytes  # regular expression of the first bytes
    # Opens a file of images, with labels if it contains them.
    open: "Callable[[Source, ReadOptions], RowBlocks]"
    # Reads a file of labels.
    labels: "Callable[[Source, ReadOptions], NDArray[Any]]"


def _array(name: str, start: bytes, read: "Callable[[Source], NDArray[Any]]") -> DataFormat:
    """Return the format of files of one array."""
    return DataFormat(
        name,
        start,
        lambda source, options: as_images(read(source), source.name, options),
        lambda source, _: as_labels(read(source), source.name),
    )


def _refuse(source: "Source", _: "ReadOptions") -> "NDArray[Any]":
    what = "a picture, not labels"
    raise DataError(what, file=source.name)


# The first match counts.
_FORMATS = (
    _array("npy", rb"\x93NUMPY", read_npy),
    DataFormat("npz", rb"PK", npz_rows, npz_labels),
    DataFormat("picture", PICTURE_START, open_picture, _refuse),
    _array("idx", rb"\0\0", read_idx),
    DataFormat("csv", rb"", open_csv, open_csv_labels),
)


def detect_format(source: "Source") -> DataFormat:
    """Return the format of a file from which nothing has been read; DataError if it is empty."""
    head = source.peek(12)[:12]
    if not head:
        known = ", ".join(known.name for known in _FORMATS)
        msg = f"file is empty; it must be one of {known}, each plain or gzip"
        raise DataError(msg, file=source.name)
    return next(known for known in _FORMATS if re.match(known.start, head, re.DOTALL))
