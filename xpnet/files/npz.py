"""npz files: arrays by name, whole or not at all."""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["npz_bytes", "read_npz"]

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others ask for any amount of memory
_HAS_DESCRIPTOR, _DESCRIPTOR_BYTES = 0x8, 24  # NumPy writes one behind each member of a pipe
_OWN_COMMENT = b"xpnet members: %d"  # of xpnet 0.2 and earlier


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays by name as a compressed npz file; equal arrays give equal bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name, in native byte order.

    Raise ValueError, in one line, if the file is damaged or holds more than numbers and strings.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_layout(archive, content)
            members = archive.infolist()
            return {x.orig_filename.removesuffix(".npy"): _array(archive.read(x)) for x in members}
    except Exception as error:  # zipfile, zlib and NumPy have no common class of errors
        reason = str(error).partition("\n")[0] or type(error).__name__
        msg = f"not a whole npz file: {reason}"
        raise ValueError(msg) from error


def _check_layout(archive: zipfile.ZipFile, content: bytes) -> None:
    """Raise ValueError for other members, or bytes outside the members and the directory."""
    end, members, comment = 0, archive.infolist(), archive.comment
    names = {x.orig_filename for x in members if x.compress_type in _METHODS}
    if len(names) < len(members) or not all(name.endswith(".npy") for name in names):
        msg = "its members must be npy files of different names, stored or deflated"
        raise ValueError(msg)
    for member in members:
        lengths = struct.unpack_from("<26x2H", content, member.header_offset)
        end += 30 + sum(lengths) + member.compress_size
        end += _DESCRIPTOR_BYTES * bool(member.flag_bits & _HAS_DESCRIPTOR)
    has_end = content[len(content) - 22 - len(comment) :].startswith(b"PK\5\6")
    is_own = comment in {b"", _OWN_COMMENT % len(members)}
    if end != archive.start_dir or not has_end or not is_own:
        msg = "bytes are missing, or too many"
        raise ValueError(msg)


def _array(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if array.dtype.kind not in "biufcSU" or stream.read(1):
        msg = "its members must hold one array of numbers or strings each"
        raise ValueError(msg)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
