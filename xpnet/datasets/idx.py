"""IDX, the format of the original MNIST files: a short header and uint8 values."""

from typing import TYPE_CHECKING

import numpy as np

from xpnet.datasets.stored_array import StoredArray
from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.files.opening import Source

__all__ = ["open_idx"]

_UINT8 = 0x08
_MAX_DIMENSIONS = 4
_MAGIC_BYTES = 4
_LENGTH_BYTES = 4


def open_idx(source: "Source") -> StoredArray:
    """Read the header of an IDX file.

    Raise DataError if the header is not valid, its type is not uint8, or the file has another size.
    """
    magic = source.read(_MAGIC_BYTES)
    shown = magic.hex(" ")
    if len(magic) < _MAGIC_BYTES or magic[:2] != b"\x00\x00":
        msg = "first bytes"
        expected = "00 00 08 and the number of dimensions (IDX of uint8), or a CSV, npy or npz file"
        raise DataError(msg, file=source.name, found=shown, expected=expected)
    kind, n_dimensions = magic[2:]
    if kind != _UINT8:
        msg, found = "IDX type code", f"{kind:02x} in {shown}"
        raise DataError(msg, file=source.name, found=found, expected="08 (uint8)")
    if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
        msg, found = "IDX number of dimensions", f"{n_dimensions} in {shown}"
        raise DataError(msg, file=source.name, found=found, expected=f"1 to {_MAX_DIMENSIONS}")
    lengths = source.read(_LENGTH_BYTES * n_dimensions)
    n_bytes = _MAGIC_BYTES + _LENGTH_BYTES * n_dimensions
    if _MAGIC_BYTES + len(lengths) < n_bytes:
        msg, found = "truncated IDX header", f"{_MAGIC_BYTES + len(lengths)} bytes"
        raise DataError(msg, file=source.name, found=found, expected=n_bytes)
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    size = None if source.size is None else source.size - n_bytes
    return StoredArray(source, source, shape, np.dtype(np.uint8), size)
