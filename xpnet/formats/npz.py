"""npz format: arrays named W1, b1, W2 ... as in the book, and xpnet's description.

The zip directory and the header of each array are validated before anything is unpacked.
"""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.files.errors import WeightsError
from xpnet.files.npy import NpyHeader, read_npy_header
from xpnet.files.npz import NpzMember, npz_bytes, open_npz_members
from xpnet.formats.description import arrays_by_name, describe
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size
from xpnet.networks.network import Network

__all__ = ["read", "read_headers", "serialize"]

_KEY = "xpnet"
_LETTERS = {"weight": "W", "bias": "b"}
# Every open member has buffers of its own.
_MAX_ARRAYS = 4096

_Members = dict[str, tuple[NpzMember, NpyHeader]]


def serialize(network: Network) -> memoryview:
    """Return the bytes of an npz file of a network; raise as `arrays_by_name`."""
    members = {}
    for name, array in arrays_by_name(network).items():
        part, number, kind = name.split(".")
        book_name = f"{_LETTERS[kind]}{int(number) + 1}" if part == "layers" else name
        members[book_name] = array
    members[_KEY] = np.frombuffer(describe(network).encode(), np.uint8)
    return npz_bytes(members)


def _own_name(name: str) -> str:
    """Return ``layers.0.weight`` for ``W1``; other names are unchanged."""
    if re.fullmatch(r"[Wb][1-9][0-9]{0,8}", name):
        return f"layers.{int(name[1:]) - 1}.{'weight' if name[0] == 'W' else 'bias'}"
    return name


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the arrays of an npz file of plain numbers, if they do not unpack to too many bytes."""
    with ExitStack() as stack:
        members = _open(path, stack)
        total = sum(header.total for _, header in members.values())
        check_size(path, "unpacked arrays", total, options.unpacked_limit(path))
        arrays = {}
        for name, (member, header) in members.items():
            numbers = np.frombuffer(member.rest(header.total), header.dtype)
            arrays[name] = numbers.reshape(header.shape, order="F" if header.is_fortran else "C")
    description = arrays.pop(_KEY, None)
    if description is None:
        return NamedArrays(arrays)
    if description.dtype != np.uint8:
        msg = "xpnet's description must be bytes"
        raise WeightsError(msg, file=path, found=description.dtype)
    own = {_own_name(name): array for name, array in arrays.items()}
    if len(own) != len(arrays):
        msg = "two names of one array"
        raise WeightsError(msg, file=path, found=", ".join(arrays), expected="W1, b1 and so on")
    return NamedArrays(own, description.tobytes().decode("utf-8", "replace"))


def read_headers(path: Path, _: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all arrays, without reading them."""
    with ExitStack() as stack:
        headers = {name: header for name, (_, header) in _open(path, stack).items()}
    arrays = [[name, str(x.dtype), list(x.shape)] for name, x in headers.items()]
    return {"arrays": arrays, "metadata": {}}


def _open(path: Path, stack: ExitStack) -> _Members:
    members = open_npz_members(path, str(path), stack, error=WeightsError)
    if len(members) > _MAX_ARRAYS:
        msg = "too many arrays in an npz file"
        found, expected = str(len(members)), f"at most {_MAX_ARRAYS}"
        raise WeightsError(msg, file=path, found=found, expected=expected)
    arrays = {}
    for name, member in members.items():
        header = read_npy_header(member, str(path), error=WeightsError)
        if header.n_bytes + header.total != member.size:
            msg = f"array {name!r} has a size that differs from its header"
            found, expected = f"{member.size} bytes", str(header.n_bytes + header.total)
            raise WeightsError(msg, file=path, found=found, expected=expected)
        arrays[name] = member, header
    return arrays
