"""Calls of a function on one backend, and faults in its results."""

import contextlib
import importlib
import math
import unittest.mock
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from xpnet.arrays.namespace import is_array
from xpnet.arrays.transfer import move, to_numpy
from xpnet.testing.backend_choice import STRICTEST
from xpnet.testing.backends import Backend
from xpnet.testing.reference import ExpectedResult, Reference, as_results, one_line
from xpnet.testing.tolerance import describe_deviation

__all__ = ["find_faults"]

_LAZY_HINT = "lazy=False allows the function to read values"


def find_faults(
    backend: Backend, function: Callable[..., Any], reference: Reference, *, lazy: bool
) -> tuple[list[str], Exception | None]:
    """Return messages about faults of a function on a backend, and the error that it raised."""
    where = ""
    with backend.flags:
        try:
            expected = reference.call(backend).arguments
            # Copies, because the function may write to its arguments.
            arguments = [
                move(x.copy(), backend.xp, backend.device) if isinstance(x, np.ndarray) else x
                for x in expected
            ]
            with _without_values(backend) if lazy else contextlib.nullcontext():
                returned = function(*arguments)
            faults = list(_faults_of_results(returned, backend, reference))
            faults += _faults_of_arguments(arguments, expected)
            if lazy and backend.library == "jax" and not faults:
                where = "under jax.jit: "
                jitted = _call_jitted(function, arguments)
                faults = [where + x for x in _faults_of_results(jitted, backend, reference)]
        except Exception as error:  # noqa: BLE001 (any error of a user's function is a fault)
            # JAX, or the flags of array-api-strict, report that values are unknown.
            flags = ("boolean_indexing", "data_dependent_shapes")
            is_of_jax = type(error).__module__.partition(".")[0] == "jax"
            is_lazy = is_of_jax or any(flag in str(error) for flag in flags)
            return [where + one_line(error) + f". {_LAZY_HINT}" * is_lazy], error
    return faults, None


def _without_values(backend: Backend) -> AbstractContextManager[Any]:
    """Return a context in which reading an array's values raises RuntimeError.

    On Dask and the strictest backend; on others, nothing changes.
    """

    def fail(*_: Any, **__: Any) -> Any:
        what, how = "an array's values were read", "float(), bool() or int()"
        if backend.library == "dask":
            what, how = "a Dask array was computed", "float(), bool(), numpy or compute"
        msg = f"{what} inside the function, by {how}. {_LAZY_HINT}"
        raise RuntimeError(msg)

    context: AbstractContextManager[Any] = contextlib.nullcontext()
    if backend.library == "dask":
        context = importlib.import_module("dask").config.set(scheduler=fail)
    elif backend.name == STRICTEST:
        names = ("__bool__", "__complex__", "__float__", "__index__", "__int__")
        methods: dict[str, Any] = dict.fromkeys(names, fail)
        context = unittest.mock.patch.multiple(type(backend.asarray(0.0)), **methods)
    return context


def _call_jitted(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """Return what a function returns under ``jax.jit``, which traces its array arguments.

    Numbers are passed and returned unchanged.
    """
    jax = importlib.import_module("jax")
    numbers: list[Any] = []
    is_sequence = False

    def traced(arrays: list[Any]) -> list[Any]:
        nonlocal is_sequence
        rest = iter(arrays)
        given = (next(rest) if is_array(x) else x for x in arguments)
        results, is_sequence = as_results(function(*given))
        numbers[:] = [None if is_array(y) else y for y in results]
        return [y for y in results if is_array(y)]

    compiled = iter(jax.jit(traced)([x for x in arguments if is_array(x)]))
    results = [next(compiled) if number is None else number for number in numbers]
    return results if is_sequence else results[0]


def _faults_of_results(returned: Any, backend: Backend, reference: Reference) -> Iterator[str]:
    expected = reference.call(backend)
    results, is_sequence = as_results(returned)
    if is_sequence != expected.is_sequence or len(results) != len(expected.results):
        counts = [
            f"a sequence of {len(x)}" if is_list else "a single result"
            for x, is_list in ((expected.results, expected.is_sequence), (results, is_sequence))
        ]
        yield f"the function must return {counts[0]}, as on numpy; got {counts[1]}"
        return
    for i, (result, wanted) in enumerate(zip(results, expected.results, strict=True), 1):
        label = f"result {i}" if is_sequence else "the result"
        for fault in _faults_of_result(result, wanted, backend, reference):
            yield f"{label} {fault}"


def _faults_of_result(
    result: Any, expected: ExpectedResult, backend: Backend, reference: Reference
) -> Iterator[str]:
    if expected.is_number:
        if is_array(result) or not isinstance(result, bool | int | float):
            yield f"must be a number, as on numpy; got {type(result).__name__}"
            return
        values = np.asarray(result)
    else:
        # Dask determines the shape of a selection by computing it.
        if any(math.isnan(length) for length in getattr(result, "shape", ())):
            result = result.compute_chunk_sizes()
        dtypes = reference.expected_dtypes(expected, backend)
        faults = list(backend.faults(result, dtypes=dtypes, shape=expected.exact.shape))
        yield from faults
        if faults:
            return
        values = to_numpy(result)
    if expected.is_floating:
        allowed, dtype = reference.allowed_error(expected, backend)
        fault = describe_deviation(values, np.asarray(expected.exact), allowed, dtype)
        if fault is not None:
            yield f"is wrong: {fault}"
        return
    plain = np.asarray(expected.plain)
    wrong = np.argwhere(values != plain)
    if len(wrong):
        first = tuple(int(i) for i in wrong[0])
        place = f" at {list(first)}" if first else ""
        yield (
            f"is wrong: {len(wrong)} of {values.size} values differ, the first{place}:"
            f" {values[first]} instead of {plain[first]}"
        )


def _faults_of_arguments(arguments: list[Any], expected: list[Any]) -> Iterator[str]:
    for i, (x, before) in enumerate(zip(arguments, expected, strict=True), 1):
        if isinstance(before, np.ndarray):
            after = to_numpy(x)
            if not np.array_equal(after, before, equal_nan=before.dtype.kind == "f"):
                yield f"argument {i} must not change; the function has modified it"
