"""Expected results of a function: computed by NumPy in float64, or given by the caller."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.library import NARROW
from xpnet.arrays.namespace import dtype_name, is_array
from xpnet.testing.arguments import NUMBERS, Arguments, leaves_of
from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.message import error_line
from xpnet.testing.tolerance import Tolerance

__all__ = ["ExpectedResult", "Reference", "is_equal"]

_WIDE: Final = ("float64", "complex128")


@dataclass(frozen=True)
class ExpectedResult:
    """One expected result: a NumPy array, or a value that is the same on every backend."""

    path: str  # within the function's result, such as "[0]"; "" if it is the only one
    value: Any  # in float64 if it is floating-point
    own: Any  # of the function in NumPy, with arguments in their own dtypes

    @property
    def label(self) -> str:
        """The name of the result for messages."""
        return f"result{self.path}" if self.path else "the result"

    @property
    def kind(self) -> str:
        """The kind of the dtype, such as "f"."""
        return np.asarray(self.own).dtype.kind


class Reference:
    """Expected results of a function, for arguments as a backend supports them.

    `tolerance`, `expected` and `dtype` are options of `parity`. Raise AssertionError if the
    function fails on NumPy, or is not deterministic.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Arguments,
        tolerance: Tolerance,
        expected: Any,
        dtype: str | None,
    ) -> None:
        __tracebackhide__ = True
        self.function, self.arguments = function, arguments
        self._tolerance = replace(tolerance, arrays=arguments.arrays)
        self._expected, self._dtype = expected, dtype
        floating = [np.finfo(x).dtype for x in arguments.dtypes if x.kind in "fc"]
        self._argument_dtype = np.result_type(*floating).name if floating else None
        # Results may then have the dtype of any of them: that which they have on NumPy.
        self._has_mixed_dtypes = len(set(floating)) > 1
        self.results = self._expected_results()

    def on_device(self, backend: Backend) -> "Reference":
        """Return the reference for float64 arguments as a device has them: rounded if need be."""
        __tracebackhide__ = True
        if backend.has_float64 or not any(x.name in _WIDE for x in self.arguments.dtypes):
            return self
        options = replace(self._tolerance, is_rounded=True), self._expected, self._dtype
        return Reference(self.function, self.arguments.map(_rounded), *options)

    def expected_dtypes(self, expected: ExpectedResult, backend: Backend) -> tuple[str, ...]:
        """Return the dtypes that a result may have on a backend."""
        name = np.asarray(expected.own).dtype.name
        if expected.kind == "c":
            floating = self._floating_dtypes(expected, backend)
            return tuple("complex128" if x == "float64" else "complex64" for x in floating)
        if expected.kind == "f":
            return self._floating_dtypes(expected, backend)
        if name == "bool":
            return (name,)
        narrow = name if backend.has([name]) else NARROW.get(name, name)
        defaults = (_default_dtype(backend, kind) for kind in ("integral", "indexing"))
        return tuple(dict.fromkeys((narrow, *defaults)))

    def _narrowest(self, dtype: str) -> str:
        # float32 arguments cause float32 errors, even in a float64 result.
        names = filter(None, (dtype, self._argument_dtype))
        return max(names, key=lambda name: float(np.finfo(name).eps))

    def coarseness(self, expected: ExpectedResult) -> str | None:
        """Return words about a default bound that detects gross faults only."""
        if expected.kind not in "fc":
            return None
        return self._tolerance.coarseness(np.asarray(expected.value), self._narrowest("float64"))

    def fault(self, expected: ExpectedResult, backend: Backend, x: Any) -> str | None:
        """Return a message if numbers of a result on a backend, in NumPy, are wrong."""
        values, dtypes = np.asarray(x), self._floating_dtypes(expected, backend)
        dtype = self._narrowest(values.dtype.name if values.dtype.name in dtypes else dtypes[0])
        return self._tolerance.fault(values, np.asarray(expected.value), dtype)

    def _floating_dtypes(self, expected: ExpectedResult, backend: Backend) -> tuple[str, ...]:
        """Return the dtypes that a real result may have, the usual one first."""
        name = self._dtype or self._argument_dtype
        if self._has_mixed_dtypes and not self._dtype and expected.kind in "fc":
            name = np.finfo(np.asarray(expected.own).dtype).dtype.name
        names = [name or _default_dtype(backend, "real floating")]
        if not name:
            with contextlib.suppress(Exception):  # array-api-strict divides no integers
                # Libraries differ in what integers become: on JAX, int32 becomes float32.
                one = backend.make(np.ones((), self.arguments.dtypes[0]))
                names.append(dtype_name((one / one).dtype))
        return tuple("float32" if x == "float64" and not backend.has_float64 else x for x in names)

    def _expected_results(self) -> list[ExpectedResult]:
        """Return the function's results in NumPy, or those of the caller."""
        __tracebackhide__ = True
        exact = self._run(self.arguments.map(_widened), "in float64 ")
        own, again = (self._run(self.arguments.map(np.copy)) for _ in range(2))
        for path, x in exact:
            self._check(ExpectedResult(path, x, x))
        if all(x is None for _, x in exact):
            msg = "`function` must return a result; got None"
            raise TypeError(msg)
        paths = [[path for path, _ in results] for results in (exact, own, again)]
        is_same = paths[0] == paths[1] == paths[2]
        if not (is_same and all(is_equal(x, y) for (_, x), (_, y) in zip(own, again, strict=True))):
            msg = "the function is not deterministic: calls on numpy differ. Use a fixed seed"
            raise AssertionError(msg)
        results = [ExpectedResult(*x, y) for x, (_, y) in zip(exact, own, strict=True)]
        given = self._given_values(results)
        return [replace(x, value=_wanted(x, y)) for x, y in zip(results, given, strict=True)]

    def _given_values(self, results: list[ExpectedResult]) -> list[Any]:
        """Return the values of the option `expected`; without it, those of the function."""
        __tracebackhide__ = True
        expected = self._expected
        if expected is None:
            return [x.value if x.kind in "fc" else x.own for x in results]
        if callable(expected):
            try:
                values = [x for _, x in self.arguments.map(_widened).call(expected)]
            except Exception as error:
                msg = f"`expected` fails for the arguments of the function: {error_line(error)}"
                raise AssertionError(msg) from error
        else:
            is_single = [x.path for x in results] == [""]
            values = [expected] if is_single else [x for _, x in leaves_of(expected)]
        wanted, shapes = list(map(np.shape, values)), [np.shape(x.own) for x in results]
        if shapes != wanted:
            msg = f"on numpy, results must have shapes {wanted}, as `expected`; got {shapes}"
            raise AssertionError(msg)
        return values

    def _run(self, arguments: Arguments, where: str = "") -> list[tuple[str, Any]]:
        __tracebackhide__ = True
        try:
            return arguments.call(self.function)
        except Exception as error:
            msg = f"the function fails {where}on numpy: {error_line(error)}"
            raise AssertionError(msg) from error

    def _check(self, result: ExpectedResult) -> None:
        """Raise TypeError or AssertionError for a result that cannot be compared."""
        __tracebackhide__ = True
        exact = result.value
        if not is_array(exact):
            if isinstance(exact, NUMBERS | str | bytes | None):
                return
            rule = "arrays, numbers, strings, or lists or dictionaries of them"
            msg = f"`function` must return {rule}; got {type(exact).__name__} as {result.label}"
            raise TypeError(msg)
        dtype = dtype_name(exact.dtype)
        wanted = dtype if self._dtype else _widened(np.empty(0, exact.dtype)).dtype.name
        for fault in open_backend("numpy").faults(exact, dtypes=(wanted,), shape=exact.shape):
            hint = '. If this is intended, give parity(dtype="...")' if "dtype" in fault else ""
            msg = f"on numpy, {result.label} {fault}{hint}"
            raise AssertionError(msg)


def is_equal(x: Any, y: Any) -> bool:
    """Return whether two arrays or other values are equal, NaN included."""
    equal_nan = np.asarray(y).dtype.kind in "fc"
    return np.array_equal(np.asarray(x), np.asarray(y), equal_nan=equal_nan)


def _rounded(x: NDArray[Any]) -> NDArray[Any]:
    """Return a float64 array in float32, and others unchanged."""
    return x.astype(NARROW[x.dtype.name]) if x.dtype.name in _WIDE else x


def _widened(x: NDArray[Any]) -> NDArray[Any]:
    """Return a floating-point array in float64, a complex one in complex128, and others as is."""
    return x.astype({"f": "float64", "c": "complex128"}.get(x.dtype.kind, x.dtype))


def _wanted(result: ExpectedResult, value: Any) -> Any:
    """Return an expected value as an array, in float64 if the result is floating-point."""
    if not is_array(result.own):
        return value
    return _widened(np.asarray(value) * 1.0 if result.kind in "fc" else np.asarray(value))


def _default_dtype(backend: Backend, kind: str) -> str:
    info = backend.xp.__array_namespace_info__()
    return dtype_name(info.default_dtypes(device=backend.device)[kind])
