"""npy and npz files: one array or several, never unpickled.

An array in column-major (Fortran) order is read in blocks of rows as well.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.array_checks import as_images, as_labels
from xpnet.datasets.blocks import ImageBlocks, LabelBlocks, pair_blocks
from xpnet.datasets.limits import check_data_size, copy_to_temporary_file
from xpnet.datasets.splits import SPLITS, choose_split
from xpnet.datasets.stored_array import BLOCK_BYTES, StoredArray
from xpnet.files import DataError
from xpnet.files.npy import read_npy_header
from xpnet.files.npz import NpzMember, open_npz_members

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files import Source

__all__ = ["has_image_names", "open_npy", "open_npz_images", "open_npz_labels"]

_IMAGES, _LABELS = ("images", "x", "X", "data"), ("labels", "y", "Y", "target")
_COLUMN_MAJOR = "array in column-major order,"
# Short columns are read in groups: reading this many bytes costs no more than seeking over them.
_SEEK_BYTES = 1 << 13
_GROUP_BYTES = 1 << 20


def open_npy(source: "Source") -> StoredArray:
    """Read the header of an npy file.

    Raise DataError if the header is not valid, the array contains objects or structures, or the
    file has another size.
    """
    return _open_array(source, source, source.size)


def has_image_names(path: str) -> bool:
    """Return whether an npz file holds images, by the names of its arrays, and no weights.

    Raise DataError if the file is damaged.
    """
    with ExitStack() as closing:
        names = [*open_npz_members(Path(path), path, closing)]
    known = {*_IMAGES, *(f"x_{part}" for part in SPLITS)}
    is_only = len(names) == 1 and not names[0].endswith(("weight", "kernel"))
    return is_only or not known.isdisjoint(names)


def open_npz_images(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open the images in an npz file, with labels if it contains them.

    Images are the array images, x, X or data, or the only array; labels are the array labels, y,
    Y or target. In a file of two parts, as of Keras, the names are x_train, y_train, x_test and
    y_test. Raise DataError if the file is not a zip archive of npy files, if the names are
    others or ambiguous, or if the numbers of images and labels differ.
    """
    members = _open_members(source, options)
    names = set(members)
    image_names = [name for name in _IMAGES if name in names]
    parts = [part for part in SPLITS if f"x_{part}" in names and not image_names]
    part = choose_split(source.name, parts, options)
    image_names = image_names or ([f"x_{part}"] if part else list(names))
    wanted = [f"y_{part}"] if part else _LABELS
    label_names = [name for name in wanted if name in names - set(image_names)]
    label_names = label_names if options.own_labels else []
    if len(image_names) != 1 or len(label_names) > 1:
        expected = "one of images, x, X and data, and at most one of labels, y and target"
        raise _names_error(members, source.name, expected)
    array = _open_member(members[image_names[0]], source)
    images = as_images(array, source, options)
    if not label_names:
        return images
    labels = as_labels(_open_member(members[label_names[0]], source), options)
    pairs = pair_blocks(images, labels, (source.name, f"its {label_names[0]!r}"), options.rows)
    return ImageBlocks(pairs, images.count, labelled=True, array=array)


def open_npz_labels(source: "Source", options: "ReadOptions", images: str) -> LabelBlocks:
    """Open the labels in an npz file: the array labels, y, Y or target, or the only one.

    Raise DataError if the array is missing or ambiguous, or does not contain labels.
    """
    members = _open_members(source, options)
    names = [name for name in _LABELS if name in members]
    if len(names) != 1 and len(members) != 1:
        raise _names_error(members, source.name, "one of labels, y and target")
    member = members[(names or list(members))[0]]
    return as_labels(_open_member(member, source), options, images)


def _open_members(source: "Source", options: "ReadOptions") -> dict[str, NpzMember]:
    opened = source.path
    if opened is None or source.size is None:  # the directory of a zip file is at its end
        what = "zip file that cannot seek,"
        copy = copy_to_temporary_file(what, source, source, options)
        return open_npz_members(copy, source.name, source.closing)
    return open_npz_members(opened, source.name, source.closing)


def _open_member(member: NpzMember, source: "Source") -> StoredArray:
    return _open_array(member, source, member.size)


def _open_array(stream: "Source | NpzMember", source: "Source", size: int | None) -> StoredArray:
    header = read_npy_header(stream, source.name)
    shape, dtype = header.shape, header.dtype
    if not shape:
        msg = "npy shape"
        raise DataError(msg, file=source.name, found=shape, expected="rows of pixels")
    size = None if size is None else size - header.n_bytes
    if not header.is_fortran or math.prod(shape[1:]) == 1:
        return StoredArray(source.name, stream, shape, dtype, size)
    offset = header.n_bytes if stream is source else None
    return ColumnMajorArray(source.name, stream, shape, dtype, size, source, offset)


def _names_error(members: Iterable[str], name: str, expected: str) -> DataError:
    found = ", ".join(sorted(members))
    hint = "save the arrays under these names"
    return DataError("names of the arrays", file=name, found=found, expected=expected, hint=hint)


@dataclass(frozen=True)
class ColumnMajorArray(StoredArray):
    """An array whose first index varies fastest: each row is scattered over the whole file.

    `offset` is the position of the array in `source.file`. If either of them is None, the array is
    copied from `stream` to a temporary file before the first row is read.
    """

    source: "Source"
    offset: int | None

    @property
    def is_copied(self) -> bool:
        """Whether reading the first row requires a temporary copy of the whole array."""
        return self.offset is None or self.source.file is None

    @property
    def can_skip(self) -> bool:
        """Whether rows can be passed over without reading them, or the whole file."""
        return not self.is_copied

    def blocks(self, options: "ReadOptions") -> Iterator[NDArray[Any]]:
        """Yield blocks of rows in row-major order, as `StoredArray.blocks` does.

        Raise DataError also if the file is too large for a copy.
        """
        file, offset = self._open_seekable(options)
        first, end = self.wanted(options)
        step = max(1, BLOCK_BYTES // self.row_bytes)
        for start in range(first, max(end, first + 1), step):
            rows = self._read_rows(file, offset, start, min(step, end - start))
            for i in range(0, max(len(rows), 1), options.block_rows):
                yield rows[i : i + options.block_rows]

    def _open_seekable(self, options: "ReadOptions") -> tuple[IO[bytes], int]:
        if self.offset is not None and self.source.file is not None:
            return self.source.file, self.offset
        check_data_size(_COLUMN_MAJOR, self.total, self.source, options)
        # One more byte shows that there is more, and makes zipfile verify the checksum.
        stop = self.total + 1
        copy = copy_to_temporary_file(_COLUMN_MAJOR, self.stream, self.source, options, stop)
        if copy.tell() != self.total:
            raise self.size_error(copy.tell() if copy.tell() < self.total else None)
        return copy, 0

    def _read_rows(self, file: IO[bytes], offset: int, start: int, n_rows: int) -> NDArray[Any]:
        length, itemsize = self.shape[0], self.dtype.itemsize
        n_columns = math.prod(self.shape[1:])
        columns = np.empty((n_columns, n_rows), self.dtype)
        column_bytes = max(length * itemsize, 1)
        if n_rows == length or column_bytes <= _SEEK_BYTES:
            group, skipped, taken = max(1, _GROUP_BYTES // column_bytes), 0, length
        else:
            group, skipped, taken = 1, start, n_rows
        for first in range(0, n_columns if n_rows else 0, group):
            part = columns[first : first + group]
            file.seek(offset + (first * length + skipped) * itemsize)
            content = file.read(len(part) * taken * itemsize)
            if len(content) < len(part) * taken * itemsize:
                raise self.size_error(file.tell() - offset)
            values = np.frombuffer(content, self.dtype).reshape(len(part), taken)
            part[:] = values[:, start - skipped : start - skipped + n_rows]
        return np.ascontiguousarray(columns.T.reshape(n_rows, *self.shape[1:], order="F"))
