"""NumPy's own files: npy holds one array, npz several; nothing in them is ever unpickled."""

import io
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from xpnet.datasets.roles import check_counts, image_blocks, label_values, paired
from xpnet.datasets.tables import Rows, Table
from xpnet.files import DataError, quoted, take

if TYPE_CHECKING:
    from xpnet.datasets.options import Options
    from xpnet.files import Source
    from xpnet.files.opening import Readable

__all__ = ["npz_labels", "open_npy", "open_npz"]

_PAIRS = (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "target"))
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_HEADER_LIMIT = 10_000
# What NumPy's parser of Python literals lets through.
_HEADER_FAULTS = (
    ValueError,
    TypeError,
    SyntaxError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)
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
    magic = bytes(take(stream, 8))
    version = (magic[-2], magic[-1]) if magic[:-2] == _MAGIC else (0, 0)
    if version not in _LENGTH_BYTES:
        msg = "npy version"
        raise DataError(msg, file=name, found=magic.hex(" "), expected="1.0 or 2.0")
    prefix = take(stream, _LENGTH_BYTES[version])
    n_header = int.from_bytes(prefix, "little")
    if n_header > _HEADER_LIMIT:
        limit = f"at most {_HEADER_LIMIT} bytes"
        msg = "npy header"
        raise DataError(msg, file=name, found=f"{n_header} bytes", expected=limit)
    header = take(stream, n_header)
    shape, fortran, dtype = _parse_header(bytes(prefix + header), version, name)
    if not shape or any(type(length) is not int or length < 0 for length in shape):
        msg = "npy shape"
        raise DataError(msg, file=name, found=shape, expected="rows of pixels")
    if dtype.hasobject or dtype.kind == "V":
        msg = "dtype of the array"
        raise DataError(msg, file=name, found=dtype, expected="plain numbers")
    if size is not None:
        size -= len(magic) + len(prefix) + len(header)
    table = Table(name, stream, shape, dtype, size)
    return _row_major(table) if fortran and len(shape) > 1 else table


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
    images = members[image_name].table()
    blocks = image_blocks(images, options)
    if label_name not in members or not options.own_labels:
        return Rows(((block, None) for block in blocks), images.shape[0], labelled=False)
    labels = members[label_name].table()
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
    return members[(known or list(members))[0]].table()


@dataclass(frozen=True)
class _Member:
    """A file in a zip archive. It opens when it is first read, and its faults are named."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    source: "Source"

    def table(self) -> Table:
        return open_npy(self, self.source.name, self.info.file_size)

    def read(self, size: int, /) -> bytes:
        with _faults(self.source.name):
            return self._stream.read(size)

    @cached_property
    def _stream(self) -> IO[bytes]:
        # An archive stays open as long as one of its members is.
        return self.source.closing.enter_context(self.archive.open(self.info))


def _members(source: "Source") -> dict[str, _Member]:
    with _faults(source.name):
        archive = source.closing.enter_context(zipfile.ZipFile(_seekable(source)))
    members: dict[str, _Member] = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key == info.filename or key in members:
            what = "npz member twice" if key in members else "npz member that is no npy file"
            raise DataError(what, file=source.name, found=quoted(info.filename))
        members[key] = _Member(archive, info, source)
    if not members:
        msg = "npz without arrays"
        raise DataError(msg, file=source.name)
    return members


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


@contextmanager
def _faults(name: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as fault:  # NotImplementedError is one, for the rarer compressions
        msg = "npz member cannot be read"
        raise DataError(msg, file=name, found=fault) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as fault:
        if isinstance(fault, DataError):
            raise
        what = "corrupt or truncated npz"
        raise DataError(what, file=name, found=str(fault) or type(fault).__name__) from None


def _parse_header(
    header: bytes, version: tuple[int, int], name: str
) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    parse = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    try:
        return parse(io.BytesIO(header))
    except _HEADER_FAULTS as fault:
        reason = str(fault).partition(chr(10))[0]
        msg = "npy header"
        raise DataError(msg, file=name, found=reason) from None


def _row_major(table: Table) -> Table:
    # Rows of a column-major array are scattered over the file: all of it has to be read.
    content: bytes | bytearray = take(table.stream, table.total + 1)
    if len(content) == table.total:
        columns = np.frombuffer(content, table.dtype).reshape(table.shape, order="F")
        content = columns.tobytes()
    return replace(table, stream=io.BytesIO(content), size=len(content))
