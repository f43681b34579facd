"""The native form: parameters as safetensors, what they mean as JSON in its metadata.

The metadata has one entry, ``xpnet``, so that the same network always gives the same bytes;
`xpnet.formats.description` says what is in it. Files of others have no such entry: their arrays
have names alone.
"""

import json
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError
from xpnet.formats.contents import Named
from xpnet.formats.description import arrays_by_name, describe, without_doubles
from xpnet.networks.network import Network

__all__ = ["Tensor", "read", "read_arrays", "read_header", "serialize"]

_KEY = "xpnet"
_LENGTH_BYTES = 8
# The description of a network is in it; as Python's objects it takes ten times as much.
_MOST_HEADER_BYTES = 1 << 25
_DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "<u2",  # the upper half of a float32
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


@dataclass(frozen=True)
class Tensor:
    """What a header says of one tensor; `start` is its place in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int


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

    return bytes(save(arrays_by_name(network), {_KEY: describe(network)}))


def read(path: Path) -> Named:
    """Read the tensors of a file, and what its metadata says of them.

    Raises
    ------
    WeightsError
        As `read_arrays`.
    """
    arrays, metadata = read_arrays(path)
    return Named(arrays, metadata.get(_KEY))


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read tensors straight into arrays, and the metadata; bfloat16, which NumPy lacks, as float32.

    Raises
    ------
    WeightsError
        If the file is damaged, or has a dtype that NumPy has not.
    """
    metadata, tensors = read_header(path)
    arrays = {}
    with FileIO(path) as stream:
        for tensor in tensors:
            arrays[tensor.name] = _read_tensor(stream, tensor, path)
    return arrays, metadata


def read_header(path: Path) -> tuple[dict[str, str], list[Tensor]]:
    """Return a file's metadata, and its tensors by their place in it.

    The format's own library judges the header; that a name is there twice, which it accepts, is
    refused here.

    Raises
    ------
    WeightsError
        If the header is none, or is not that of this file.
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as stream:
        n_header = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if _MOST_HEADER_BYTES < n_header <= path.stat().st_size:
            msg = "safetensors with a header too long for a network"
            expected = f"at most {_MOST_HEADER_BYTES:,} bytes"
            raise WeightsError(msg, file=path, found=f"{n_header:,}", expected=expected)
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        what = f"not valid safetensors: {error}"
        raise WeightsError(what, file=path) from error
    with path.open("rb") as stream:
        stream.seek(_LENGTH_BYTES)
        text = stream.read(n_header)
    try:
        header = json.loads(text, object_pairs_hook=without_doubles)
        metadata = header.pop("__metadata__", None) or {}
        start = _LENGTH_BYTES + n_header
        tensors = [
            Tensor(name, entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0])
            for name, entry in header.items()
        ]
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        what = f"not valid safetensors: {error}"
        raise WeightsError(what, file=path) from error
    return metadata, sorted(tensors, key=lambda tensor: tensor.start)


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
            msg = "the file changed while it was read"
            raise WeightsError(msg, file=path)
        filled += count
    if tensor.dtype == "BF16":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array
