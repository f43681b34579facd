"""Outcomes of `assert_parity` on each backend."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BackendOutcome", "Call", "error_line", "name_of"]

_MAX_CHARACTERS = 240


@dataclass(frozen=True)
class BackendOutcome:
    """The outcome of one call on one backend."""

    backend: str
    faults: tuple[str, ...] = ()
    skipped: str | None = None  # the reason
    escaped: str | None = None  # "file.py:12", the line of the tested code that raised an error
    error: Exception | None = None


@dataclass(frozen=True)
class Call:
    """One call of a function on all backends."""

    variant: str  # of a sweep, such as "float32" or "empty"; "" for the arguments as given
    outcomes: dict[str, BackendOutcome]


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name."""
    if isinstance(function, functools.partial):
        return f"partial of {name_of(function.func)}"
    return str(getattr(function, "__name__", type(function).__name__))


def error_line(error: BaseException, /) -> str:
    """Return an error's type and its message, without the middle if it is long."""
    words = " ".join(str(error).split())
    if len(words) > _MAX_CHARACTERS:
        words = f"{words[: _MAX_CHARACTERS // 2]} ... {words[-_MAX_CHARACTERS // 2 :]}"
    return f"{type(error).__name__}: {words}".removesuffix(": ").removesuffix(".")
