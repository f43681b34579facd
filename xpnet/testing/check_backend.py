"""One call of a function on one backend, and faults in its results."""

import contextlib
import math
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from xpnet.arrays.namespace import is_array
from xpnet.testing.arguments import NUMBERS
from xpnet.testing.backends import Backend
from xpnet.testing.built_in import STRICTEST
from xpnet.testing.laziness import LAZY_HINT, call_jitted, trace, without_values
from xpnet.testing.outcomes import BackendOutcome, error_line
from xpnet.testing.reference import ExpectedResult, Reference, is_equal

__all__ = ["check_backend"]

_LIBRARIES: Final = {
    "array_api_compat",
    "array_api_strict",
    "cupy",
    "dask",
    "jax",
    "numpy",
    "torch",
}
_FOREIGN: Final = _LIBRARIES | sys.stdlib_module_names
_KIT: Final = str(Path(__file__).parent)


def check_backend(
    backend: Backend, reference: Reference, lazy: frozenset[str], *, is_variant: bool
) -> BackendOutcome:
    """Return the outcome of a call on a backend, whose settings must be applied.

    In a variant of a sweep, JAX traces the function but does not compile it.
    """
    __tracebackhide__ = True
    check = _Check(backend, reference, lazy)
    escaped, raised = None, None
    try:
        faults = check.run(is_variant=is_variant)
    except Exception as error:  # noqa: BLE001 (any error of a user's function is a fault)
        # JAX, or the flags of array-api-strict, report that values are unknown.
        flags = ("boolean_indexing", "data_dependent_shapes")
        is_of_jax = type(error).__module__.partition(".")[0] == "jax"
        is_lazy = is_of_jax or any(flag in str(error) for flag in flags)
        faults = [check.where + error_line(error) + f". {LAZY_HINT}" * is_lazy]
        escaped, raised = _line_of(error), error
    return BackendOutcome(backend.name, tuple(faults), None, escaped, raised)


class _Check:
    """The steps of a call on one backend."""

    def __init__(self, backend: Backend, reference: Reference, lazy: frozenset[str]) -> None:
        self._backend, self._reference, self._lazy = backend, reference, lazy
        self.where = ""  # precedes the messages of faults

    def run(self, *, is_variant: bool) -> list[str]:
        """Call the function, and return its faults."""
        __tracebackhide__ = True
        backend, reference = self._backend, self._reference
        arguments = reference.arguments.on(backend)
        made = arguments.arrays
        given = [x for _, x in arguments.leaves]
        is_lazy = backend.library in self._lazy
        context: contextlib.AbstractContextManager[list[str]] = contextlib.nullcontext([])
        if is_lazy and (backend.library == "dask" or backend.name == STRICTEST):
            context = without_values(backend)
        with context as refused:
            leaves = arguments.call(reference.function)
        # The function may have caught the error.
        faults = [*refused[:1], *self._faults_of_leaves(leaves), *self._faults_of_arguments(made)]
        after = [x for _, x in arguments.leaves]
        if len(after) != len(given) or any(x is not y for x, y in zip(after, given, strict=True)):
            faults.append("lists and dictionaries of arguments must not change; one has changed")
        if is_lazy and backend.library == "jax" and not faults:
            self.where = "under jax.jit: "
            if is_variant:
                trace(reference.function, arguments)
            else:
                leaves = call_jitted(reference.function, arguments)
                faults += [self.where + x for x in self._faults_of_leaves(leaves)]
        return faults

    def _faults_of_leaves(self, leaves: list[tuple[str, Any]]) -> Iterator[str]:
        paths = [path for path, _ in leaves]
        wanted = [x.path for x in self._reference.results]
        if paths != wanted:
            yield f"the function must return {_words(wanted)}, as on numpy; got {_words(paths)}"
            return
        labels: dict[str, list[str]] = {}  # of the results with a fault
        for (_, result), expected in zip(leaves, self._reference.results, strict=True):
            judge = self._faults_of_value if expected.is_value else self._faults_of_array
            for fault in judge(result, expected):
                labels.setdefault(fault, []).append(expected.label)
        yield from (f"{', '.join(found)} {fault}" for fault, found in labels.items())

    def _faults_of_value(self, result: Any, expected: ExpectedResult) -> Iterator[str]:
        """Yield a message if a number, a string or None differs."""
        wanted = expected.exact
        if not isinstance(wanted, NUMBERS):
            if type(result) is not type(wanted) or result != wanted:
                yield f"must be {wanted!r}, as on numpy; got {result!r}"
        elif is_array(result) or not isinstance(result, NUMBERS):
            yield f"must be a number, as on numpy; got {type(result).__name__}"
        else:
            yield from self._reference.faults(np.asarray(result), expected, self._backend)

    def _faults_of_array(self, result: Any, expected: ExpectedResult) -> Iterator[str]:
        backend, reference = self._backend, self._reference
        # Dask determines the shape of a selection by computing it.
        if any(math.isnan(length) for length in getattr(result, "shape", ())):
            result = result.compute_chunk_sizes()
        dtypes = reference.expected_dtypes(expected, backend)
        faults = list(backend.faults(result, dtypes=dtypes, shape=expected.exact.shape))
        yield from faults
        if backend.has_values and not faults:
            values = backend.values(result)
            yield from reference.faults(values, expected, backend)

    def _faults_of_arguments(self, made: list[Any]) -> Iterator[str]:
        """Yield a message for each array that was changed."""
        before = self._reference.arguments
        rows = zip(before.labels, made, before.arrays, strict=True)
        for label, array, old in rows if self._backend.has_values else ():
            if not is_equal(self._backend.values(array), old):
                yield f"{label} must not change; the function has modified it"


def _words(paths: list[str]) -> str:
    return "a single result" if paths == [""] else f"results {', '.join(paths)}"


def _line_of(error: Exception) -> str | None:
    """Return the last line of the user's code where an error arose, such as ``"stats.py:12"``."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package not in _FOREIGN and not frame.f_code.co_filename.startswith(_KIT):
            return f"{Path(frame.f_code.co_filename).name}:{line}"
    return None
