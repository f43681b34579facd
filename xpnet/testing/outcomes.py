"""Outcomes of `assert_parity` on each backend."""

import ast
import contextlib
import functools
import inspect
import linecache
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
    """Return a function's name; for a lambda its source, if that can be read."""
    if isinstance(function, functools.partial):
        return f"partial of {name_of(function.func)}"
    name = str(getattr(function, "__name__", type(function).__name__))
    return _source_of_lambda(function) or name if name == "<lambda>" else name


def _source_of_lambda(function: Any) -> str | None:
    """Return the source of a lambda; None if it was not read from a file."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # of an object that has a lambda's name
        return None
    # Where its instructions begin: at the body, too, which tells two lambdas of a line apart.
    starts = {(line, column) for line, _, column, _ in code.co_positions()}
    places = _lambdas("".join(linecache.getlines(code.co_filename)))
    return next((x for place, x in places if place in starts), None)


@functools.lru_cache(maxsize=16)
def _lambdas(source: str) -> list[tuple[tuple[int, int], str]]:
    """Return the place of the body, and the source, of each lambda of a file."""
    with contextlib.suppress(SyntaxError):
        found = [x for x in ast.walk(ast.parse(source)) if isinstance(x, ast.Lambda)]
        return [((x.body.lineno, x.body.col_offset), shortened(ast.unparse(x))) for x in found]
    return []


def error_line(error: BaseException, /) -> str:
    """Return an error's type and its message, without the middle if it is long."""
    words = shortened(" ".join(str(error).split()))
    return f"{type(error).__name__}: {words}".removesuffix(": ").removesuffix(".")


def shortened(words: str) -> str:
    """Return a text without its middle, if it is long."""
    if len(words) <= _MAX_CHARACTERS:
        return words
    return f"{words[: _MAX_CHARACTERS // 2]} ... {words[-_MAX_CHARACTERS // 2 :]}"
