"""Expected results of a function: computed by NumPy in float64, or given by the caller."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.library import NARROW
from xpnet.arrays.namespace import dtype_name, is_array
from xpnet.testing.arguments import NUMBERS, Arguments, leaves_of
from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.outcomes import error_line
from xpnet.testing.tolerance import Tolerance, canonical, describe_deviation

__all__ = ["ROUNDED", "ExpectedResult", "Options", "Reference", "is_equal", "rounded"]

_COMPLEX: Final = {"float32": "complex64", "float64": "complex128"}
ROUNDED: Final = ("float64", "complex128")
_WIDENED: Final = {"f": "float64", "c": "complex128"}


@dataclass(frozen=True)
class Options:
    """Expectations of a function, besides the results of NumPy."""

    tolerance: Tolerance
    dtype: str | None = None  # of floating-point results
    expected: Any = None  # independent results, or a function of the arguments that returns them
    compare: Any = None  # a function that is applied to both sides
    longest: int = 1  # axis of the arguments as given, which bounds of all variants count


@dataclass(frozen=True)
class ExpectedResult:
    """One expected result: a NumPy array, or a value that is the same on every backend."""

    path: str  # within the function's result, such as "[0]"; "" if it is the only one
    exact: Any  # with floating-point arguments in float64
    plain: Any  # with arguments in their own dtypes

    @property
    def label(self) -> str:
        """The name of the result for messages."""
        return f"result{self.path}" if self.path else "the result"

    @property
    def is_value(self) -> bool:
        """True for a number, a string or None, false for an array."""
        return not is_array(self.exact)

    @property
    def is_floating(self) -> bool:
        """True for real or complex floating-point values, which have a bound."""
        return bool(np.asarray(self.exact).dtype.kind in "fc")


class Reference:
    """Expected results of a function, for arguments as a backend supports them.

    `is_rounded` means that float64 arguments were rounded to float32. Raise AssertionError if the
    function fails on NumPy, or is not deterministic.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Arguments,
        options: Options,
        *,
        is_rounded: bool = False,
    ) -> None:
        __tracebackhide__ = True
        self.function, self.arguments, self.options = function, arguments, options
        self._is_rounded = is_rounded
        floating = [np.finfo(x).dtype for x in arguments.dtypes if x.kind in "fc"]
        self._argument_dtype = np.result_type(*floating).name if floating else None
        self.dtypes = {x.name for x in arguments.dtypes}
        # Results may then have the dtype of any of them: that which they have on NumPy.
        self._has_mixed_dtypes = len(set(floating)) > 1
        own = arguments.map(np.copy)
        self.results = self._expected_results(own)

    def coarse_bounds(self) -> list[str]:
        """Return the bounds that detect gross faults only; ValueError if a bound does not fit."""
        dtype, arrays = self._narrowest("float64"), self.arguments.arrays
        exact = [np.asarray(x.exact) for x in self.results if x.is_floating]
        judge, least = self.options.tolerance.allowed_error, self.options.longest
        allowed = [judge(x, dtype, arrays, least=least) for x in exact]
        return [f"{np.max(x.error):.3g} ({x.words})" for x in allowed if x.is_coarse]

    def expected_dtypes(self, expected: ExpectedResult, backend: Backend) -> tuple[str, ...]:
        """Return the dtypes that a result may have on a backend."""
        kind = np.asarray(expected.exact).dtype.kind
        if kind in "fc":
            dtypes = self._floating_dtypes(expected, backend)
            return tuple(_COMPLEX.get(x, "complex64") for x in dtypes) if kind == "c" else dtypes
        name = np.asarray(expected.plain).dtype.name
        if name == "bool":
            return (name,)
        defaults = [_default_dtype(backend, kind) for kind in ("integral", "indexing")]
        narrow = name if backend.has([name]) else NARROW.get(name, name)
        return tuple(dict.fromkeys((narrow, *defaults)))

    def faults(
        self, values: NDArray[Any], expected: ExpectedResult, backend: Backend
    ) -> Iterator[str]:
        """Yield a message if the values of a result of a backend, in NumPy, are wrong."""
        wanted = np.asarray(expected.exact if expected.is_floating else expected.plain)
        values, wanted = canonical(values, wanted, self.options.compare)
        if expected.is_floating:
            dtypes, found = self._floating_dtypes(expected, backend), values.dtype.name
            dtype = self._narrowest(found if found in dtypes else dtypes[0])
            allowed = self.options.tolerance.allowed_error(
                wanted,
                dtype,
                self.arguments.arrays,
                least=self.options.longest,
                is_rounded=self._is_rounded,
            )
            fault = describe_deviation(values, wanted, allowed, dtype)
            if fault is not None:
                yield f"is wrong: {fault}"
            return
        wrong = np.argwhere(values != wanted)
        if len(wrong):
            first = tuple(int(i) for i in wrong[0])
            place = f" at {list(first)}" if first else ""
            yield (
                f"is wrong: {len(wrong)} of {values.size} values differ, the first{place}:"
                f" {values[first]} instead of {wanted[first]}"
            )

    def _floating_dtypes(self, expected: ExpectedResult, backend: Backend) -> tuple[str, ...]:
        """Return the dtypes that a real result may have, the usual one first."""
        name = self.options.dtype or self._argument_dtype
        if self._has_mixed_dtypes and self.options.dtype is None:
            name = np.finfo(np.asarray(expected.plain).dtype).dtype.name
        names = [name] if name else []
        if not name:
            names = [_default_dtype(backend, "real floating")]
            with contextlib.suppress(Exception):  # array-api-strict divides no integers
                # Libraries differ in what integers become: on JAX, int32 becomes float32.
                one = backend.make(np.ones((), self.arguments.arrays[0].dtype))
                names.append(dtype_name((one / one).dtype))
        return tuple("float32" if x == "float64" and not backend.has_float64 else x for x in names)

    def _narrowest(self, dtype: str) -> str:
        # float32 arguments cause float32 errors, even in a float64 result.
        names = filter(None, (dtype, self._argument_dtype))
        return max(names, key=lambda name: float(np.finfo(name).eps))

    def _expected_results(self, own: Arguments) -> list[ExpectedResult]:
        """Return the function's results in NumPy, or those of the caller."""
        __tracebackhide__ = True
        wide = self.arguments.map(_widened)
        exact, plain = self._run(wide, "in float64 "), self._run(own)
        results = [ExpectedResult(*x, y) for x, (_, y) in zip(exact, plain, strict=True)]
        for result in results:
            self._check(result)
        if all(x is None for _, x in exact):
            msg = "`function` must return a result; got None"
            raise TypeError(msg)
        again = self._run(self.arguments.map(np.copy))
        if not all(is_equal(x, y) for (_, x), (_, y) in zip(plain, again, strict=True)):
            msg = (
                "the function is not deterministic: two calls on numpy with the same arguments give"
                " different results. Use a fixed seed"
            )
            raise AssertionError(msg)
        expected, is_single = self.options.expected, [x.path for x in results] == [""]
        if expected is None:
            return results
        if callable(expected):
            try:
                values = [x for _, x in wide.call(expected)]
            except Exception as error:
                msg = f"`expected` fails for the arguments of the function: {error_line(error)}"
                raise AssertionError(msg) from error
        else:
            values = [expected] if is_single else [x for _, x in leaves_of(expected)]
        shapes, wanted = list(map(np.shape, values)), [np.shape(x.exact) for x in results]
        if shapes != wanted and callable(expected):
            msg = f"on numpy, results must have shapes {shapes}, as `expected`; got {wanted}"
            raise AssertionError(msg)
        if shapes != wanted:
            msg = f"`expected` must hold results of shapes {wanted}; got {shapes}"
            raise ValueError(msg)
        return [
            ExpectedResult(x.path, _like(value, x.exact), _like(value, x.plain))
            for x, value in zip(results, values, strict=True)
        ]

    def _run(self, arguments: Arguments, where: str = "") -> list[tuple[str, Any]]:
        __tracebackhide__ = True
        try:
            return arguments.call(self.function)
        except Exception as error:
            msg = f"the function fails {where}on numpy: {error_line(error)}"
            raise AssertionError(msg) from error

    def _check(self, result: ExpectedResult) -> None:
        """Raise TypeError or AssertionError for results that cannot be compared."""
        __tracebackhide__ = True
        exact = result.exact
        if result.is_value:
            if isinstance(exact, NUMBERS | str | bytes | None):
                return
            rule = "arrays, numbers, strings, None, or lists or dictionaries of them"
            where = f" as {result.label}" if result.path else ""
            msg = f"`function` must return {rule}; got {type(exact).__name__}{where}"
            raise TypeError(msg)
        dtype = dtype_name(exact.dtype)
        wanted = _WIDENED.get(exact.dtype.kind, dtype) if self.options.dtype is None else dtype
        for fault in open_backend("numpy").faults(exact, dtypes=(wanted,), shape=exact.shape):
            hint = '. If this is intended, give parity(dtype="...")' if "dtype" in fault else ""
            where = " in float64" if self._argument_dtype else ""
            msg = f"on numpy{where}, {result.label} {fault}{hint}"
            raise AssertionError(msg)


def is_equal(x: Any, y: Any) -> bool:
    """Return whether two arrays or other values are equal, NaN included."""
    equal_nan = np.asarray(y).dtype.kind in "fc"
    return np.array_equal(np.asarray(x), np.asarray(y), equal_nan=equal_nan)


def rounded(x: NDArray[Any]) -> NDArray[Any]:
    """Return a float64 array in float32, and others unchanged."""
    return x.astype(NARROW[x.dtype.name]) if x.dtype.name in ROUNDED else x


def _widened(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(_WIDENED.get(x.dtype.kind, x.dtype))


def _like(value: Any, x: Any) -> Any:
    """Return an expected value in the dtype of a result."""
    return np.asarray(value, np.asarray(x).dtype) if is_array(x) else value


def _default_dtype(backend: Backend, kind: str) -> str:
    info = backend.xp.__array_namespace_info__()
    return dtype_name(info.default_dtypes(device=backend.device)[kind])
