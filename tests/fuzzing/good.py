"""Good files of one kind, and the commands that read them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DAMAGED", "OUTPUTS", "Command", "Good", "Kind", "comparable"]

DAMAGED = "damaged"  # the file that the commands read
# What the commands write.
OUTPUTS = ("out.csv", "out.safetensors")

Command = tuple[str, ...]


@dataclass(frozen=True)
class Good:
    """A good file, and the commands that read it, the most thorough one first.

    `result` returns the data that an accepted command read or wrote, given its output. `agrees`
    returns whether the result is that of an independent reader of the bytes.
    """

    content: bytes
    commands: tuple[Command, ...]
    result: Callable[[Command, str], Any]
    agrees: Callable[[bytes, Command, Any], bool]


@dataclass(frozen=True)
class Kind:
    """Files of one format."""

    name: str
    goods: tuple[Good, ...]


def comparable(x: Any) -> Any:
    """Return shape and values of an array, which compare as a whole."""
    return None if x is None else (x.shape if x.size else 0, np.asarray(x, np.float64).tobytes())
