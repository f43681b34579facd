"""Nested arguments and results of functions: arrays, numbers, strings, lists and dictionaries."""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.arrays.namespace import is_array

if TYPE_CHECKING:
    from xpnet.testing.backends import Backend

__all__ = ["NUMBERS", "Arguments", "leaves_of"]

NUMBERS = bool | int | float | complex
# Values that functions take as they are, on every backend.
_PASSED = (*NUMBERS.__args__, str, bytes, slice, range, type, enum.Enum, type(None), type(...))


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call, in NumPy's terms or in those of a backend."""

    positional: tuple[Any, ...]
    keywords: Mapping[str, Any]

    @classmethod
    def of(cls, positional: tuple[Any, ...], keywords: Mapping[str, Any]) -> "Arguments":
        """Return validated copies of a caller's arguments, with lists of numbers as arrays."""
        given = [np.array(x) if isinstance(x, list) and _is_numeric(x) else x for x in positional]
        arguments = cls(tuple(given), keywords).map_leaves(_host_value)
        if not any(is_array(x) or x is np for _, x in arguments.leaves):
            msg = "the arguments must hold an array, or numpy (as xp=numpy); got none"
            raise TypeError(msg)
        return arguments

    @property
    def arrays(self) -> list[Any]:
        """All arrays, in the order of the arguments."""
        return [x for _, x in self.leaves if is_array(x)]

    @property
    def dtypes(self) -> list[np.dtype[Any]]:
        """The dtypes of NumPy arrays, and those that are arguments themselves."""
        own = [x for _, x in self.leaves if isinstance(x, np.dtype)]
        return [x.dtype for x in self.arrays] + own

    @property
    def leaves(self) -> list[tuple[str, Any]]:
        """Labels and values of everything in the arguments."""
        leaves: list[tuple[str, Any]] = []
        self.map_leaves(lambda x, label: leaves.append((label, x)))
        return leaves

    def replace(self, arrays: Sequence[Any]) -> "Arguments":
        """Return the same arguments with other arrays, of any library."""
        rest = iter(arrays)
        return self.map_leaves(lambda x, _: next(rest) if is_array(x) else x)

    def map(self, function: Callable[[Any], Any]) -> "Arguments":
        """Return the same arguments with a function applied to each array, and to each dtype."""

        def mapped(x: Any, _: str) -> Any:
            if isinstance(x, np.dtype):
                return function(np.empty(0, x)).dtype
            return function(x) if is_array(x) else x

        return self.map_leaves(mapped)

    def on(self, backend: "Backend") -> "Arguments":
        """Return NumPy's arguments as those of a backend: arrays, dtypes, namespace and device."""

        def made(x: Any, label: str) -> Any:
            if isinstance(x, np.dtype):
                return getattr(backend.xp, x.name)
            if label == "`device`" and isinstance(x, str) and x == "cpu":  # NumPy's device
                return backend.device
            return backend.make(x) if is_array(x) else backend.xp if x is np else x

        return self.map_leaves(made)

    def call(self, function: Callable[..., Any]) -> list[tuple[str, Any]]:
        """Return paths and leaves of what a function returns."""
        __tracebackhide__ = True
        return list(leaves_of(function(*self.positional, **self.keywords)))

    def map_leaves(self, function: Callable[[Any, str], Any]) -> "Arguments":
        """Return the same arguments with a function of value and label applied to each leaf."""
        numbered = enumerate(self.positional, 1)
        positional = tuple(_mapped(function, x, f"argument {i}") for i, x in numbered)
        named = {k: _mapped(function, x, f"`{k}`") for k, x in self.keywords.items()}
        return Arguments(positional, named)


def leaves_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything in nested lists, tuples, mappings and dataclasses."""
    if isinstance(value, Mapping):
        parts = [(f"[{key!r}]", x) for key, x in value.items()]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [x.name for x in dataclasses.fields(value)]
        parts = [(f".{name}", getattr(value, name)) for name in names]
    elif isinstance(value, tuple | list):
        parts = [(f"[{i}]", x) for i, x in enumerate(value)]
        if names := list(getattr(value, "_fields", ())):
            parts = [(f".{name}", getattr(value, name)) for name in names]
    else:
        yield path, value
        return
    for name, x in parts:
        yield from leaves_of(x, path + name)


def _mapped(function: Callable[[Any, str], Any], value: Any, path: str = "") -> Any:
    """Return a nested value with a function of value and path applied to everything in it."""
    if isinstance(value, Mapping):
        return {k: _mapped(function, x, f"{path}[{k!r}]") for k, x in value.items()}
    if isinstance(value, tuple | list):
        items = [_mapped(function, x, f"{path}[{i}]") for i, x in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return function(value, path)


def _is_numeric(x: Any) -> bool:
    """Return whether an item of a list is a number or a list of numbers."""
    if isinstance(x, list | tuple):
        return all(map(_is_numeric, x))
    return isinstance(x, NUMBERS | np.number | np.bool)


def _host_value(x: Any, label: str) -> Any:
    """Return an array as a native NumPy array, a NumPy scalar as Python's, and a dtype as such."""
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, np.dtype) or (isinstance(x, type) and issubclass(x, np.generic)):
        return np.dtype(x)
    if isinstance(x, _PASSED) or x is np or (callable(x) and not is_array(x)):
        return x
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        rule = "a NumPy array, a number, a string, None, or a list or dictionary of them"
        msg = f"{label} must be {rule}; got {type(x).__name__}"
        raise TypeError(msg)
    if x.dtype.kind not in "biufc" or x.dtype.itemsize > (16 if x.dtype.kind == "c" else 8):
        rule = "numbers of at most 64 bits, or complex numbers of at most 128"
        msg = f"{label} must hold {rule}; got dtype {x.dtype}"
        raise TypeError(msg)
    return np.array(x, dtype=x.dtype.newbyteorder("="))
