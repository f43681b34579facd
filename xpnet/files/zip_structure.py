"""Strict check of a zip archive, beyond what zipfile checks.

A zip archive describes each member twice: in a local header before its bytes, and in the directory
at the end of the file. ``zipfile`` reads the directory only, up to the length in the end record: a
changed bit there hides members. This module compares both descriptions and rejects bytes outside
the members, the directory and the end record.
"""

import os
import struct
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

__all__ = ["check_structure"]

# The records of PKWARE's APPNOTE.TXT, sections 4.3.7 and 4.3.14 to 4.3.16.
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ZIP64_END = struct.Struct("<4sQ2H2L4Q")
_ZIP64_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_ENTRY_LENGTHS = struct.Struct("<28x3H12x")  # of name, extra fields and comment, in 4.3.12
# Section 4.3.9, by length: without or with a signature, and with sizes of 4 or 8 bytes.
_DESCRIPTORS = {x.size: x for x in map(struct.Struct, ("<3L", "<4x3L", "<L2Q", "<4xL2Q"))}
_HAS_DESCRIPTOR, _IS_UTF_8 = 1 << 3, 1 << 11
_ZIP64_TAG, _IN_ZIP64_FIELD = 1, 0xFFFF_FFFF
_FIELD_HEADER_BYTES = 4


def check_structure(archive: ZipFile, stream: IO[bytes]) -> None:
    """Raise BadZipFile if the records of an open archive in `stream` disagree, or do not fill it.

    Bytes before, between or after the members and the directory are rejected, and contradictions
    between the end record, the directory and the local headers.
    """
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    directory = _checked_directory(archive, stream, len(infos))
    places = [*(info.header_offset for info in infos), directory]
    if places[0] != 0 or places != sorted(places):
        msg = "members whose offsets differ from the directory"
        raise BadZipFile(msg)
    for info, end in zip(infos, places[1:], strict=True):
        _check_member(stream, info, end)


def _checked_directory(archive: ZipFile, stream: IO[bytes], n_members: int) -> int:
    """Return the offset of the directory; raise if the end record does not match it."""
    end = stream.seek(0, os.SEEK_END) - _END.size - len(archive.comment)
    signature, *numbers, n_comment = _unpacked(stream, end, _END)
    if signature != b"PK\5\6":
        msg = "other data after the archive"
        raise BadZipFile(msg)
    if n_comment != len(archive.comment):
        msg = "a truncated end record"
        raise BadZipFile(msg)
    locator = end - _ZIP64_LOCATOR.size
    has_zip64 = locator >= _ZIP64_END.size
    if has_zip64 and _unpacked(stream, locator, _ZIP64_LOCATOR)[0] == b"PK\6\7":
        end = locator - _ZIP64_END.size
        _, _, _, _, *numbers = _unpacked(stream, end, _ZIP64_END)
    disk, first_disk, n_on_disk, n_recorded, n_bytes, start = numbers
    if disk or first_disk or n_on_disk != n_recorded:
        msg = "one part of a split archive"
        raise BadZipFile(msg)
    if n_recorded != n_members:
        msg = f"{n_members} members, but {n_recorded} in the end record"
        raise BadZipFile(msg)
    if start + n_bytes != end:
        stream.seek(0)
        is_archive = stream.read(4) == b"PK\3\4"
        msg = "a directory whose offset differs from the end record"
        raise BadZipFile(msg if is_archive else "other data before the archive")
    place = start
    for _ in range(n_members):
        place += _ENTRY_LENGTHS.size + sum(_unpacked(stream, place, _ENTRY_LENGTHS))
    if place != end:
        msg = "a directory whose length differs from its entries"
        raise BadZipFile(msg)
    return int(start)


def _check_member(stream: IO[bytes], info: ZipInfo, end: int) -> None:
    """Compare a local header with its directory entry; the next record must begin at `end`."""
    header = _unpacked(stream, info.header_offset, _LOCAL_HEADER)
    signature, _, flags, method, _, _, crc, n_packed, n_bytes, n_name, n_extra = header
    name = stream.read(n_name).decode("utf-8" if flags & _IS_UTF_8 else "cp437")
    extra = stream.read(n_extra)
    if _IN_ZIP64_FIELD in (n_packed, n_bytes):
        n_packed, n_bytes = _zip64_sizes(extra)
    has_descriptor = bool(flags & _HAS_DESCRIPTOR)
    recorded = (info.CRC, info.compress_size, info.file_size)
    found = (crc, n_packed, n_bytes)
    # Archives written to a pipe have zeros here, and the numbers after the data.
    fits = all(x == y or (has_descriptor and x == 0) for x, y in zip(found, recorded, strict=True))
    wanted = (b"PK\3\4", info.flag_bits, info.compress_type, info.orig_filename)
    if (signature, flags, method, name) != wanted or not fits:
        msg = f"local header of {info.orig_filename!r} that differs from the directory"
        raise BadZipFile(msg)
    n_rest = end - info.compress_size - stream.tell()
    if has_descriptor and n_rest in _DESCRIPTORS:
        descriptor = _unpacked(stream, end - n_rest, _DESCRIPTORS[n_rest])
        is_whole = descriptor == recorded
    else:
        is_whole = n_rest == 0 and not has_descriptor
    if not is_whole:
        msg = f"bytes after {info.orig_filename!r} that belong to no member"
        raise BadZipFile(msg)


def _zip64_sizes(extra: bytes) -> tuple[int, int]:
    """Return the packed and the unpacked size from the extra fields of a local header."""
    while len(extra) >= _FIELD_HEADER_BYTES:
        tag, n_bytes = struct.unpack_from("<2H", extra)
        if tag == _ZIP64_TAG:
            unpacked, packed = struct.unpack_from("<2Q", extra, _FIELD_HEADER_BYTES)
            return packed, unpacked
        extra = extra[_FIELD_HEADER_BYTES + n_bytes :]
    msg = "local header without its zip64 field"
    raise BadZipFile(msg)


def _unpacked(stream: IO[bytes], place: int, layout: struct.Struct) -> tuple[Any, ...]:
    stream.seek(place)
    return layout.unpack(stream.read(layout.size))
