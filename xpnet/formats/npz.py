"""npz format: arrays named W1, b1, W2 ... as in the book, and xpnet's description."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.npz import npz_bytes, read_npz
from xpnet.formats.description import arrays_by_name, describe
from xpnet.networks.network import Network

__all__ = ["read", "serialize"]

_KEY = "xpnet"
_LETTERS = {"weight": "W", "bias": "b"}


def serialize(network: Network) -> bytes:
    """Return the bytes of an npz file of a network; raise as `arrays_by_name`."""
    # First: an archive that lost its last arrays lacks arrays of the description.
    members = {_KEY: np.frombuffer(describe(network).encode(), np.uint8)}
    members |= {_book_name(name): x for name, x in arrays_by_name(network).items()}
    return npz_bytes(members)


def read(path: Path) -> tuple[dict[str, NDArray[Any]], str | None]:
    """Return the arrays of an npz file, and xpnet's description if it has one."""
    arrays = read_npz(path.read_bytes())
    description = arrays.pop(_KEY, None)
    if description is None:
        return arrays, None
    names = [f"layers.{i}.{kind}" for i in range(len(arrays)) for kind in _LETTERS]
    own_names = {_book_name(name): name for name in names}
    own = {own_names.get(name, name): x for name, x in arrays.items()}
    return own, description.tobytes().decode()


def _book_name(name: str) -> str:
    """Return ``W1`` for ``layers.0.weight``; other names stay."""
    part, number, kind = name.split(".")
    return f"{_LETTERS[kind]}{int(number) + 1}" if part == "layers" else name
