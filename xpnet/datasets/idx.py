"""IDX, the format of the original MNIST files: a short header, then the bytes of the pixels."""

from typing import TYPE_CHECKING

import numpy as np

from xpnet.datasets.row_tables import Table
from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.files import Source

__all__ = ["open_idx"]

_UINT8 = 0x08
_MAX_DIMENSIONS = 4
_MAGIC_BYTES = 4
_LENGTH_BYTES = 4


def open_idx(source: "Source") -> Table:
    """Read the header of an IDX file.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.

    Returns
    -------
    Table
        The array of uint8 that follows the header.

    Raises
    ------
    DataError
        If the header is not that of an IDX file of uint8, or does not fit the file's size.
    """
    magic = source.read(_MAGIC_BYTES)
    expected = "00 00 08 and the number of dimensions (IDX of uint8), or a CSV, npy or npz file"
    if len(magic) < _MAGIC_BYTES or magic[:2] != b"\x00\x00":
        msg = "first bytes"
        raise DataError(msg, file=source.name, found=magic.hex(" "), expected=expected)
    kind, n_dimensions = magic[2:]
    if kind != _UINT8:
        shown = f"{kind:02x} in {magic.hex(' ')}"
        msg = "IDX type code"
        raise DataError(msg, file=source.name, found=shown, expected="08 (uint8)")
    if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
        msg = "IDX number of dimensions"
        raise DataError(
            msg,
            file=source.name,
            found=f"{n_dimensions} in {magic.hex(' ')}",
            expected=f"1 to {_MAX_DIMENSIONS}",
        )
    lengths = source.read(_LENGTH_BYTES * n_dimensions)
    if len(lengths) < _LENGTH_BYTES * n_dimensions:
        msg = "IDX header is cut off"
        raise DataError(
            msg,
            file=source.name,
            found=f"{len(magic + lengths)} bytes",
            expected=f"{len(magic) + _LENGTH_BYTES * n_dimensions}",
        )
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    size = None if source.size is None else source.size - len(magic + lengths)
    return Table(source.name, source, shape, np.dtype(np.uint8), size)
