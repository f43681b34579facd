"""Good files of one kind, and the commands that read them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["OUTPUTS", "Command", "Good", "Kind", "comparable"]

# What the commands write.
OUTPUTS = ("out.csv", "out.safetensors", "trained.safetensors", "history.json")

Command = tuple[str, ...]


@dataclass(frozen=True)
class Good:
    """A good file under its name, and the commands that read it, the most thorough one first.

    `result` returns what an accepted command read or wrote, given what it printed. `agrees` tells
    whether such a result is what an independent reader makes of the bytes of the file; None if no
    result but that of the good file is right, since all of it is under a checksum.
    """

    content: bytes
    commands: tuple[Command, ...]
    result: Callable[[Command, str], Any]
    agrees: Callable[[bytes, Command, Any], bool] | None = None
    file: str = "damaged"


@dataclass(frozen=True)
class Kind:
    """Files that are refused with one exit code."""

    name: str
    code: int
    goods: tuple[Good, ...]


def comparable(x: Any) -> Any:
    """Return an array as something that can be compared: its shape and its values."""
    return None if x is None else (x.shape if x.size else 0, np.asarray(x, np.float64).tobytes())
