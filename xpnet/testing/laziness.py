"""Checks of lazy libraries: no values read, few computations on Dask, and `jax.jit`."""

import functools
import importlib
import threading
import unittest.mock
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from xpnet.arrays.namespace import is_array
from xpnet.testing.arguments import Arguments
from xpnet.testing.backends import Backend
from xpnet.testing.built_in import STRICTEST

__all__ = ["LAZY_HINT", "Laziness", "call_jitted", "trace", "without_values"]

LAZY_HINT: Final = "parity(lazy=False) allows the function to read values"
_LIBRARIES: Final = ("jax", "dask", "array-api-strict")


@dataclass(frozen=True)
class Laziness:
    """The libraries on which a function must be lazy."""

    libraries: frozenset[str]
    n_dask_computes: int = 0  # allowed on Dask; -1 means any number

    @classmethod
    def of(cls, function: Callable[..., Any], lazy: Any, allow_dask_compute: Any) -> "Laziness":
        """Return the caller's choice, validated, and restricted by tags of ``lazy_xp_function``."""
        if not isinstance(allow_dask_compute, int):
            kind = type(allow_dask_compute).__name__
            msg = f"`allow_dask_compute` must be an integer; got {kind}"
            raise TypeError(msg)
        if not isinstance(lazy, Collection | bool) or isinstance(lazy, str):
            msg = f"`lazy` must be true, false or a set of libraries; got {type(lazy).__name__}"
            raise TypeError(msg)
        libraries = set(lazy) if isinstance(lazy, Collection) else set(_LIBRARIES if lazy else ())
        if not libraries.issubset(_LIBRARIES):
            unknown = ", ".join(sorted(libraries.difference(_LIBRARIES)))
            msg = f"`lazy` must hold {', '.join(_LIBRARIES)}; got {unknown}"
            raise ValueError(msg)
        tagged = getattr(function, "_lazy_xp_function", None) if lazy is True else None
        tags = tagged if isinstance(tagged, dict) else {}  # a mock has every attribute
        allowed = allow_dask_compute or tags.get("allow_dask_compute", 0)
        if not tags.get("jax_jit", True):
            libraries -= {"jax", "array-api-strict"}
        if allowed:
            libraries -= {"array-api-strict"}
        return cls(frozenset(libraries), -1 if allowed is True else allowed)

    @property
    def allows_values(self) -> bool:
        """Whether the function may read the values of every library."""
        return not self.libraries or (self.libraries == {"dask"} and self.n_dask_computes < 0)

    def applies_to(self, backend: Backend) -> bool:
        """Return whether laziness is checked on a backend (`STRICTEST` of array-api-strict)."""
        is_strict = backend.library == "array-api-strict"
        return backend.library in self.libraries and (not is_strict or backend.name == STRICTEST)


@contextmanager
def without_values(backend: Backend, laziness: Laziness) -> Iterator[list[str]]:
    """Raise RuntimeError if this thread reads an array's values inside a ``with`` block.

    Yield a list of the messages: the function may catch the error.

    Dask arrays may be computed ``laziness.n_dask_computes`` times. Only Dask and the strictest
    backend are checked. Their settings are global, so other threads are exempt.
    """
    refused: list[str] = []
    if backend.library == "dask" and laziness.n_dask_computes >= 0:
        dask = importlib.import_module("dask")
        scheduler = dask.base.get_scheduler() or importlib.import_module("dask.threaded").get
        n = laziness.n_dask_computes
        words = f"a Dask array was computed{f' more than {n} times' * bool(n)}"
        how = "float(), bool(), numpy or compute"
        with dask.config.set(scheduler=_limited(scheduler, f"{words} inside", how, refused, n)):
            yield refused
    elif backend.name == STRICTEST:
        array, how = type(backend.asarray(0.0)), "float(), bool() or int()"
        methods: dict[str, Any] = {
            name: _limited(getattr(array, name), "an array's values were read inside", how, refused)
            for name in ("__bool__", "__complex__", "__float__", "__index__", "__int__")
        }
        with unittest.mock.patch.multiple(array, **methods):
            yield refused
    else:
        yield refused


def _limited(
    function: Callable[..., Any], words: str, how: str, refused: list[str], allowed: int = 0
) -> Callable[..., Any]:
    """Return a function that raises RuntimeError after a number of calls in this thread."""
    owner = threading.get_ident()
    n_calls = 0

    @functools.wraps(function)
    def limited(*args: Any, **options: Any) -> Any:
        nonlocal n_calls
        if threading.get_ident() == owner:
            n_calls += 1
            if n_calls > allowed:
                msg = f"{words} the function, by {how}. {LAZY_HINT}"
                refused.append(msg)
                raise RuntimeError(msg)
        return function(*args, **options)

    return limited


def call_jitted(function: Callable[..., Any], arguments: Arguments) -> list[tuple[str, Any]]:
    """Return paths and leaves of a function's result under ``jax.jit``; only arrays are traced."""
    traced, leaves = _traceable(function, arguments)
    results = iter(importlib.import_module("jax").jit(traced)(arguments.arrays))
    return [(path, next(results) if is_array(x) else x) for path, x in leaves]


def trace(function: Callable[..., Any], arguments: Arguments) -> None:
    """Run a function on JAX's tracers, which have no values, without compilation."""
    importlib.import_module("jax").eval_shape(_traceable(function, arguments)[0], arguments.arrays)


def _traceable(
    function: Callable[..., Any], arguments: Arguments
) -> tuple[Callable[[list[Any]], list[Any]], list[tuple[str, Any]]]:
    """Return a function from arrays to arrays, and a list that its tracing fills with leaves."""
    leaves: list[tuple[str, Any]] = []

    def traced(arrays: list[Any]) -> list[Any]:
        leaves[:] = arguments.replace(arrays).call(function)
        return [x for _, x in leaves if is_array(x)]

    return traced, leaves
