"""NumPy's own files: npy holds one array, npz several; nothing in them is ever unpickled."""

import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from xpnet.datasets.roles import check_counts, image_blocks, label_values, paired
from xpnet.datasets.tables import Rows, Table
from xpnet.files import DataError, take
from xpnet.files.npy import read_npy_header
from xpnet.files.npz import NpzMember, open_npz_members

if TYPE_CHECKING:
    from xpnet.datasets.options import Options
    from xpnet.files import Source
    from xpnet.files.opening import Readable

__all__ = ["npz_labels", "open_npy", "open_npz"]

_PAIRS = (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "target"))
_SPOOL_BYTES = 1 << 26


def open_npy(stream: "Readable", name: str, size: int | None) -> Table:
    """Read the header of an npy file.

    Parameters
    ----------
    stream : Readable
        The open file, of which nothing has been read.
    name : str
        Its name for errors.
    size : int or None
        Its bytes, where they are known.

    Returns
    -------
    Table
        The array that follows the header.

    Raises
    ------
    DataError
        If the header is not one of the npy format, if the array holds Python objects or
        structures, or if its size does not fit the file's.
    """
    header = read_npy_header(stream, name)
    if not header.shape:
        msg = "npy shape"
        raise DataError(msg, file=name, found=header.shape, expected="rows of pixels")
    if size is not None:
        size -= header.n_bytes
    table = Table(name, stream, header.shape, header.dtype, size)
    return _row_major(table) if header.is_fortran and len(header.shape) > 1 else table


def open_npz(source: "Source", options: "Options") -> Rows:
    """Open an npz file of images, with labels if it has them.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.
    options : Options
        The options of `xpnet.datasets.read`.

    Returns
    -------
    Rows
        The images under the names images, x, X or data; or the one array that there is. Labels
        under the names labels, y or target.

    Raises
    ------
    DataError
        If the file is not a zip of npy files, if the names are others, or if there are more
        images than labels or fewer.
    """
    members = _members(source)
    image_name, label_name = _names(set(members), source.name)
    images = _table(members[image_name])
    blocks = image_blocks(images, options)
    if label_name not in members or not options.own_labels:
        return Rows(((block, None) for block in blocks), images.shape[0], labelled=False)
    labels = _table(members[label_name])
    check_counts((source.name, images.shape[0]), (f"its {label_name!r}", labels.shape[0]))
    pairs = paired(blocks, label_values(labels, options))
    return Rows(pairs, images.shape[0], labelled=True)


def npz_labels(source: "Source") -> Table:
    """Find the labels of an npz file: the array named labels, y or target, or the only one.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.

    Returns
    -------
    Table
        The array.

    Raises
    ------
    DataError
        If there is no such array.
    """
    members = _members(source)
    known = [name for name in dict.fromkeys(label for _, label in _PAIRS) if name in members]
    if len(known) != 1 and len(members) != 1:
        raise _names_error(set(members), source.name, "labels, y or target")
    return _table(members[(known or list(members))[0]])


def _members(source: "Source") -> dict[str, NpzMember]:
    return open_npz_members(_seekable(source), source.name, source.closing)


def _table(member: NpzMember) -> Table:
    return open_npy(member, member.file, member.size)


def _seekable(source: "Source") -> Path | IO[bytes]:
    # The directory of a zip file is at its end: what cannot seek is copied first, beyond some
    # size to the disk.
    if source.size is not None and source.path is not None:
        return source.path
    spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 -- closed with the source
    copy = source.closing.enter_context(spool)
    shutil.copyfileobj(source, copy)
    return cast("IO[bytes]", copy)


def _names(members: set[str], name: str) -> tuple[str, str]:
    known = [(images, labels) for images, labels in _PAIRS if images in members]
    if len(known) == 1:
        return known[0]
    if len(members) == 1:
        return members.pop(), ""
    raise _names_error(members, name, "images and labels, x and y, X and y, or data and target")


def _names_error(members: set[str], name: str, expected: str) -> DataError:
    shown = ", ".join(sorted(members))
    hint = "save the wanted arrays under such names"
    return DataError("names of the arrays", file=name, found=shown, expected=expected, hint=hint)


def _row_major(table: Table) -> Table:
    # Rows of a column-major array are scattered over the file: all of it has to be read.
    content: bytes | bytearray = take(table.stream, table.total + 1)
    if len(content) == table.total:
        columns = np.frombuffer(content, table.dtype).reshape(table.shape, order="F")
        content = columns.tobytes()
    return replace(table, stream=io.BytesIO(content), size=len(content))
