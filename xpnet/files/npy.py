"""Validation of the header of an npy array."""

import io
import math
import sys
import tokenize
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.files.errors import DataError, FileError
from xpnet.files.taking import Readable, take

__all__ = ["NpyHeader", "read_npy_header"]

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_HEADER_LIMIT = 10_000
_MAX_DIMENSIONS = 32
# Exceptions of NumPy's parser of Python literals, besides ValueError and TypeError.
_PARSE_ERRORS = (SyntaxError, MemoryError, RecursionError, tokenize.TokenError)


@dataclass(frozen=True)
class NpyHeader:
    """Shape, memory order (Fortran or C) and plain dtype of an npy array."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    n_bytes: int  # of the header itself

    @property
    def total(self) -> int:
        """Number of bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(
    stream: Readable, name: str, *, error: type[FileError] = DataError
) -> NpyHeader:
    """Read the header of an npy array, up to the first byte of the array.

    Raise `error`, with the file's `name`, if the header is not valid, or the dtype is `object` or
    structured.
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
    formats = np.lib.format
    parse = formats.read_array_header_1_0 if version[0] == 1 else formats.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2
            shape, is_fortran, dtype = parse(io.BytesIO(prefix + header))
    except (ValueError, TypeError, *_PARSE_ERRORS) as fault:
        reason = str(fault).partition(chr(10))[0] or type(fault).__name__
        msg = "npy header"
        raise error(msg, file=name, found=reason) from None
    is_valid = all(type(n) is int and 0 <= n <= sys.maxsize for n in shape)
    if len(shape) > _MAX_DIMENSIONS or not is_valid:
        # Python does not convert very large integers to strings.
        shown = tuple(n if abs(n) <= sys.maxsize else f"over {sys.maxsize}" for n in shape)
        msg = "npy shape"
        raise error(msg, file=name, found=shown, expected="lengths that are nonnegative integers")
    if dtype.hasobject or dtype.kind == "V":
        msg, hint = "dtype of the array", "save strings by array.astype(str)"
        raise error(msg, file=name, found=dtype, expected="plain numbers", hint=hint)
    return NpyHeader(shape, is_fortran, dtype, len(magic) + len(prefix) + len(header))
