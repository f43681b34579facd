"""Trying a function on one backend: what is wrong with what it gives there."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import is_array
from xpnet.arrays.transfer import move, to_numpy
from xpnet.testing.backends import Backend
from xpnet.testing.calling import as_results, call, call_jitted, one_line
from xpnet.testing.reference import Expected, Reference
from xpnet.testing.tolerance import deviation

__all__ = ["faults_on"]


def faults_on(
    backend: Backend, function: Callable[..., Any], reference: Reference, *, lazy: bool
) -> tuple[list[str], Exception | None]:
    """Return what is wrong with a function on a backend, and the error that it raised there."""
    where = ""
    with backend.flags:
        try:
            expected = reference.truth(backend).arguments
            arguments = [_made(x, backend) for x in expected]
            returned = call(backend, function, arguments, lazy=lazy)
            faults = list(_of_results(returned, backend, reference))
            faults += _of_arguments(arguments, expected)
            if lazy and backend.library == "jax" and not faults:
                where = "under jax.jit: "
                results = call_jitted(function, arguments)
                jitted = results if reference.truth(backend).is_sequence else results[0]
                faults = [where + fault for fault in _of_results(jitted, backend, reference)]
        except Exception as error:  # noqa: BLE001 (whatever a user's function raises is a fault)
            hint = ". lazy=False lets the function look at values" if _is_laziness(error) else ""
            return [where + one_line(error) + hint], error
    return faults, None


def _is_laziness(error: Exception) -> bool:
    """Tell whether JAX, or array-api-strict by its flags, says that values are unknown."""
    flags = ("boolean_indexing", "data_dependent_shapes")
    is_of_jax = type(error).__module__.partition(".")[0] == "jax"
    return is_of_jax or any(flag in str(error) for flag in flags)


def _made(x: Any, backend: Backend) -> Any:
    """Return an argument on a backend: of its own memory, for the function may write to it."""
    return move(x.copy(), backend.xp, backend.device) if isinstance(x, np.ndarray) else x


def _of_results(returned: Any, backend: Backend, reference: Reference) -> Iterator[str]:
    truth = reference.truth(backend)
    results, is_sequence = as_results(returned), isinstance(returned, tuple | list)
    if is_sequence != truth.is_sequence or len(results) != len(truth.results):
        yield (
            f"the function must return {_count(truth.results, truth.is_sequence)}, as on numpy;"
            f" got {_count(results, is_sequence)}"
        )
        return
    for i, (result, expected) in enumerate(zip(results, truth.results, strict=True), 1):
        label = f"result {i}" if is_sequence else "the result"
        for fault in _of_result(result, expected, backend, reference):
            yield f"{label} {fault}"


def _count(results: list[Any], is_sequence: bool) -> str:  # noqa: FBT001 (private)
    return f"a sequence of {len(results)}" if is_sequence else "a single result"


def _of_result(
    result: Any, expected: Expected, backend: Backend, reference: Reference
) -> Iterator[str]:
    if expected.is_number:
        if is_array(result) or not isinstance(result, bool | int | float):
            yield f"must be a number, as on numpy; got {type(result).__name__}"
            return
        values = np.asarray(result)
    else:
        result = _with_known_shape(result)
        faults = list(
            backend.faults(
                result, dtypes=reference.dtypes_of(expected, backend), shape=expected.exact.shape
            )
        )
        yield from faults
        if faults:
            return
        values = to_numpy(result)
    fault = _of_values(values, expected, backend, reference)
    if fault:
        yield fault


def _with_known_shape(result: Any) -> Any:
    """Return a result whose shape is known: Dask learns that of a selection by computing it."""
    if any(math.isnan(length) for length in getattr(result, "shape", ())):
        return result.compute_chunk_sizes()
    return result


def _of_values(
    values: NDArray[Any], expected: Expected, backend: Backend, reference: Reference
) -> str | None:
    if expected.is_floating:
        limit, dtype = reference.limit(expected, backend)
        fault = deviation(values, np.asarray(expected.exact), limit, dtype)
        return fault and f"is wrong: {fault}"
    plain = np.asarray(expected.plain)
    wrong = np.argwhere(values != plain)
    if not len(wrong):
        return None
    first = tuple(int(i) for i in wrong[0])
    place = f" at {list(first)}" if first else ""
    return (
        f"is wrong: {len(wrong)} of {values.size} values differ, the first{place}:"
        f" {values[first]} instead of {plain[first]}"
    )


def _of_arguments(arguments: list[Any], expected: list[Any]) -> Iterator[str]:
    for i, (x, before) in enumerate(zip(arguments, expected, strict=True), 1):
        if isinstance(before, np.ndarray):
            after = to_numpy(x)
            if not np.array_equal(after, before, equal_nan=before.dtype.kind == "f"):
                yield f"argument {i} must stay as it was; the function has changed it"
