"""npz files of weights: W1, b1, W2 ... as the book names them, and xpnet's description beside.

What is read is known beforehand: the zip directory and each array's header are checked before
any of it is unpacked.
"""

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError
from xpnet.files.npy import NpyHeader, read_npy_header
from xpnet.files.npz import NpzMember, npz_bytes, open_npz_members
from xpnet.formats.description import arrays_by_name, describe
from xpnet.formats.load_options import Options
from xpnet.formats.model_file import Named
from xpnet.formats.pickle import TORCH_HINT
from xpnet.networks.network import Network

__all__ = ["read", "read_headers", "serialize"]

_KEY = "xpnet"
_KINDS = {"weight": "W", "bias": "b"}
# Weights hardly shrink. A file that grows by more than this, and beyond some size, is a bomb.
_MOST_RATIO, _SMALL_BYTES = 100, 1 << 24
# Each that is open has buffers of its own.
_MOST_ARRAYS = 4096
_HINTS = {"data.pkl": f"if it is torch's, {TORCH_HINT}"}


@dataclass(frozen=True)
class _Array:
    member: NpzMember
    header: NpyHeader


def serialize(network: Network) -> memoryview:
    """Return the bytes of an npz file that holds the network.

    Raises
    ------
    TypeError
        If the parameters are of a dtype that the format has not.
    ValueError
        If a parameter is NaN or infinite.
    """
    members = {_book_name(name): array for name, array in arrays_by_name(network).items()}
    members[_KEY] = np.frombuffer(describe(network).encode(), np.uint8)
    return npz_bytes(members)


def _book_name(name: str) -> str:
    """Return ``W1`` for ``layers.0.weight``; what belongs to no layer keeps its name."""
    room, number, kind = name.split(".")
    return f"{_KINDS[kind]}{int(number) + 1}" if room == "layers" else name


def _own_name(name: str) -> str:
    """Return ``layers.0.weight`` for ``W1``; other names are returned as they are."""
    kinds = {letter: kind for kind, letter in _KINDS.items()}
    if re.fullmatch(r"[Wb][1-9][0-9]{0,8}", name):
        return f"layers.{int(name[1:]) - 1}.{kinds[name[0]]}"
    return name


def read(path: Path, options: Options) -> Named:
    """Read the arrays of an npz file.

    Raises
    ------
    WeightsError
        If the file is damaged, unpacks to too much, or holds something else.
    """
    with ExitStack() as closing:
        arrays = _open(path, closing)
        total = sum(array.header.total for array in arrays.values())
        _check_total(path, total, options)
        found = {name: _read_array(array) for name, array in arrays.items()}
    description = found.pop(_KEY, None)
    if description is None:
        return Named(found)
    if description.dtype != np.uint8:
        msg = "xpnet's description must be bytes"
        raise WeightsError(msg, file=path, found=description.dtype)
    text = description.tobytes().decode("utf-8", "replace")
    own = {_own_name(name): array for name, array in found.items()}
    if len(own) != len(found):
        msg = "two names of one array"
        raise WeightsError(msg, file=path, found=", ".join(found), expected="W1, b1 and so on")
    return Named(own, text)


def read_headers(path: Path) -> dict[str, NpyHeader]:
    """Return what the headers of an npz file say of its arrays, by name.

    Raises
    ------
    WeightsError
        If the file is damaged, or holds something else.
    """
    with ExitStack() as closing:
        return {name: array.header for name, array in _open(path, closing).items()}


def _open(path: Path, closing: ExitStack) -> dict[str, _Array]:
    members = open_npz_members(path, str(path), closing, error=WeightsError, hints=_HINTS)
    if len(members) > _MOST_ARRAYS:
        msg = "arrays of an npz file"
        found, expected = str(len(members)), f"at most {_MOST_ARRAYS}"
        raise WeightsError(msg, file=path, found=found, expected=expected)
    arrays = {}
    for name, member in members.items():
        header = read_npy_header(member, str(path), error=WeightsError)
        if header.n_bytes + header.total != member.size:
            what = f"array {name!r} has another size than its header says"
            found, expected = f"{member.size} bytes", str(header.n_bytes + header.total)
            raise WeightsError(what, file=path, found=found, expected=expected)
        arrays[name] = _Array(member, header)
    return arrays


def _check_total(path: Path, total: int, options: Options) -> None:
    limit = options.most_bytes
    if options.max_bytes is None:
        limit = min(limit, max(_MOST_RATIO * path.stat().st_size, _SMALL_BYTES))
    if total > limit:
        msg = "arrays unpack to too much"
        hint = "--max-bytes (max_bytes=) raises the limit"
        found, expected = f"{total:,} bytes", f"at most {limit:,}"
        raise WeightsError(msg, file=path, found=found, expected=expected, hint=hint)


def _read_array(array: _Array) -> NDArray[Any]:
    header = array.header
    numbers = np.frombuffer(array.member.rest(header.total), header.dtype)
    return numbers.reshape(header.shape, order="F" if header.is_fortran else "C")
