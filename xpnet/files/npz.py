"""Strict reading and deterministic writing of npz files.

``zipfile`` checks each member against its checksum, but accepts bytes before and after an archive,
and a directory of fewer members than the archive has. Both are rejected here.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataError, FileError, quoted
from xpnet.files.taking import take

__all__ = ["NpzMember", "npz_bytes", "open_npz_members"]

# Errors of a damaged archive, besides LookupError, ValueError and OverflowError.
_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError)
# NumPy writes no others; LZMA would allocate any amount of memory that a file declares.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED = 1
_UNIX, _MODE = 3, 0o644 << 16
# Activations hardly shrink at any level, and the zeros of images already do at level 1.
_LEVEL = 1
# xpnet alone writes this comment; tools that remove a member keep it.
_COMMENT = b"xpnet members: %d"
# The last record, of PKWARE's APPNOTE.TXT, section 4.3.16.
_END = struct.Struct("<4s6xH8xH")
_MOST_IN_END = 0xFFFF


@dataclass(frozen=True)
class NpzMember:
    """An array in an npz file, opened at the first read."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    file: str
    closing: ExitStack
    error: type[FileError]
    kind: str = "npz"

    @property
    def size(self) -> int:
        """Number of bytes of header and array after decompression, from the directory."""
        return self.info.file_size

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, b"" at the end."""
        with _zip_errors(self.file, self.error, self.kind):
            return self._stream.read(size)

    def rest(self, n_bytes: int) -> bytearray:
        """Return all remaining bytes; raise unless they are `n_bytes` and match the checksum."""
        # Only a read beyond the last byte makes zipfile verify the checksum.
        content = take(self, n_bytes + 1)
        if len(content) != n_bytes:
            more, name = "more" if len(content) > n_bytes else "less", self.info.orig_filename
            what = f"{self.kind} member {quoted(name)} has {more} than its header declares"
            raise self.error(what, file=self.file, expected=f"{n_bytes:,} bytes of the array")
        return content

    def read_all(self, limit: int) -> bytearray:
        """Return all bytes of an unread member; raise, before it is unpacked, if above `limit`."""
        if self.size > limit:
            what = f"{self.kind} member {quoted(self.info.orig_filename)} is too large"
            found, expected = f"{self.size:,} bytes", f"at most {limit:,}"
            raise self.error(what, file=self.file, found=found, expected=expected)
        return self.rest(self.size)

    @cached_property
    def _stream(self) -> IO[bytes]:
        # `closing` keeps the archive open as long as its members.
        return self.closing.enter_context(self.archive.open(self.info))


def open_npz_members(
    opened: Path | IO[bytes],
    name: str,
    closing: ExitStack,
    *,
    error: type[FileError] = DataError,
    kind: str = "npz",
) -> dict[str, NpzMember]:
    """Return the members of an npz file by name, without the suffix ``.npy`` and unread.

    A stream must be seekable. `closing` closes the file and its members. Zip archives of another
    `kind`, such as torch's, may have members of any name.

    Raise `error`, with the file's `name`, if the file is not a zip archive of npy files, has bytes
    outside its members, has a directory that contradicts the local headers, lacks a member that
    xpnet wrote, or contains a duplicate name or a path outside its folder.
    """
    stream = closing.enter_context(opened.open("rb")) if isinstance(opened, Path) else opened
    with _zip_errors(name, error, kind):
        archive = closing.enter_context(zipfile.ZipFile(stream))
        _check_ends(archive, stream)
    members: dict[str, NpzMember] = {}
    suffix = ".npy" if kind == "npz" else ""
    for info in archive.infolist():
        # Not `filename`, which some versions of Python read from an unchecked extra field.
        full_name = info.orig_filename
        key = full_name.removesuffix(suffix)
        found = quoted(full_name)
        is_twice = key in members
        if is_twice or not full_name.endswith(suffix):
            what = f"duplicate {kind} member" if is_twice else "npz member that is not an npy file"
            raise error(what, file=name, found=found)
        if info.compress_type not in _COMPRESSIONS or info.flag_bits & _IS_ENCRYPTED:
            what = f"{kind} member with an unsupported compression, or encrypted"
            raise error(what, file=name, found=found)
        with _zip_errors(name, error, kind):
            archive.open(info).close()  # compares the name with the one beside the content
        path = PurePosixPath(full_name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            msg = f"{kind} member with a path outside its folder"
            raise error(msg, file=name, found=found)
        members[key] = NpzMember(archive, info, name, closing, error, kind)
    if not members:
        msg = f"{kind} without arrays"
        raise error(msg, file=name)
    expected = _COMMENT % len(members)
    if archive.comment not in (b"", expected):
        what = f"comment of the {kind} archive, the number of its members"
        found = quoted(archive.comment.decode("utf-8", "surrogateescape"))
        raise error(what, file=name, found=found, expected=f"{quoted(expected.decode())} or none")
    return members


def _check_ends(archive: zipfile.ZipFile, stream: IO[bytes]) -> None:
    """Raise BadZipFile if an archive is not all of its file, or its directory is not whole."""
    members, comment = archive.infolist(), archive.comment
    stream.seek(-_END.size - len(comment), os.SEEK_END)
    signature, n_members, n_comment = _END.unpack(stream.read(_END.size))
    if signature != b"PK\5\6" or n_comment != len(comment):
        msg = "an end that is cut, or other data after it"
        raise zipfile.BadZipFile(msg)
    if n_members != min(len(members), _MOST_IN_END):
        msg = f"{len(members)} members, but {n_members} in the end record"
        raise zipfile.BadZipFile(msg)
    # `zipfile` corrects all offsets if the directory is not where the end record expects it.
    if min((info.header_offset for info in members), default=0) != 0:
        msg = "other data before or among the members"
        raise zipfile.BadZipFile(msg)


@contextmanager
def _zip_errors(name: str, error: type[FileError], kind: str) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except RuntimeError as fault:  # includes NotImplementedError, for rare compressions
        msg = f"{kind} member cannot be read"
        raise error(msg, file=name, found=fault) from None
    except (*_FAULTS, LookupError, ValueError, OverflowError) as fault:
        what, found = f"corrupt or truncated {kind}", str(fault) or type(fault).__name__
        raise error(what, file=name, found=found, hint="save or copy it again") from None


def npz_bytes(members: Mapping[str, NDArray[Any]]) -> memoryview:
    """Return arrays by name as compressed npz; equal arrays give equal bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # has a fixed date
            info.create_system, info.external_attr = _UNIX, _MODE
            content = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            np.lib.format.write_array(content, little, version=(1, 0), allow_pickle=False)
            archive.writestr(info, content.getbuffer(), zipfile.ZIP_DEFLATED, _LEVEL)
        archive.comment = _COMMENT % len(members)
    return whole.getbuffer()
