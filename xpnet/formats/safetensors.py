"""safetensors format: parameters as tensors, and xpnet's description in the metadata.

The library safetensors checks the header before any tensor is read. Tensors are read, not mapped:
a process that uses a mapped file dies if the file is truncated.

xpnet's metadata is one entry, ``xpnet``, so that the same network always gives the same bytes. It
is the description of `xpnet.formats.description`, and ends with ``crc32``, a checksum of the
description and of the tensors' names, dtypes and shapes: a single changed letter can turn
``relu`` into ``celu``. Foreign files lack this entry.
"""

import json
import math
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.taking import take
from xpnet.formats.checked_parameters import widen_bfloat16
from xpnet.formats.description import arrays_by_name, describe, unique_entries
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size, weights_errors
from xpnet.networks.network import Network

__all__ = ["read", "read_headers", "serialize"]

_KEY = "xpnet"
_SEALED = re.compile(r'(\{.*), "crc32": (\d{1,10})\}', re.DOTALL)
_LENGTH_BYTES = 8  # of the number of bytes of the header, before it
# The header contains the description; as Python objects it takes ten times as much memory.
_MAX_HEADER_BYTES = 1 << 23
_ENTRIES = frozenset({"dtype", "shape", "data_offsets"})
_CHANGED, _INVALID = "the file changed while it was read", "not valid safetensors"
_DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "<u2",  # the upper half of a float32
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


@dataclass(frozen=True)
class _Tensor:
    """Entry of a tensor in a header."""

    name: str
    dtype: str
    shape: list[int]
    data_offsets: list[int]


def serialize(network: Network) -> bytes:
    """Return the bytes of a safetensors file of a network; raise as `arrays_by_name`."""
    from safetensors.numpy import save

    arrays, description = arrays_by_name(network), describe(network)
    checksum = _checksum(description, arrays)
    return bytes(save(arrays, {_KEY: f'{description[:-1]}, "crc32": {checksum}}}'}))


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the tensors directly into arrays, bfloat16 as float32, and xpnet's description.

    Raise WeightsError if the file is damaged, changes while it is read, has a dtype that NumPy
    lacks, or the tensors are too large; also if the header was changed after writing.
    """
    with weights_errors(path, _INVALID), FileIO(path) as stream:
        before = os.fstat(stream.fileno())
        metadata, tensors = _read_header(stream, path)
        check_size(path, "tensors", before.st_size - stream.tell(), options.byte_limit)
        arrays = {tensor.name: _read_tensor(stream, tensor, path) for tensor in tensors}
        _check_same(path, before, os.fstat(stream.fileno()))
    description = metadata.get(_KEY)
    # The first files of xpnet lack the checksum.
    if description is not None and (sealed := _SEALED.fullmatch(description)):
        description = f"{sealed[1]}}}"
        if int(sealed[2]) != _checksum(description, arrays):
            msg = "damaged: the header was changed after the network was saved"
            raise WeightsError(msg, file=path, hint="save or copy it again")
    return NamedArrays(arrays, description)


def _checksum(description: str, arrays: Mapping[str, NDArray[Any]]) -> int:
    """Return the checksum of the header. The values have no checksum, which would take time."""
    facts = sorted((name, x.dtype.name, x.shape) for name, x in arrays.items())
    return zlib.crc32(f"{description}{facts}".encode())


def read_headers(path: Path, _: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all tensors, and the metadata, without reading tensors."""
    with weights_errors(path, _INVALID), FileIO(path) as stream:
        metadata, tensors = _read_header(stream, path)
    return {"arrays": [[x.name, x.dtype, x.shape] for x in tensors], "metadata": metadata}


def _read_header(stream: FileIO, path: Path) -> tuple[dict[str, str], list[_Tensor]]:
    """Return metadata and tensors in file order; the stream is then at the first tensor."""
    from safetensors import SafetensorError, safe_open

    n_header = int.from_bytes(take(stream, _LENGTH_BYTES), "little")
    if n_header > _MAX_HEADER_BYTES:
        limit = f"at most {_MAX_HEADER_BYTES:,} bytes"
        msg = f"the header of a network must have {limit}; got {n_header:,}"
        raise ValueError(msg)
    text = take(stream, n_header)
    try:
        with safe_open(path, framework="numpy"):  # checks the header, and that it fits the file
            _check_same(path, os.fstat(stream.fileno()), path.stat())
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        msg = f"{_INVALID}: {reason}"
        raise WeightsError(msg, file=path, hint="save or copy it again") from error
    header = json.loads(text, object_pairs_hook=unique_entries)
    metadata = header.pop("__metadata__", None) or {}
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != _ENTRIES:  # the library takes lists, too
            msg = f"{quoted(name)} must be an object of {', '.join(sorted(_ENTRIES))}"
            raise ValueError(msg)
    tensors = [_Tensor(name, **entry) for name, entry in header.items()]
    return metadata, sorted(tensors, key=lambda tensor: tensor.data_offsets)


def _read_tensor(stream: FileIO, tensor: _Tensor, path: Path) -> NDArray[Any]:
    if str(tensor.dtype) not in _DTYPES:
        msg = "safetensors of a dtype that NumPy lacks"
        found, expected = f"{tensor.name} of {tensor.dtype}", "F16, BF16, F32 or F64"
        raise WeightsError(msg, file=path, found=found, expected=expected)
    size = math.prod(tensor.shape)
    numbers = np.fromfile(stream, _DTYPES[tensor.dtype], size)
    if numbers.size != size:
        raise WeightsError(_CHANGED, file=path, hint="read it again")
    array: NDArray[Any] = numbers.reshape(tensor.shape)
    return widen_bfloat16(array) if tensor.dtype == "BF16" else array


def _check_same(path: Path, *statuses: os.stat_result) -> None:
    """Raise WeightsError unless they are of the same file, and no process wrote into it."""
    if len({(x.st_dev, x.st_ino, x.st_size, x.st_mtime_ns) for x in statuses}) > 1:
        raise WeightsError(_CHANGED, file=path, hint="read it again")
