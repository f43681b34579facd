"""The native form: parameters as safetensors, what they mean as JSON in its metadata.

The metadata has one entry, ``xpnet``, so that the same network always gives the same bytes;
`xpnet.formats.description` says what is in it. Its last entry here, ``crc32``, is a checksum of the
rest and of the tensors' names, dtypes and shapes: one changed letter makes ``relu`` ``celu``. Files
of others have no such metadata: their arrays have names alone.
"""

import os
import re
import zlib
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError
from xpnet.formats.description import arrays_by_name, describe
from xpnet.formats.load_options import MOST_BYTES
from xpnet.formats.model_file import Named
from xpnet.formats.safetensors_header import Tensor, parse_header
from xpnet.networks.network import Network

__all__ = ["read", "read_arrays", "read_header", "serialize"]

_KEY = "xpnet"
_SEALED = re.compile(r'(\{.*), "crc32": (\d{1,10})\}', re.DOTALL)
_DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "<u2",  # the upper half of a float32
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


def serialize(network: Network) -> bytes:
    """Return the bytes of a safetensors file that holds the network.

    Raises
    ------
    TypeError
        If the parameters are of a dtype that the format has not.
    ValueError
        If a parameter is NaN or infinite.
    """
    from safetensors.numpy import save

    arrays, description = arrays_by_name(network), describe(network)
    checksum = _checksum(description, arrays)
    return bytes(save(arrays, {_KEY: f'{description[:-1]}, "crc32": {checksum}}}'}))


def read(path: Path, *, max_bytes: int = MOST_BYTES) -> Named:
    """Read the tensors of a file, and what its metadata says of them.

    Raises
    ------
    WeightsError
        As `read_arrays`, and if the header was changed after xpnet wrote it.
    """
    arrays, metadata = read_arrays(path, max_bytes=max_bytes)
    description = metadata.get(_KEY)
    # xpnet wrote files without a checksum at first.
    if description is not None and (sealed := _SEALED.fullmatch(description)):
        description = f"{sealed[1]}}}"
        if int(sealed[2]) != _checksum(description, arrays):
            what = "damaged: the header was changed after the network was saved"
            raise WeightsError(what, file=path, hint="save or copy it again")
    return Named(arrays, description)


def _checksum(description: str, arrays: Mapping[str, NDArray[Any]]) -> int:
    """Return the checksum of all that the header says. The numbers have none: it takes time."""
    facts = sorted((name, x.dtype.name, x.shape) for name, x in arrays.items())
    return zlib.crc32(f"{description}{facts}".encode())


def read_arrays(
    path: Path, *, max_bytes: int = MOST_BYTES
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read tensors straight into arrays, and the metadata; bfloat16, which NumPy lacks, as float32.

    Raises
    ------
    WeightsError
        If the file is damaged, changes while it is read, has a dtype that NumPy has not, or if
        the tensors take more than `max_bytes`.
    """
    # One descriptor for header and tensors: what takes the file's name meanwhile is another file.
    with FileIO(path) as stream:
        before = _state(stream)
        metadata, tensors = _parsed(stream, path)
        n_bytes = tensors[-1].end - tensors[0].start if tensors else 0
        if n_bytes > max_bytes:
            msg = "tensors are too large"
            hint = "--max-bytes (max_bytes=) raises the limit"
            found, expected = f"{n_bytes:,} bytes", f"at most {max_bytes:,}"
            raise WeightsError(msg, file=path, found=found, expected=expected, hint=hint)
        arrays = {tensor.name: _read_tensor(stream, tensor, path) for tensor in tensors}
        if _state(stream) != before:
            raise _changed(path)
    return arrays, metadata


def read_header(path: Path) -> tuple[dict[str, str], list[Tensor]]:
    """Return a file's metadata, and its tensors by their place in it.

    Raises
    ------
    WeightsError
        If the header is none, or is not that of this file.
    """
    with FileIO(path) as stream:
        return _parsed(stream, path)


def _parsed(stream: FileIO, path: Path) -> tuple[dict[str, str], list[Tensor]]:
    try:
        return parse_header(stream, os.fstat(stream.fileno()).st_size)
    except (ValueError, RecursionError) as error:
        what = f"not valid safetensors: {error}"
        raise WeightsError(what, file=path) from None


def _state(stream: FileIO) -> tuple[int, int]:
    """Return what changes when somebody writes into the file."""
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _changed(path: Path) -> WeightsError:
    return WeightsError("the file changed while it was read", file=path, hint="read it again")


def _read_tensor(stream: FileIO, tensor: Tensor, path: Path) -> NDArray[Any]:
    if tensor.dtype not in _DTYPES:
        msg = "safetensors of a dtype that NumPy has not"
        found, expected = f"{tensor.name} of {tensor.dtype}", "F16, BF16, F32 or F64"
        raise WeightsError(msg, file=path, found=found, expected=expected)
    array = np.empty(tensor.shape, _DTYPES[tensor.dtype])
    # Straight into the array: no copy of a large file is ever made.
    view = memoryview(array.reshape(-1).view(np.uint8).data)
    stream.seek(tensor.start)
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])
        if not count:
            raise _changed(path)
        filled += count
    if tensor.dtype == "BF16":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array
