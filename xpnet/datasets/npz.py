"""NumPy's own files: npy holds one array, npz several; nothing in them is ever unpickled."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from xpnet.datasets.array_checks import image_rows, label_blocks
from xpnet.datasets.column_major import ColumnTable
from xpnet.datasets.limits import spooled
from xpnet.datasets.pairing import paired
from xpnet.datasets.row_tables import Labels, Rows, Table
from xpnet.files import DataError
from xpnet.files.npy import read_npy_header
from xpnet.files.npz import NpzMember, open_npz_members

if TYPE_CHECKING:
    from xpnet.datasets.read_options import Options
    from xpnet.files import Source
    from xpnet.files.opening import Readable

__all__ = ["npz_labels", "open_npy", "open_npz"]

_IMAGES, _LABELS = ("images", "x", "X", "data"), ("labels", "y", "Y", "target")


def open_npy(source: "Source") -> Table:
    """Read the header of an npy file.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.

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
    return _open_array(source, source, source.size)


def _open_array(stream: "Readable", source: "Source", size: int | None) -> Table:
    name = source.name
    header = read_npy_header(stream, name)
    if not header.shape:
        msg = "npy shape"
        raise DataError(msg, file=name, found=header.shape, expected="rows of pixels")
    if size is not None:
        size -= header.n_bytes
    if not header.is_fortran or math.prod(header.shape[1:]) == 1:
        return Table(name, stream, header.shape, header.dtype, size)
    offset = header.n_bytes if stream is source else None
    return ColumnTable(name, stream, header.shape, header.dtype, size, source, offset)


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
        If the file is not a zip of npy files, if the names are others or leave a choice, or if
        there are more images than labels or fewer.
    """
    members = _members(source, options)
    image_name, label_name = _names(members, source.name, options)
    table = _table(members[image_name], source)
    images = image_rows(table, source, options)
    if label_name is None:
        return images
    table_of_labels = _table(members[label_name], source)
    labels = Labels(label_blocks(table_of_labels, options), table_of_labels.shape[0])
    names = (source.name, f"its {label_name!r}")
    pairs = paired(images, labels, names, options.rows)
    return Rows(pairs, images.count, labelled=True, table=table)


def npz_labels(source: "Source", options: "Options") -> Table:
    """Find the labels of an npz file: the array named labels, y or target, or the only one.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.
    options : Options
        `max_data_bytes` is used.

    Returns
    -------
    Table
        The array.

    Raises
    ------
    DataError
        If there is no such array.
    """
    members = _members(source, options)
    known = [name for name in _LABELS if name in members]
    if len(known) != 1 and len(members) != 1:
        raise _names_error(members, source.name, "one of labels, y and target")
    return _table(members[(known or list(members))[0]], source)


def _members(source: "Source", options: "Options") -> dict[str, NpzMember]:
    return open_npz_members(_seekable(source, options), source.name, source.closing)


def _table(member: NpzMember, source: "Source") -> Table:
    return _open_array(member, source, member.size)


def _seekable(source: "Source", options: "Options") -> Path | IO[bytes]:
    # The directory of a zip file is at its end: what cannot seek is copied first.
    if source.size is not None and source.path is not None:
        return source.path
    return spooled("zip file that cannot seek,", source, source, options)


def _names(members: Iterable[str], name: str, options: "Options") -> tuple[str, str | None]:
    """Return the name of the images, and that of the labels if there are any and they matter."""
    names = set(members)
    images = [known for known in _IMAGES if known in names] or list(names)
    labels = [known for known in _LABELS if known in names - set(images) and options.own_labels]
    if len(images) != 1 or len(labels) > 1:
        expected = "one of images, x, X and data, and at most one of labels, y and target"
        raise _names_error(names, name, expected)
    return images[0], labels[0] if labels else None


def _names_error(members: Iterable[str], name: str, expected: str) -> DataError:
    shown = ", ".join(sorted(members))
    hint = "save the wanted arrays under such names"
    return DataError("names of the arrays", file=name, found=shown, expected=expected, hint=hint)
