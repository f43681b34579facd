"""Good files of one kind, and the commands that read them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["OUTPUTS", "Command", "Good", "Kind", "comparable"]

# What the commands write.
OUTPUTS = ("out.csv", "out.safetensors")

Command = tuple[str, ...]


@dataclass(frozen=True)
class Good:
    """A good file under its name, and the commands that read it, the most thorough one first.

    `result` returns the data that an accepted command read or wrote, given its output. `agrees`
    returns whether the result is that of an independent reader of the bytes.
    """

    content: bytes
    commands: tuple[Command, ...]
    result: Callable[[Command, str], Any]
    agrees: Callable[[bytes, Command, Any], bool]
    file: str = "damaged"


@dataclass(frozen=True)
class Kind:
    """Files that are refused with one exit code."""

    name: str
    code: int
    goods: tuple[Good, ...]


def comparable(x: Any) -> Any:
    """Return shape and values of an array, which compare as a whole."""
    return None if x is None else (x.shape if x.size else 0, np.asarray(x, np.float64).tobytes())
