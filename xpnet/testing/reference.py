"""Expected results of a function: those in NumPy with float64 arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from xpnet.arrays.namespace import is_array
from xpnet.testing.backends import Backend, dtype_name, open_backend
from xpnet.testing.tolerance import AllowedError, Tolerance

__all__ = ["ExpectedResult", "Reference", "as_results", "host_value", "one_line"]

_NUMBERS = bool | int | float
# Maximum length of the message of an error.
_MAX_CHARACTERS = 240


@dataclass(frozen=True)
class ExpectedResult:
    """One expected result, a NumPy array or a number."""

    exact: Any  # with floating-point arguments in float64
    plain: Any  # with arguments in their own dtypes

    @property
    def is_number(self) -> bool:
        """True for a Python number, false for an array."""
        return not is_array(self.exact)

    @property
    def is_floating(self) -> bool:
        """True for floating-point values, which have a bound; all others must be equal."""
        return bool(np.asarray(self.exact).dtype.kind == "f")


@dataclass(frozen=True)
class ExpectedCall:
    """Arguments and expected results of one call."""

    arguments: list[Any]  # NumPy arrays and numbers, in the precision of a backend
    results: list[ExpectedResult]
    is_sequence: bool  # whether the function returns a tuple or list


class Reference:
    """Expected results of a function on each backend.

    `arguments` are as `host_value` returns them; `dtype` is that of floating-point results.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: list[Any],
        tolerance: Tolerance,
        dtype: str | None,
    ) -> None:
        __tracebackhide__ = True
        arrays = [x for x in arguments if isinstance(x, np.ndarray)]
        if not arrays:
            got = "numbers alone" if arguments else "none"
            msg = f"`arrays` must hold an array or a list, to be made on each backend; got {got}"
            raise TypeError(msg)
        floating = [x.dtype for x in arrays if x.dtype.kind == "f"]
        self._function, self._arguments = function, arguments
        self._tolerance, self._dtype = tolerance, dtype
        self._argument_dtype = np.result_type(*floating).name if floating else None
        # A device without float64 supports float64 arguments, rounded to float32.
        names = {x.dtype.name for x in arrays}
        self.dtypes = {"float32" if name == "float64" else name for name in names}
        self._call = cache(self._compute)
        # A bound that does not fit is reported before all other errors.
        allowed = [
            tolerance.allowed_error(np.asarray(x.exact), self._narrowest("float64"), arguments)
            for x in self._call(is_rounded=False).results
            if x.is_floating
        ]
        self.coarse_bounds = [f"{np.max(x.error):.3g} ({x.words})" for x in allowed if x.is_coarse]

    def call(self, backend: Backend) -> ExpectedCall:
        """Return arguments and expected results on a backend."""
        return self._call(is_rounded=self._is_rounded(backend))

    def expected_dtypes(self, expected: ExpectedResult, backend: Backend) -> tuple[str, ...]:
        """Return the dtypes that a result may have on a backend."""
        if expected.is_floating:
            return (self._floating_dtype(backend),)
        name = np.asarray(expected.plain).dtype.name
        if name == "bool":
            return (name,)
        defaults = (_default_dtype(backend, kind) for kind in ("integral", "indexing"))
        return tuple(dict.fromkeys((name, *defaults)))

    def allowed_error(self, expected: ExpectedResult, backend: Backend) -> tuple[AllowedError, str]:
        """Return the largest allowed error of a result, and the dtype that it is valid for."""
        dtype = self._narrowest(self._floating_dtype(backend))
        exact, arguments = np.asarray(expected.exact), self.call(backend).arguments
        is_rounded = self._is_rounded(backend)
        return self._tolerance.allowed_error(exact, dtype, arguments, is_rounded=is_rounded), dtype

    def _floating_dtype(self, backend: Backend) -> str:
        name = self._dtype or self._argument_dtype or _default_dtype(backend, "real floating")
        return "float32" if name == "float64" and not backend.has_float64 else name

    def _narrowest(self, dtype: str) -> str:
        # float32 arguments cause float32 errors, even in a float64 result.
        names = filter(None, (dtype, self._argument_dtype))
        return max(names, key=lambda name: float(np.finfo(name).eps))

    def _is_rounded(self, backend: Backend) -> bool:
        return not backend.has_float64 and any(map(_is_float64, self._arguments))

    def _compute(self, *, is_rounded: bool) -> ExpectedCall:
        __tracebackhide__ = True
        own = [x.astype("float32") if is_rounded and _is_float64(x) else x for x in self._arguments]
        wide = [
            x.astype("float64") if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
            for x in own
        ]
        exact, is_sequence = self._run(wide, "in float64 ")
        plain, _ = self._run(own, "")
        for i, result in enumerate(exact, 1):
            self._check(result, f"result {i}" if is_sequence else "the result")
        pairs = zip(exact, plain, strict=True)
        return ExpectedCall(own, [ExpectedResult(*pair) for pair in pairs], is_sequence)

    def _run(self, arguments: list[Any], where: str) -> tuple[list[Any], bool]:
        __tracebackhide__ = True
        copies = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
        try:
            returned = self._function(*copies)
        except Exception as error:
            msg = f"the function fails {where}on numpy: {one_line(error)}"
            raise AssertionError(msg) from error
        return as_results(returned)

    def _check(self, exact: Any, label: str) -> None:
        __tracebackhide__ = True
        if not is_array(exact):
            if isinstance(exact, _NUMBERS):
                return
            msg = f"`function` must return arrays or numbers; got {type(exact).__name__}"
            raise TypeError(msg)
        dtype = dtype_name(exact.dtype)
        if dtype.startswith("complex"):
            msg = f"`function` must return real arrays; got dtype {dtype}"
            raise TypeError(msg)
        if self._dtype is None and dtype.startswith("float"):
            dtype = "float64"
        for fault in open_backend("numpy").faults(exact, dtypes=(dtype,), shape=exact.shape):
            hint = '. If this is intended, give dtype="..."' if "dtype" in fault else ""
            msg = f"on numpy in float64, {label} {fault}{hint}"
            raise AssertionError(msg)


def as_results(returned: Any, /) -> tuple[list[Any], bool]:
    """Return a function's results as a list, and whether it returned a tuple or list."""
    is_sequence = isinstance(returned, tuple | list)
    return list(returned) if is_sequence else [returned], is_sequence


def one_line(error: Exception, /) -> str:
    """Return an error's type and the first line of its message."""
    line = next(iter(str(error).strip().splitlines()), "")
    text = f"{type(error).__name__}: {line}".removesuffix(": ").removesuffix(".")
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."


def host_value(x: Any, i: int, /) -> Any:
    """Return argument i as a NumPy array, or a number as Python's.

    Raise TypeError if it is neither, or its dtype is complex or not numeric, or it is masked.
    """
    number = x.item() if isinstance(x, np.generic) else x
    if isinstance(number, _NUMBERS):
        return number
    if not isinstance(x, np.ndarray | list | tuple) or isinstance(x, np.ma.MaskedArray):
        msg = (
            f"argument {i} must be a NumPy array, a list or a number, from which the arrays of"
            f" each backend are made; got {type(x).__name__}"
        )
        raise TypeError(msg)
    values = np.array(x)
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        msg = f"argument {i} must hold real numbers of at most 64 bits; got dtype {values.dtype}"
        raise TypeError(msg)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _default_dtype(backend: Backend, kind: str) -> str:
    info = backend.xp.__array_namespace_info__()
    return dtype_name(info.default_dtypes(device=backend.device)[kind])


def _is_float64(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == "float64"
