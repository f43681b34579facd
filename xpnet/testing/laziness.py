"""Checks of lazy libraries: no values read on Dask and the strictest backend, and `jax.jit`."""

import functools
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from xpnet.arrays.namespace import is_array
from xpnet.testing.arguments import Arguments
from xpnet.testing.backends import Backend

__all__ = ["LAZY_HINT", "lazy_libraries", "under_jit", "without_values"]

LAZY_HINT: Final = "Use xp.where; parity(lazy=False) allows a function to read values"
_READS: Final = ("__bool__", "__complex__", "__float__", "__index__", "__int__")


def lazy_libraries(function: Callable[..., Any], lazy: Any) -> frozenset[str]:
    """Return the libraries on which a function must be lazy.

    Tags of array-api-extra's ``lazy_xp_function`` restrict the default, None.
    """
    tags = getattr(function, "_lazy_xp_function", None)
    libraries = set(() if lazy is False else ("jax", "dask", "array-api-strict"))
    if lazy is None and isinstance(tags, dict):  # a mock has every attribute
        libraries -= set() if tags.get("jax_jit", True) else {"jax", "array-api-strict"}
        libraries -= {"dask", "array-api-strict"} if tags.get("allow_dask_compute") else set()
    return frozenset(libraries)


@contextmanager
def without_values(backend: Backend) -> Iterator[list[str]]:
    """Raise RuntimeError if this thread reads values of arrays, of Dask or the strictest backend.

    Yield a list of the messages: the function may catch the error. The settings are global, so
    other threads may read values meanwhile.
    """
    refused: list[str] = []
    if backend.library == "dask":
        dask = importlib.import_module("dask")
        scheduler = dask.base.get_scheduler() or importlib.import_module("dask.threaded").get
        words = (
            "a Dask array was computed inside the function, by float(), bool(), numpy or compute"
        )
        with dask.config.set(scheduler=_refusing(scheduler, words, refused)):
            yield refused
        return
    array = type(backend.asarray(0.0))
    words = "an array's values were read inside the function, by float(), bool() or int()"
    methods = {name: getattr(array, name) for name in _READS}
    try:
        for name, method in methods.items():
            setattr(array, name, _refusing(method, words, refused))
        yield refused
    finally:
        for name, method in methods.items():
            setattr(array, name, method)


def _refusing(function: Callable[..., Any], words: str, refused: list[str]) -> Callable[..., Any]:
    """Return a function that raises RuntimeError in this thread."""
    owner = threading.get_ident()

    @functools.wraps(function)
    def refusing(*args: Any, **options: Any) -> Any:
        if threading.get_ident() != owner:
            return function(*args, **options)
        refused.append(f"{words}. {LAZY_HINT}")
        raise RuntimeError(refused[-1])

    return refusing


def under_jit(
    function: Callable[..., Any], arguments: Arguments, *, is_compiled: bool
) -> list[tuple[str, Any]]:
    """Return paths and leaves of a function's result under ``jax.jit``; only arrays are traced.

    If the function is not compiled, it only runs on JAX's tracers, which have no values.
    """
    leaves: list[tuple[str, Any]] = []

    def traced(arrays: list[Any]) -> list[Any]:
        leaves[:] = arguments.replace(arrays).call(function)
        return [x for _, x in leaves if is_array(x)]

    jax = importlib.import_module("jax")
    if not is_compiled:
        jax.eval_shape(traced, arguments.arrays)
        return []
    results = iter(jax.jit(traced)(arguments.arrays))
    return [(path, next(results) if is_array(x) else x) for path, x in leaves]
