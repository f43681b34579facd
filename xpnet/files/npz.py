"""npz files: arrays by name, whole or not at all."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["npz_bytes", "read_npz"]


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays by name as a compressed npz file; equal arrays give equal bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name, in native byte order.

    Raise ValueError, in one line, if the file is damaged or holds anything but arrays of plain
    dtypes. Zip has a checksum of each array.
    """
    try:
        return dict(_arrays(content))
    except Exception as error:  # zipfile, zlib and NumPy have no common class of errors
        reason = str(error).partition("\n")[0] or type(error).__name__
        msg = f"not a whole npz file: {reason}"
        raise ValueError(msg) from error


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    # zipfile passes over bytes before the first member and after the last record.
    if not (content.startswith(b"PK\3\4") and content[-22:].startswith(b"PK\5\6")):
        msg = "bytes are missing, or too many"
        raise ValueError(msg)
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy") or name.removesuffix(".npy") in arrays:
                msg = f"{name!r} is not the npy file of one array"
                raise ValueError(msg)
            member = io.BytesIO(archive.read(name))  # all of it: its checksum is right
            array = np.lib.format.read_array(member, allow_pickle=False)
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            arrays[name.removesuffix(".npy")] = native
    return arrays
