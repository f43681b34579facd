"""The data formats and their detection by the first bytes of a file, never by its name."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xpnet.datasets.blocks import ImageBlocks
from xpnet.datasets.csv_file import open_csv_images, open_csv_labels
from xpnet.datasets.idx import open_idx
from xpnet.datasets.locate import choose_split
from xpnet.datasets.npz import open_npy, open_npz_images, open_npz_labels
from xpnet.datasets.picture_files import PICTURE_START, open_picture, open_picture_folder
from xpnet.files import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xpnet.datasets.blocks import LabelBlocks
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.datasets.stored_array import StoredArray
    from xpnet.files.opening import Source

__all__ = ["DATA_FORMATS", "DataFormat", "array_format", "detect_data_format"]


@dataclass(frozen=True)
class DataFormat:
    """A file format of images and labels."""

    name: str  # the usual suffix
    start: bytes  # regular expression of the first bytes
    # Opens a file of images, with labels if it contains them.
    open_images: "Callable[[Source, ReadOptions], ImageBlocks]"
    # Opens a file of labels. The last argument is the file of the images, for errors.
    open_labels: "Callable[[Source, ReadOptions, str], LabelBlocks]"


def array_format(
    name: str, start: bytes, open_array: "Callable[[Source], StoredArray]"
) -> DataFormat:
    """Return a format whose files contain one array, of images or of labels."""
    return DataFormat(
        name,
        start,
        lambda source, options: open_array(source).as_images(options),
        lambda source, options, images: open_array(source).as_labels(options, images),
    )


def _refuse_labels(source: "Source", _: "ReadOptions", images: str) -> "LabelBlocks":
    msg, hint = "not labels", f"is it swapped with the images {images}?"
    raise DataError(msg, file=source.name, found="a picture", hint=hint)


def _open_picture(source: "Source", options: "ReadOptions") -> ImageBlocks:
    rows = open_picture(source, options)
    return ImageBlocks(rows.blocks, rows.count, labelled=False)


def _open_folder(source: "Source", options: "ReadOptions") -> ImageBlocks:
    rows = open_picture_folder(source.name, options)
    return ImageBlocks(rows.blocks, rows.count, rows.label is not None)


_HEAD_BYTES = 12
# The first match counts. Text does not contain the first bytes of IDX files.
DATA_FORMATS = (
    array_format("npy", rb"\x93NUMPY", open_npy),
    DataFormat("npz", rb"PK", open_npz_images, open_npz_labels),
    DataFormat("picture", PICTURE_START, _open_picture, _refuse_labels),
    array_format("idx", rb".{0,3}[\0-\x08]", open_idx),
    DataFormat("csv", rb"", open_csv_images, open_csv_labels),
)
FOLDER = DataFormat("folder", rb"", _open_folder, _refuse_labels)
# Patterns of the first bytes of other files: what they are, and the remedy.
_UNSUPPORTED = {
    rb"\xff\xfe|\xfe\xff": "UTF-16 text; save it as UTF-8",
    rb"\x1f\x8b": "gzip in gzip; unpack it once",
    rb"BZh": "bzip2; unpack it first",
    rb"\xfd7zXZ": "xz; unpack it first",
    rb"\x28\xb5\x2f\xfd": "zstd; unpack it first",
    rb"\x89HDF": "HDF5; save its arrays as npz",
    rb"PAR1": "Parquet; save it as CSV",
    rb"\x80": "a pickle; save its arrays as npz",
    rb"<": "a web page or XML; download the file itself",
    rb".{6}\0\0\{": "safetensors, a network; give it by --model",
    rb"\x08[\0-\x3f]": "ONNX, a network; give it by --model",
    rb"%PDF": "PDF; save its pages as PNG",
    rb".{4}ftyp(hei|avi|mif|msf)": "a HEIC or AVIF picture; save it as PNG or JPEG",
}


def detect_data_format(source: "Source", options: "ReadOptions | None" = None) -> DataFormat:
    """Return the format of a file from which nothing has been read, or of a folder.

    Raise DataError if the file is empty or in an unsupported format, or if `options` has a `split`
    that the format cannot have.
    """
    if source.path is not None and source.path.is_dir():
        return FOLDER
    head = source.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    expected = f"one of {', '.join(known.name for known in DATA_FORMATS)}, each plain or gzip"
    if not head:
        msg = "file is empty"
        raise DataError(msg, file=source.name, expected=expected)
    for start, kind in _UNSUPPORTED.items():
        if re.match(start, head, re.DOTALL):
            msg = f"it is {kind}"
            raise DataError(msg, file=source.name)
    data_format = next(known for known in DATA_FORMATS if re.match(known.start, head, re.DOTALL))
    if options is not None and data_format.name != "npz":
        choose_split(source.name, (), options)
    return data_format
