"""Header of a safetensors file: parsed and checked before any tensor is read.

A file is the length of the header (8 bytes, little-endian), the header (JSON, an object of
tensors by name and ``__metadata__``), and the bytes of the tensors one after another. The
format's own library checks it in mapped memory, and a process dies if a mapped file is cut short;
here the file is read.
"""

import json
import math
import sys
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.files.errors import quoted
from xpnet.files.opening import take
from xpnet.formats.description import without_doubles

if TYPE_CHECKING:
    from xpnet.files.opening import Readable

__all__ = ["Tensor", "parse_header"]

_LENGTH_BYTES = 8
# The description of a network is in it; as Python's objects it takes ten times as much.
_MOST_HEADER_BYTES = 1 << 23
_MOST_DIMENSIONS = 64  # of an array of NumPy
_ENTRIES = ("dtype", "shape", "data_offsets")
_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8"), 8),
    **dict.fromkeys(("F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


@dataclass(frozen=True)
class Tensor:
    """The entry of one tensor in a header; `start` and `end` are its place in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def parse_header(stream: "Readable", size: int) -> tuple[dict[str, str], list[Tensor]]:
    """Read the header of a file of `size` bytes.

    Parameters
    ----------
    stream : Readable
        The file, of which nothing has been read.
    size : int
        Its length in bytes.

    Returns
    -------
    metadata : dict of str to str
    tensors : list of Tensor
        By their place in the file.

    Raises
    ------
    ValueError, RecursionError
        If the header breaks a rule of the format, has a name twice, or does not describe all
        bytes of the file.
    """
    n_header = int.from_bytes(take(stream, _LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + n_header
    if start > size:
        msg = f"the header must end within the file's {size:,} bytes; got {n_header:,}"
        raise ValueError(msg)
    if n_header > _MOST_HEADER_BYTES:
        limit = f"at most {_MOST_HEADER_BYTES:,} bytes"
        msg = f"the header of a network must have {limit}; got {n_header:,}"
        raise ValueError(msg)
    text = take(stream, n_header).decode("utf-8")
    header = json.loads(text, object_pairs_hook=_entries, parse_int=_natural)
    if not isinstance(header, dict):
        msg = f"the header must be a JSON object; got {header!r}"
        raise ValueError(msg)  # noqa: TRY004 (the file is wrong, not an argument)
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        msg = f"__metadata__ must be a JSON object of strings; got {metadata!r}"
        raise ValueError(msg)
    tensors = sorted(
        (_tensor(name, entry, start) for name, entry in header.items()),
        key=lambda tensor: (tensor.start, tensor.end),
    )
    _check_places(tensors, start, size)
    return metadata, tensors


def _entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for text in chain.from_iterable(pairs):
        if isinstance(text, str):
            text.encode()  # fails for half of a surrogate pair, which JSON can write
    return without_doubles(pairs)


def _natural(text: str) -> int:
    if text.startswith("-"):
        msg = f"numbers must not be negative; got {text}"
        raise ValueError(msg)
    return int(text)


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    if not isinstance(entry, dict) or set(entry) != set(_ENTRIES):
        msg = f"{quoted(name)} must be an object of {', '.join(_ENTRIES)}; got {entry!r}"
        raise ValueError(msg)
    dtype, shape, offsets = (entry[key] for key in _ENTRIES)
    if not isinstance(dtype, str) or dtype not in _BITS:
        msg = f"dtype of {quoted(name)} must be one of {', '.join(_BITS)}; got {dtype!r}"
        raise ValueError(msg)
    if not _is_naturals(shape) or len(shape) > _MOST_DIMENSIONS:
        rule = f"a list of at most {_MOST_DIMENSIONS} whole numbers"
        msg = f"shape of {quoted(name)} must be {rule}; got {shape!r}"
        raise ValueError(msg)
    if not _is_naturals(offsets) or len(offsets) != 2:
        msg = f"data_offsets of {quoted(name)} must be two whole numbers; got {offsets!r}"
        raise ValueError(msg)
    n_bits = math.prod(shape) * _BITS[dtype]
    if n_bits != 8 * (offsets[1] - offsets[0]):
        msg = f"data_offsets of {quoted(name)} must fit {dtype} {shape}; got {offsets}"
        raise ValueError(msg)
    # No array can have such a shape, though with a zero in it there are no numbers.
    if math.prod(n or 1 for n in shape) * _BITS[dtype] > sys.maxsize:
        msg = f"shape of {quoted(name)} must be smaller; got {shape}"
        raise ValueError(msg)
    return Tensor(name, dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _is_naturals(numbers: Any) -> bool:
    # Negative numbers have been refused; bool is a subclass of int.
    return isinstance(numbers, list) and all(type(n) is int for n in numbers)


def _check_places(tensors: list[Tensor], start: int, size: int) -> None:
    """Check that the tensors, by their place, follow one another up to the end of the file."""
    place = start
    for tensor in tensors:
        if tensor.start != place:
            found, expected = tensor.start - start, place - start
            msg = f"{quoted(tensor.name)} must begin at offset {expected}; got {found}"
            raise ValueError(msg)
        place = tensor.end
    if place != size:
        rule = f"must fill the {size - start:,} bytes after the header"
        msg = f"the tensors {rule}; got {place - start:,}"
        raise ValueError(msg)
