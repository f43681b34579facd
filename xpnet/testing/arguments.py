"""Nested arguments and results of functions: arrays, numbers, strings, lists and dictionaries."""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.arrays.namespace import is_array

__all__ = ["NUMBERS", "Arguments", "leaves_of"]

NUMBERS = bool | int | float | complex
# Values that functions take as they are, on every backend.
_PASSED = (*NUMBERS.__args__, str, bytes, slice, range, type, enum.Enum, type(None), type(...))


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call, as NumPy arrays and values that are the same on every backend."""

    positional: tuple[Any, ...]
    keywords: Mapping[str, Any]

    @classmethod
    def of(cls, positional: tuple[Any, ...], keywords: Any) -> "Arguments":
        """Return validated copies of a caller's arguments, with lists of numbers as arrays."""
        if not isinstance(keywords, Mapping | None):
            msg = f"`kwargs` must be a dictionary; got {type(keywords).__name__}"
            raise TypeError(msg)
        given = [np.array(x) if isinstance(x, list) and _is_numeric(x) else x for x in positional]
        values = [_map_leaves(_host_value, x, f"argument {i}") for i, x in enumerate(given, 1)]
        named = {k: _map_leaves(_host_value, x, f"`{k}`") for k, x in (keywords or {}).items()}
        arguments = cls(tuple(values), named)
        if not arguments.arrays:
            got = "no arrays" if values or named else "none"
            msg = f"`arrays` must hold an array or a list, to be made on each backend; got {got}"
            raise TypeError(msg)
        return arguments

    @property
    def arrays(self) -> list[Any]:
        """All arrays, in the order of the arguments."""
        return [x for _, x in self.leaves if is_array(x)]

    @property
    def labels(self) -> list[str]:
        """For each array, its name in messages, such as ``"argument 2[0]"``."""
        return [label for label, x in self.leaves if is_array(x)]

    @property
    def leaves(self) -> list[tuple[str, Any]]:
        """Labels and values of everything in the arguments."""
        named = [(f"argument {i}", x) for i, x in enumerate(self.positional, 1)]
        named += [(f"`{name}`", x) for name, x in self.keywords.items()]
        return [leaf for label, x in named for leaf in leaves_of(x, label)]

    def replace(self, arrays: Sequence[Any]) -> "Arguments":
        """Return the same arguments with other arrays, of any library."""
        rest = iter(arrays)

        def replaced(x: Any, _: str) -> Any:
            return next(rest) if is_array(x) else x

        positional = tuple(_map_leaves(replaced, x) for x in self.positional)
        return Arguments(
            positional, {k: _map_leaves(replaced, x) for k, x in self.keywords.items()}
        )

    def map(self, function: Callable[[Any], Any]) -> "Arguments":
        """Return the same arguments with a function applied to each array."""
        return self.replace([function(x) for x in self.arrays])

    def call(self, function: Callable[..., Any]) -> list[tuple[str, Any]]:
        """Return paths and leaves of what a function returns."""
        __tracebackhide__ = True
        return list(leaves_of(function(*self.positional, **self.keywords)))


def leaves_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything in nested lists, tuples (also named ones) and mappings."""
    if isinstance(value, Mapping):
        for key, x in value.items():
            yield from leaves_of(x, f"{path}[{key!r}]")
    elif isinstance(value, tuple | list):
        for i, x in enumerate(value):
            yield from leaves_of(x, f"{path}[{i}]")
    else:
        yield path, value


def _map_leaves(function: Callable[[Any, str], Any], value: Any, path: str = "") -> Any:
    """Return a nested value with a function of value and path applied to everything in it."""
    if isinstance(value, Mapping):
        return {k: _map_leaves(function, x, f"{path}[{k!r}]") for k, x in value.items()}
    if isinstance(value, tuple | list):
        items = [_map_leaves(function, x, f"{path}[{i}]") for i, x in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return function(value, path)


def _is_numeric(x: Any) -> bool:
    """Return whether an item of a list is a number or a list of numbers."""
    if isinstance(x, list | tuple):
        return all(map(_is_numeric, x))
    return isinstance(x, NUMBERS | np.number | np.bool)


def _host_value(x: Any, label: str) -> Any:
    """Return an array as a native NumPy array, and a NumPy scalar as Python's."""
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, _PASSED) or (callable(x) and not is_array(x)):
        return x
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        msg = (
            f"{label} must be a NumPy array, a list or a number, from which the arrays of each"
            f" backend are made, a string, None, or a list or dictionary of them; got"
            f" {type(x).__name__}"
        )
        raise TypeError(msg)
    if x.dtype.kind not in "biufc" or x.dtype.itemsize > (16 if x.dtype.kind == "c" else 8):
        rule = "numbers of at most 64 bits, or complex numbers of at most 128"
        msg = f"{label} must hold {rule}; got dtype {x.dtype}"
        raise TypeError(msg)
    return np.array(x, dtype=x.dtype.newbyteorder("="))
