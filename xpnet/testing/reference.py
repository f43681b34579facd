"""What a function should give: its results in NumPy with float64 arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from xpnet.arrays.namespace import is_array
from xpnet.testing.backends import Backend, dtype_name, open_backend
from xpnet.testing.calling import as_results, one_line
from xpnet.testing.tolerance import Limit, Tolerance

__all__ = ["Expected", "Reference", "host_value"]

_NUMBERS = bool | int | float


@dataclass(frozen=True)
class Expected:
    """One result as it should be.

    Attributes
    ----------
    exact : ndarray or number
        With floating-point arguments in float64.
    plain : ndarray or number
        With arguments in their own dtypes.
    """

    exact: Any
    plain: Any

    @property
    def is_number(self) -> bool:
        """Whether it is a Python number, no array."""
        return not is_array(self.exact)

    @property
    def is_floating(self) -> bool:
        """Whether it has a fraction, and so a bound; integers and booleans must be equal."""
        return bool(np.asarray(self.exact).dtype.kind == "f")


@dataclass(frozen=True)
class Truth:
    """The results for one precision of the arguments.

    Attributes
    ----------
    arguments : list
        NumPy arrays and numbers, as a backend gets them.
    results : list of Expected
    is_sequence : bool
        Whether they come as a tuple or list.
    """

    arguments: list[Any]
    results: list[Expected]
    is_sequence: bool


class Reference:
    """What a function should give on each backend.

    Parameters
    ----------
    function : callable
    arguments : list
        As `host_value` gives them.
    tolerance : Tolerance
    dtype : str, optional
        Of floating-point results.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: list[Any],
        tolerance: Tolerance,
        dtype: str | None,
    ) -> None:
        __tracebackhide__ = True
        if not any(isinstance(x, np.ndarray) for x in arguments):
            got = "numbers alone" if arguments else "none"
            msg = f"`arrays` must hold an array or a list, to be made on each backend; got {got}"
            raise TypeError(msg)
        self._function, self._arguments = function, arguments
        self._tolerance, self._dtype = tolerance, dtype
        self._truth = cache(self._compute)
        # A bound that does not fit is an error before all others.
        self._limits = [
            tolerance.limit(np.asarray(expected.exact), self._narrowest("float64"), arguments)
            for expected in self._truth(is_rounded=False).results
            if expected.is_floating
        ]

    def coarse_limits(self) -> list[str]:
        """Return in words the bounds that are coarse."""
        return [
            f"{np.max(limit.error):.3g} ({limit.words})"
            for limit in self._limits
            if limit.is_coarse
        ]

    @property
    def dtypes(self) -> set[str]:
        """The dtypes that a backend must have; a device without float64 can do with float32."""
        found = {x.dtype.name for x in self._arguments if isinstance(x, np.ndarray)}
        return {"float32" if name == "float64" else name for name in found}

    def truth(self, backend: Backend) -> Truth:
        """Return arguments and results as they should be on a backend."""
        return self._truth(is_rounded=self._is_rounded(backend))

    def floating_dtype(self, backend: Backend) -> str:
        """Return the dtype that floating-point results should have on a backend."""
        name = self._dtype or self._argument_dtype() or _default(backend, "real floating")
        return "float32" if name == "float64" and not backend.has_float64 else name

    def dtypes_of(self, expected: Expected, backend: Backend) -> tuple[str, ...]:
        """Return the dtypes that a result may have on a backend."""
        if expected.is_floating:
            return (self.floating_dtype(backend),)
        name = np.asarray(expected.plain).dtype.name
        if name == "bool":
            return (name,)
        defaults = (_default(backend, "integral"), _default(backend, "indexing"))
        return tuple(dict.fromkeys((name, *defaults)))

    def limit(self, expected: Expected, backend: Backend) -> tuple[Limit, str]:
        """Return how far a result may be from the exact one, and the dtype that this is for."""
        dtype = self._narrowest(self.floating_dtype(backend))
        is_rounded = self._is_rounded(backend)
        exact, arguments = np.asarray(expected.exact), self._truth(is_rounded=is_rounded).arguments
        return self._tolerance.limit(exact, dtype, arguments, is_rounded=is_rounded), dtype

    def _narrowest(self, dtype: str) -> str:
        # Of float32 arguments come float32's errors, even in a float64 result.
        names = filter(None, (dtype, self._argument_dtype()))
        return max(names, key=lambda name: float(np.finfo(name).eps))

    def _is_rounded(self, backend: Backend) -> bool:
        return not backend.has_float64 and any(_is_float64(x) for x in self._arguments)

    def _argument_dtype(self) -> str | None:
        arrays = [x for x in self._arguments if isinstance(x, np.ndarray)]
        floating = [x.dtype for x in arrays if x.dtype.kind == "f"]
        return np.result_type(*floating).name if floating else None

    def _compute(self, *, is_rounded: bool) -> Truth:
        __tracebackhide__ = True
        own = [_cast(x, "float32") if is_rounded and _is_float64(x) else x for x in self._arguments]
        wide = [_cast(x, "float64") if _is_floating(x) else x for x in own]
        exact, is_sequence = self._run(wide, "in float64 ")
        plain, _ = self._run(own, "")
        for i, result in enumerate(exact, 1):
            self._check(result, f"result {i}" if is_sequence else "the result")
        pairs = zip(exact, plain, strict=True)
        return Truth(own, [Expected(*pair) for pair in pairs], is_sequence)

    def _run(self, arguments: list[Any], where: str) -> tuple[list[Any], bool]:
        __tracebackhide__ = True
        copies = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
        try:
            returned = self._function(*copies)
        except Exception as error:
            msg = f"the function fails {where}on numpy: {one_line(error)}"
            raise AssertionError(msg) from error
        return as_results(returned), isinstance(returned, tuple | list)

    def _check(self, exact: Any, label: str) -> None:
        __tracebackhide__ = True
        if not is_array(exact):
            if isinstance(exact, _NUMBERS):
                return
            msg = f"`function` must return arrays or numbers; got {type(exact).__name__}"
            raise TypeError(msg)
        kinds = (dtype_name(exact.dtype),)
        if kinds[0].startswith("complex"):
            msg = f"`function` must return real arrays; got dtype {kinds[0]}"
            raise TypeError(msg)
        if self._dtype is None and kinds[0].startswith("float"):
            kinds = ("float64",)
        for fault in open_backend("numpy").faults(exact, dtypes=kinds, shape=exact.shape):
            hint = '. If it is meant to be that, say dtype="..."' if "dtype" in fault else ""
            msg = f"on numpy in float64, {label} {fault}{hint}"
            raise AssertionError(msg)


def host_value(x: Any, i: int, /) -> Any:
    """Return the argument at place i as a NumPy array; a number as Python's.

    Raises
    ------
    TypeError
        If it is neither, or its dtype is complex or no number, or it is masked.
    """
    number = x.item() if isinstance(x, np.generic) else x
    if isinstance(number, _NUMBERS):
        return number
    if not isinstance(x, np.ndarray | list | tuple) or isinstance(x, np.ma.MaskedArray):
        msg = (
            f"argument {i} must be a NumPy array, a list or a number, of which each backend gets"
            f" its own array; got {type(x).__name__}"
        )
        raise TypeError(msg)
    values = np.array(x)
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        msg = f"argument {i} must hold real numbers of at most 64 bits; got dtype {values.dtype}"
        raise TypeError(msg)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _default(backend: Backend, kind: str) -> str:
    info = backend.xp.__array_namespace_info__()
    return dtype_name(info.default_dtypes(device=backend.device)[kind])


def _is_floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _is_float64(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.float64


def _cast(x: Any, dtype: str) -> Any:
    return x.astype(dtype)
