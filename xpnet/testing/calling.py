"""Calling a function on a backend as a user of that library would, laziness included."""

import contextlib
import importlib
import unittest.mock
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from xpnet.arrays.namespace import is_array
from xpnet.testing.backend_choice import STRICTEST
from xpnet.testing.backends import Backend

__all__ = ["as_results", "call", "call_jitted", "one_line"]

# What is said of an error is cut here.
_LONGEST = 240


def as_results(returned: Any, /) -> list[Any]:
    """Return what a function has returned as a list: of one, or of a tuple's parts."""
    return list(returned) if isinstance(returned, tuple | list) else [returned]


def call(
    backend: Backend, function: Callable[..., Any], arguments: list[Any], *, lazy: bool
) -> Any:
    """Return what the function returns; with `lazy` it must not look at values on the way.

    That is seen by Dask, and by the strictest backend.
    """
    context: AbstractContextManager[Any] = contextlib.nullcontext()
    if lazy and backend.library == "dask":
        context = _no_computation()
    elif lazy and backend.name == STRICTEST:
        context = _no_numbers(type(backend.asarray(0.0)))
    with context:
        return function(*arguments)


def call_jitted(function: Callable[..., Any], arguments: list[Any]) -> list[Any]:
    """Return a function's results under ``jax.jit``, where values are unknown when it runs.

    Its array arguments are traced, its numbers are as they are; so are numbers that it returns.
    """
    jax = importlib.import_module("jax")
    is_traced = [is_array(x) for x in arguments]
    numbers: list[Any] = []

    def traced(arrays: list[Any]) -> list[Any]:
        rest = iter(arrays)
        results = as_results(
            function(*(next(rest) if t else x for t, x in zip(is_traced, arguments, strict=True)))
        )
        numbers[:] = [None if is_array(y) else y for y in results]
        return [y for y in results if is_array(y)]

    compiled = iter(jax.jit(traced)([x for t, x in zip(is_traced, arguments, strict=True) if t]))
    return [next(compiled) if number is None else number for number in numbers]


def one_line(error: Exception, /) -> str:
    """Return an error's type and the first line of its message."""
    line = next(iter(str(error).strip().splitlines()), "")
    text = f"{type(error).__name__}: {line}".removesuffix(": ").removesuffix(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _no_computation() -> AbstractContextManager[Any]:
    """Let Dask compute nothing: float(), bool(), numpy.asarray and compute() raise."""
    refuse = _refusing("a Dask array was computed", "float(), bool(), numpy or compute")
    context: AbstractContextManager[Any] = importlib.import_module("dask").config.set(
        scheduler=refuse
    )
    return context


def _no_numbers(array: type) -> AbstractContextManager[Any]:
    """Let no array of this class become a Python number."""
    refuse = _refusing("an array's values were looked at", "float(), bool() or int()")
    names = ("__bool__", "__complex__", "__float__", "__index__", "__int__")
    methods: dict[str, Any] = dict.fromkeys(names, refuse)
    return unittest.mock.patch.multiple(array, **methods)


def _refusing(what: str, how: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        msg = f"{what} inside the function, by {how}. lazy=False lets the function look at values"
        raise RuntimeError(msg)

    return refuse
