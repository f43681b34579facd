"""npz files: a zip archive that is checked before anything is read, and the same bytes again."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataError, FileError, quoted
from xpnet.files.opening import take
from xpnet.files.zip_structure import check_structure

__all__ = ["NpzMember", "npz_bytes", "open_npz_members"]

_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    OverflowError,
)
# NumPy writes no others; one of them asks for as much memory as a file likes.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED = 1
_UNIX, _MODE = 3, 0o644 << 16
# Level 1: activations hardly shrink at any level, and the zeros of images do at this one.
_LEVEL = 1


@dataclass(frozen=True)
class NpzMember:
    """An array in an npz file. It is opened when it is first read, and its faults are named."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    file: str
    closing: ExitStack
    error: type[FileError]

    @property
    def size(self) -> int:
        """How many bytes it has, by the directory, when it is unpacked: header and array."""
        return self.info.file_size

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""
        with _faults(self.file, self.error):
            return self._stream.read(size)

    def rest(self, n_bytes: int) -> bytearray:
        """Return all bytes that have not been read, whose checksum is compared.

        Raises
        ------
        FileError
            If there are more than `n_bytes` or fewer, or they are damaged.
        """
        # One byte more makes zipfile compare the checksum.
        content = take(self, n_bytes + 1)
        if len(content) != n_bytes:
            more = "more" if len(content) > n_bytes else "less"
            what = f"npz member {quoted(self.info.orig_filename)} has {more} than its header says"
            raise self.error(what, file=self.file, expected=f"{n_bytes:,} bytes of the array")
        return content

    @cached_property
    def _stream(self) -> IO[bytes]:
        # An archive stays open as long as one of its members is.
        return self.closing.enter_context(self.archive.open(self.info))


def open_npz_members(
    opened: Path | IO[bytes],
    name: str,
    closing: ExitStack,
    *,
    error: type[FileError] = DataError,
    hints: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, NpzMember]:
    """Read the directory of an npz file, and no array of it.

    Parameters
    ----------
    opened : Path or binary stream
        The file; a stream must be able to seek.
    name : str
        Its name for errors.
    closing : ExitStack
        What closes the file and its members.
    error : type, default DataError
        The class of errors.
    hints : mapping of str to str, optional
        What to do about a member that is no npy file, by the last part of its name.

    Returns
    -------
    dict of str to NpzMember
        By name, without the ending ``.npy``.

    Raises
    ------
    FileError
        Of class `error`, if the file is no zip file of npy files, has bytes that belong to none
        of them or a directory that contradicts them, lacks a member that xpnet wrote, or has a
        name twice or a name that leads out of a folder.
    """
    stream = closing.enter_context(opened.open("rb")) if isinstance(opened, Path) else opened
    with _faults(name, error):
        archive = closing.enter_context(zipfile.ZipFile(stream))
        check_structure(archive, stream)
    members: dict[str, NpzMember] = {}
    for info in archive.infolist():
        # Not `filename`, which some versions of Python take from an unchecked extra field.
        full_name = info.orig_filename
        key = full_name.removesuffix(".npy")
        found = quoted(full_name)
        if key == full_name or key in members:
            what = "npz member twice" if key in members else "npz member that is no npy file"
            hint = hints.get(full_name.rpartition("/")[2])
            raise error(what, file=name, found=found, hint=hint)
        if info.compress_type not in _COMPRESSIONS or info.flag_bits & _IS_ENCRYPTED:
            what = "npz member compressed in another way than npz files are, or encrypted"
            raise error(what, file=name, found=found)
        path = PurePosixPath(full_name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            msg = "npz member whose name leads elsewhere"
            raise error(msg, file=name, found=found)
        members[key] = NpzMember(archive, info, name, closing, error)
    if not members:
        msg = "npz without arrays"
        raise error(msg, file=name)
    _check_comment(archive, name, error)
    return members


def _check_comment(archive: zipfile.ZipFile, name: str, error: type[FileError]) -> None:
    """Compare the number of members with the one that xpnet wrote; others write no comment."""
    expected = _comment(len(archive.infolist()))
    if archive.comment not in (b"", expected):
        what = "comment of the npz archive, which says how many members it had"
        found = quoted(archive.comment.decode("utf-8", "surrogateescape"))
        raise error(what, file=name, found=found, expected=f"{quoted(expected.decode())} or none")


def _comment(n_members: int) -> bytes:
    # A tool that removes a member keeps it.
    return b"xpnet members: %d" % n_members


@contextmanager
def _faults(name: str, error: type[FileError]) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except RuntimeError as fault:  # NotImplementedError is one, for the rarer compressions
        msg = "npz member cannot be read"
        raise error(msg, file=name, found=fault) from None
    except _FAULTS as fault:
        what, found = "corrupt or truncated npz", str(fault) or type(fault).__name__
        raise error(what, file=name, found=found, hint="save or copy it again") from None


def npz_bytes(members: Mapping[str, NDArray[Any]]) -> memoryview:
    """Return a compressed npz file of arrays by name; the same arrays give the same bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # which has one fixed date
            info.create_system, info.external_attr = _UNIX, _MODE
            content = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            np.lib.format.write_array(content, little, version=(1, 0), allow_pickle=False)
            archive.writestr(info, content.getbuffer(), zipfile.ZIP_DEFLATED, _LEVEL)
        archive.comment = _comment(len(members))
    return whole.getbuffer()
