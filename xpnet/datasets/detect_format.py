"""The data formats and their detection by the first bytes of a file, never by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xpnet.datasets.array_checks import as_images, as_labels
from xpnet.datasets.csv_file import open_csv_images, open_csv_labels
from xpnet.datasets.idx import open_idx
from xpnet.datasets.npz import open_npy, open_npz_images, open_npz_labels
from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.blocks import ImageBlocks, LabelBlocks
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.datasets.stored_array import StoredArray
    from xpnet.files import Source

__all__ = ["FORMATS", "DataFormat", "array_format", "detect_format"]


@dataclass(frozen=True)
class DataFormat:
    """A file format of images and labels."""

    name: str  # the usual suffix
    # Returns whether a file with these first bytes (8, or fewer at its end) has this format.
    matches: Callable[[bytes], bool]
    # Opens a file of images, with labels if it contains them.
    open_images: "Callable[[Source, ReadOptions], ImageBlocks]"
    # Opens a file of labels. The last argument is the file of the images, for errors.
    open_labels: "Callable[[Source, ReadOptions, str], LabelBlocks]"


def array_format(
    name: str, matches: Callable[[bytes], bool], open_array: "Callable[[Source], StoredArray]"
) -> DataFormat:
    """Return a format whose files contain one array, of images or of labels."""
    return DataFormat(
        name,
        matches,
        lambda source, options: as_images(open_array(source), source, options),
        lambda source, options, images: as_labels(open_array(source), options, images),
    )


# The first match counts. Text does not contain the first bytes of IDX files.
FORMATS = (
    array_format("npy", lambda head: head.startswith(b"\x93NUMPY"), open_npy),
    DataFormat("npz", lambda head: head.startswith(b"PK"), open_npz_images, open_npz_labels),
    array_format("idx", lambda head: min(head[:4]) < ord("\t"), open_idx),
    DataFormat("csv", lambda _: True, open_csv_images, open_csv_labels),
)
# Files of other formats, and their remedies.
_UNSUPPORTED = {
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"\x1f\x8b": "gzip in gzip: unpack it once",
    b"BZh": "bzip2: unpack it first",
    b"\xfd7zXZ": "xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "zstd: unpack it first",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89HDF": "HDF5: save its arrays as npz",
    b"PAR1": "Parquet: save it as CSV",
    b"\x80": "a pickle: save its arrays as npz",
    b"<": "a web page or XML: download the file itself",
}


def detect_format(source: "Source") -> DataFormat:
    """Return the format of a file from which nothing has been read.

    Raise DataError if the file is empty, or in an unsupported format.
    """
    head = source.peek(8)[:8]
    expected = f"one of {', '.join(known.name for known in FORMATS)}, each plain or gzip"
    if not head:
        msg = "file is empty"
        raise DataError(msg, file=source.name, expected=expected)
    for magic, hint in _UNSUPPORTED.items():
        if head.startswith(magic):
            msg, found = "unknown file format", magic.hex(" ")
            raise DataError(msg, file=source.name, found=found, expected=expected, hint=hint)
    return next(known for known in FORMATS if known.matches(head))
