"""One call of a function on one backend, and faults in its results."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from xpnet.arrays.namespace import is_array
from xpnet.testing.arguments import NUMBERS
from xpnet.testing.backends import STRICTEST, Backend
from xpnet.testing.laziness import LAZY_HINT, under_jit, without_values
from xpnet.testing.message import error_line, line_of
from xpnet.testing.reference import ExpectedResult, Reference, is_equal

__all__ = ["CallOnBackend"]


class CallOnBackend:
    """A call of the function of a reference on a backend, whose settings must be applied.

    `faults` are messages, `error` is what the function raised. In a variant of a sweep, JAX traces
    a lazy function but does not compile it.
    """

    def __init__(
        self, backend: Backend, reference: Reference, *, is_lazy: bool, is_variant: bool
    ) -> None:
        self._backend, self._reference = backend, reference
        self.error: Exception | None = None
        where = ""
        try:
            self.faults = list(self._faults(is_lazy=is_lazy))
            if is_lazy and backend.library == "jax" and not self.faults:
                where = "under jax.jit: "
                arguments = reference.arguments.on(backend)
                leaves = under_jit(reference.function, arguments, is_compiled=not is_variant)
                self.faults = [] if is_variant else list(self._faults_of_leaves(leaves))
        except Exception as error:  # noqa: BLE001 (any error of a user's function is a fault)
            # JAX, or the flags of array-api-strict, report that values are unknown.
            flags = ("boolean_indexing", "data_dependent_shapes")
            is_of_jax = type(error).__module__.partition(".")[0] == "jax"
            hint = f". {LAZY_HINT}" * (is_of_jax or any(flag in str(error) for flag in flags))
            self.faults = [error_line(error) + hint + line_of(error)]
            self.error = error
        self.faults = [where + fault for fault in self.faults]

    def _faults(self, *, is_lazy: bool) -> Iterator[str]:
        """Call the function, and yield its faults."""
        __tracebackhide__ = True
        backend, given = self._backend, self._reference.arguments
        arguments = given.on(backend)
        before = arguments.leaves
        context: contextlib.AbstractContextManager[list[str]] = contextlib.nullcontext([])
        if is_lazy and (backend.library == "dask" or backend.name == STRICTEST):
            context = without_values(backend)
        with context as refused:
            leaves = arguments.call(self._reference.function)
        yield from refused[:1]  # the function may have caught the error
        yield from self._faults_of_leaves(leaves)
        for (label, x), (_, old) in zip(before, given.leaves, strict=True):
            if is_array(old) and not is_equal(backend.values(x), old):
                yield f"{label} must not change; the function has modified it"
        after = [(label, id(x)) for label, x in arguments.leaves]
        if after != [(label, id(x)) for label, x in before]:
            yield "lists and dictionaries of arguments must not change; one has changed"

    def _faults_of_leaves(self, leaves: list[tuple[str, Any]]) -> Iterator[str]:
        """Yield a message for each wrong result."""
        paths, results = [path for path, _ in leaves], self._reference.results
        wanted = [x.path for x in results]
        if paths != wanted:
            yield f"the function must return {_words(wanted)}, as on numpy; got {_words(paths)}"
            return
        for (_, x), expected in zip(leaves, results, strict=True):
            judge = self._faults_of_array if is_array(expected.own) else self._faults_of_value
            yield from (f"{expected.label} {fault}" for fault in judge(x, expected))

    def _faults_of_value(self, x: Any, expected: ExpectedResult) -> Iterator[str]:
        """Yield a message if a number, a string or None differs."""
        wanted = expected.value
        if isinstance(wanted, NUMBERS) and isinstance(x, NUMBERS):
            yield from filter(None, [self._reference.fault(expected, self._backend, x)])
        elif type(x) is not type(wanted) or x != wanted:
            got = f"an array of shape {tuple(x.shape)}" if is_array(x) else repr(x)
            yield f"must be {wanted!r}, as on numpy; got {got}"

    def _faults_of_array(self, x: Any, expected: ExpectedResult) -> Iterator[str]:
        backend = self._backend
        # Dask determines the shape of a selection by computing it.
        if any(math.isnan(length) for length in getattr(x, "shape", ())):
            x = x.compute_chunk_sizes()
        dtypes = self._reference.expected_dtypes(expected, backend)
        faults = list(backend.faults(x, dtypes=dtypes, shape=expected.own.shape))
        wrong = None if faults else self._reference.fault(expected, backend, backend.values(x))
        yield from faults or filter(None, [wrong])


def _words(paths: list[str]) -> str:
    return "a single result" if paths == [""] else f"results {', '.join(paths)}"
