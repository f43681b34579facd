"""safetensors format: parameters as tensors, and xpnet's description in the metadata.

A file is the length of the header (8 bytes, little-endian), the header (a JSON object of tensors
by name and ``__metadata__``), and the bytes of the tensors one after another. The header is
validated before any tensor is read. The files are read, not mapped: a process that uses a mapped
file dies if the file is truncated.

xpnet's metadata is one entry, ``xpnet``, so that the same network always gives the same bytes. It
is the description of `xpnet.formats.description`, and ends with ``crc32``, a checksum of the
description and of the tensors' names, dtypes and shapes: a single changed letter can turn
``relu`` into ``celu``. Foreign files lack this entry.
"""

import json
import math
import os
import re
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.opening import take
from xpnet.formats.description import arrays_by_name, describe, unique_entries
from xpnet.formats.model_file import MAX_BYTES, LoadOptions, NamedArrays, check_size
from xpnet.networks.network import Network

if TYPE_CHECKING:
    from xpnet.files.opening import Readable

__all__ = ["Tensor", "parse_header", "read", "read_arrays", "read_headers", "serialize"]

_KEY = "xpnet"
_SEALED = re.compile(r'(\{.*), "crc32": (\d{1,10})\}', re.DOTALL)
_LENGTH_BYTES = 8
# The header contains the description; as Python objects it takes ten times as much memory.
_MAX_HEADER_BYTES = 1 << 23
_MAX_DIMENSIONS = 64  # of a NumPy array
_ENTRIES = ("dtype", "shape", "data_offsets")
_CHANGED = "the file changed while it was read"
_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8"), 8),
    **dict.fromkeys(("F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "<u2",  # the upper half of a float32
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
_PAGE_BYTES, _ALIASED_BYTES = 4096, 64


@dataclass(frozen=True)
class Tensor:
    """Entry of a tensor in a header; its bytes are `start` to `end` in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def serialize(network: Network) -> bytes:
    """Return the bytes of a safetensors file of a network; raise as `arrays_by_name`."""
    from safetensors.numpy import save

    arrays, description = arrays_by_name(network), describe(network)
    checksum = _checksum(description, arrays)
    return bytes(save(arrays, {_KEY: f'{description[:-1]}, "crc32": {checksum}}}'}))


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the tensors and xpnet's description; raise if the header was changed after writing."""
    arrays, metadata = read_arrays(path, max_bytes=options.byte_limit)
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
    with FileIO(path) as stream:
        metadata, tensors = _parse_file(stream, path)
    arrays = [[tensor.name, tensor.dtype, list(tensor.shape)] for tensor in tensors]
    return {"arrays": arrays, "metadata": metadata}


def read_arrays(
    path: Path, *, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read the tensors directly into arrays, and the metadata; bfloat16 becomes float32.

    Raise WeightsError if the file is damaged, changes while it is read, has a dtype that NumPy
    lacks, or the tensors take more than `max_bytes`.
    """
    # One descriptor for header and tensors: the path may meanwhile refer to another file.
    with FileIO(path) as stream:
        before = _file_state(stream)
        metadata, tensors = _parse_file(stream, path)
        n_bytes = tensors[-1].end - tensors[0].start if tensors else 0
        check_size(path, "tensors", n_bytes, max_bytes)
        arrays = {tensor.name: _read_tensor(stream, tensor, path) for tensor in tensors}
        if _file_state(stream) != before:
            raise WeightsError(_CHANGED, file=path, hint="read it again")
    return arrays, metadata


def _parse_file(stream: FileIO, path: Path) -> tuple[dict[str, str], list[Tensor]]:
    try:
        return parse_header(stream, os.fstat(stream.fileno()).st_size)
    except (ValueError, RecursionError) as error:
        msg = f"not valid safetensors: {error}"
        raise WeightsError(msg, file=path) from None


def _file_state(stream: FileIO) -> tuple[int, int]:
    """Return size and modification time, which change when a process writes into the file."""
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _read_tensor(stream: FileIO, tensor: Tensor, path: Path) -> NDArray[Any]:
    if tensor.dtype not in _DTYPES:
        msg = "safetensors of a dtype that NumPy lacks"
        found, expected = f"{tensor.name} of {tensor.dtype}", "F16, BF16, F32 or F64"
        raise WeightsError(msg, file=path, found=found, expected=expected)
    content = _empty_buffer(tensor)
    view = content.data
    stream.seek(tensor.start)
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])
        if not count:
            raise WeightsError(_CHANGED, file=path, hint="read it again")
        filled += count
    array: NDArray[Any] = content.view(_DTYPES[tensor.dtype]).reshape(tensor.shape)
    if tensor.dtype == "BF16":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array


def _empty_buffer(tensor: Tensor) -> NDArray[np.uint8]:
    """Return an aligned buffer for the bytes of a tensor, into which the system copies fast.

    Processors copy several times slower to an address that is, modulo the size of a page, a few
    bytes above the source: a load then seems to depend on the preceding store (4K aliasing).
    """
    n_bytes = tensor.end - tensor.start
    buffer = np.empty(n_bytes + 2 * _ALIASED_BYTES, np.uint8)
    skipped = -buffer.ctypes.data % _ALIASED_BYTES
    if (buffer.ctypes.data + skipped - tensor.start) % _PAGE_BYTES < _ALIASED_BYTES:
        skipped += _ALIASED_BYTES
    return buffer[skipped : skipped + n_bytes]


def parse_header(stream: "Readable", size: int) -> tuple[dict[str, str], list[Tensor]]:
    """Return metadata and tensors, in the order of the file, of a file of `size` bytes.

    Raise ValueError or RecursionError if the header violates the format, has a name twice, or
    does not describe all bytes of the file.
    """
    n_header = int.from_bytes(take(stream, _LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + n_header
    if start > size:
        msg = f"the header must end within the file's {size:,} bytes; got {n_header:,}"
        raise ValueError(msg)
    if n_header > _MAX_HEADER_BYTES:
        limit = f"at most {_MAX_HEADER_BYTES:,} bytes"
        msg = f"the header of a network must have {limit}; got {n_header:,}"
        raise ValueError(msg)
    text = take(stream, n_header).decode("utf-8")
    header = json.loads(text, object_pairs_hook=_checked_entries, parse_int=_parse_natural)
    _require(isinstance(header, dict), "the header must be a JSON object", header)
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata
    is_strings = isinstance(metadata, dict) and all(isinstance(x, str) for x in metadata.values())
    _require(is_strings, "__metadata__ must be a JSON object of strings", metadata)
    tensors = [_parse_tensor(name, entry, start) for name, entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    end = start
    for tensor in tensors:
        rule = f"{quoted(tensor.name)} must begin at offset {end - start}"
        _require(tensor.start == end, rule, tensor.start - start)
        end = tensor.end
    if end != size:
        rule = f"must fill the {size - start:,} bytes after the header"
        msg = f"the tensors {rule}; got {end - start:,}"
        raise ValueError(msg)
    return metadata, tensors


def _require(is_valid: object, rule: str, found: Any) -> None:
    if not is_valid:
        msg = f"{rule}; got {found!r}"
        raise ValueError(msg)


def _checked_entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for text in chain.from_iterable(pairs):
        if isinstance(text, str):
            text.encode()  # raises for half of a surrogate pair, which JSON permits
    return unique_entries(pairs)


def _parse_natural(text: str) -> int:
    if text.startswith("-"):
        msg = f"numbers must not be negative; got {text}"
        raise ValueError(msg)
    return int(text)


def _parse_tensor(name: str, entry: Any, start: int) -> Tensor:
    own = quoted(name)
    has_entries = isinstance(entry, dict) and set(entry) == set(_ENTRIES)
    _require(has_entries, f"{own} must be an object of {', '.join(_ENTRIES)}", entry)
    dtype, shape, offsets = (entry[key] for key in _ENTRIES)
    is_known = isinstance(dtype, str) and dtype in _BITS
    _require(is_known, f"dtype of {own} must be one of {', '.join(_BITS)}", dtype)
    is_shape = _is_naturals(shape) and len(shape) <= _MAX_DIMENSIONS
    rule = f"shape of {own} must be a list of at most {_MAX_DIMENSIONS} integers"
    _require(is_shape, rule, shape)
    is_pair = _is_naturals(offsets) and len(offsets) == 2
    _require(is_pair, f"data_offsets of {own} must be two integers", offsets)
    does_fit = math.prod(shape) * _BITS[dtype] == 8 * (offsets[1] - offsets[0])
    _require(does_fit, f"data_offsets of {own} must fit {dtype} {shape}", offsets)
    # NumPy rejects such a shape even if a length of zero leaves no values.
    is_possible = math.prod(n or 1 for n in shape) * _BITS[dtype] <= sys.maxsize
    _require(is_possible, f"shape of {own} must be smaller", shape)
    return Tensor(name, dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _is_naturals(numbers: Any) -> bool:
    # Negative numbers are rejected by `_parse_natural`; bool is a subclass of int.
    return isinstance(numbers, list) and all(type(n) is int for n in numbers)
