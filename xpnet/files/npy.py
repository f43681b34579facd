"""Validation of the header of an npy array."""

import io
import math
import sys
import tokenize
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.files.errors import DataError, FileError
from xpnet.files.opening import take

if TYPE_CHECKING:
    from xpnet.files.opening import Readable

__all__ = ["NpyHeader", "read_npy_header"]

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_HEADER_LIMIT = 10_000
_MOST_DIMENSIONS = 32
# Errors of NumPy's parser of Python literals.
_PARSE_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)


@dataclass(frozen=True)
class NpyHeader:
    """Shape, memory order and dtype of an npy array.

    Attributes
    ----------
    shape : tuple of int
        Nonnegative lengths.
    is_fortran : bool
        Whether the array is in column-major (Fortran) order.
    dtype : numpy.dtype
        Not `object`, and not structured.
    n_bytes : int
        Length of the header itself.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    n_bytes: int

    @property
    def total(self) -> int:
        """Number of bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(
    stream: "Readable", name: str, *, error: type[FileError] = DataError
) -> NpyHeader:
    """Read the header of an npy array, up to the first byte of the array.

    Parameters
    ----------
    stream : Readable
        A stream at its start.
    name : str
        Name of the file for errors.
    error : type, default DataError
        The class of errors.

    Raises
    ------
    FileError
        Of class `error`, if the header is not valid, or the dtype is `object` or structured.
    """
    magic = bytes(take(stream, 8))
    version = (magic[-2], magic[-1]) if magic[:-2] == _MAGIC else (0, 0)
    if version not in _LENGTH_BYTES:
        msg = "npy version"
        found = magic.hex(" ") or "0 bytes"
        raise error(msg, file=name, found=found, expected="1.0 or 2.0")
    prefix = take(stream, _LENGTH_BYTES[version])
    n_header = int.from_bytes(prefix, "little")
    if n_header > _HEADER_LIMIT:
        limit = f"at most {_HEADER_LIMIT} bytes"
        msg = "npy header"
        raise error(msg, file=name, found=f"{n_header} bytes", expected=limit)
    header = take(stream, n_header)
    parse = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2
            shape, is_fortran, dtype = parse(io.BytesIO(prefix + header))
    except _PARSE_ERRORS as fault:
        reason = str(fault).partition(chr(10))[0] or type(fault).__name__
        msg = "npy header"
        raise error(msg, file=name, found=reason) from None
    if len(shape) > _MOST_DIMENSIONS or not all(map(_is_length, shape)):
        # Python does not convert very large integers to strings.
        shown = tuple(n if abs(n) <= sys.maxsize else f"over {sys.maxsize}" for n in shape)
        msg = "npy shape"
        raise error(msg, file=name, found=shown, expected="lengths that are nonnegative integers")
    if dtype.hasobject or dtype.kind == "V":
        msg = "dtype of the array"
        raise error(msg, file=name, found=dtype, expected="plain numbers")
    return NpyHeader(shape, is_fortran, dtype, len(magic) + len(prefix) + len(header))


def _is_length(length: object) -> bool:
    return type(length) is int and 0 <= length <= sys.maxsize
