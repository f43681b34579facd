"""Comparison of a function's results on every array library and device."""

import threading
import unittest
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from xpnet.arrays.library import NARROW
from xpnet.arrays.namespace import dtype_name
from xpnet.testing.arguments import Arguments
from xpnet.testing.backends import STRICTEST, open_backend
from xpnet.testing.laziness import lazy_libraries
from xpnet.testing.marks import verdicts_of
from xpnet.testing.message import failure
from xpnet.testing.on_backend import CallOnBackend
from xpnet.testing.reference import Reference
from xpnet.testing.sweeps import sweep
from xpnet.testing.tolerance import Tolerance
from xpnet.testing.words import RUN, select_backends, selected_backends, unavailable_reason

__all__ = ["assert_parity", "parity"]

_DTYPES: Final = ("float16", "float32", "float64", "complex64", "complex128")
# Settings of libraries hold for the whole process: threads take turns.
_ONE_AT_A_TIME: Final = threading.RLock()


def assert_parity(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> None:
    """Assert that a function gives the same results on every available library and device.

    The function is called on each backend with arrays of that library, on that device. Each
    result must be of the same library, on the same device, and of the right dtype and shape; its
    values must agree with those of the function in NumPy with float64 arguments. The function must
    not change its arguments. `parity` returns the same assertion with options.

    Parameters
    ----------
    function : callable
        Returns arrays, numbers, strings, or tuples, lists, dictionaries, named tuples and
        dataclasses with them, which may hold None, too.
    *arguments, **keywords
        Of the function. NumPy arrays and positional lists of numbers become arrays of each backend
        with the same dtype: ``[1.0, 2.0]`` is float64. On a device without float64 they are
        rounded to float32, for the reference too. ``xp=numpy`` becomes the namespace of each
        backend, ``device="cpu"`` its device, and a dtype of NumPy that of the library.

    Raises
    ------
    AssertionError
        If the function fails or disagrees. The message lists the faults of every backend; an
        error of the function itself is the cause.
    TypeError, ValueError
        If an argument or an option is invalid, or the function returns something else.
    RuntimeError
        If no library but NumPy is available, so that nothing can be compared.

    Warns
    -----
    UserWarning
        If the default bound detects gross faults only, or sweeps change nothing.

    Notes
    -----
    The smallest normal number is added to every bound: results below it may be zero. NaN must be
    in the same places. A result may be infinite where the reference is, or exceeds the largest
    number of the dtype. Integers and booleans must equal those of NumPy with the same dtypes,
    and have NumPy's dtype or the library's default integer dtype. In float64 the reference is
    NumPy's result, so a bound in ULP must include NumPy's own error. Functions need a bound of
    their own if intermediate numbers are larger than arguments and result, if they amplify
    rounding errors, or if results are far smaller than arguments.

    Examples
    --------
    >>> import numpy as np
    >>> assert_parity(lambda x, y: x * y + 1.0, [1.0, 2.0], [0.5, 0.25])
    >>> assert_parity(lambda x, axis: x - x[axis], [1.0, 3.0], axis=0)
    >>> assert_parity(lambda n, xp, device: xp.ones(n, device=device), 3, xp=np, device="cpu")
    """
    __tracebackhide__ = True
    _compare(parity(), function, arguments, keywords)


@dataclass(frozen=True, kw_only=True)
class parity:  # noqa: N801 (it is called like a function)
    """Assertion like `assert_parity`, with options: ``parity(rtol=1e-6)(function, *arguments)``.

    Parameters
    ----------
    expected : array_like or callable, optional
        Independent results, or a function of the NumPy arguments that returns them. Without it,
        the reference is the function itself, whose mistakes on NumPy remain undetected.
    bound : float or array_like, optional
        Largest allowed error of floating-point results: a number of ULP of the result's dtype, or
        an array or list of absolute errors (times 2^29 on a device without float64). By default
        it is ``8 * sqrt(n) * eps * scale``, where ``eps`` belongs to the result's dtype, ``scale``
        is the largest finite magnitude among the result and the floating-point arrays (or all
        arrays, if all are integers), and n is the length of the longest axis, or the count of an
        argument's numbers for each number of the result, if that is more.
    rtol, atol : float, optional
        The bound is ``atol + rtol * abs(expected)``. One that is not given is 0; `rtol` is at
        least ``4 * eps`` of the dtype.
    compare : callable, optional
        Applied to both NumPy arrays before they are compared, for example `numpy.abs`, if results
        may differ in sign, or `numpy.sort`, if they may be in any order.
    dtype : str or dtype, optional
        dtype of floating-point results, by default the widest of the floating-point arguments, or
        the library's default. Complex results have the complex dtype of the same precision.
    dtypes, shapes : str or iterable of str, optional
        Sweeps: the call is repeated with the arrays in dtypes of other kinds
        (``"float,int,complex,bool"``) and in other shapes (``"0d,empty,batched"``).
    specials : bool, default False
        Whether to repeat it with NaN, infinities and negative zero.
    lazy : bool, optional
        If true, the default, the function must not depend on values: it must run and agree under
        ``jax.jit``, compute nothing on Dask, and read no values on ``array-api-strict:strictest``.
        Tags of array-api-extra's ``lazy_xp_function`` restrict the default.
    backends : str or iterable of str, optional
        Backends, as for ``--xp-backends``. The default is that option's selection, and without
        pytest all that are available. ``"all"`` includes those that are not on by default.

    Raises
    ------
    TypeError, ValueError
        If an option is invalid.

    Examples
    --------
    >>> check = parity(bound=0.5)  # half an ULP
    >>> check(lambda x: x * x, [1.0, 3.0])
    >>> parity(dtypes="float,int", shapes="0d,empty")(lambda x: abs(x), [1.0, -3.0])
    """

    expected: Any = None
    bound: Any = None
    rtol: float | None = None
    atol: float | None = None
    compare: Callable[[Any], Any] | None = None
    dtype: Any = None
    dtypes: str | Iterable[str] | None = None
    shapes: str | Iterable[str] | None = None
    specials: bool = False
    lazy: bool | None = None
    backends: str | Iterable[str] | None = None

    def __post_init__(self) -> None:
        Tolerance(self.bound, self.rtol, self.atol, self.compare)  # raises errors
        if not (self.lazy is None or isinstance(self.lazy, bool)):
            msg = f"`lazy` must be true or false; got {self.lazy!r}"
            raise TypeError(msg)
        if self.dtype is not None and dtype_name(self.dtype) not in _DTYPES:
            msg = f"`dtype` must be one of {', '.join(_DTYPES)}; got {self.dtype!r}"
            raise ValueError(msg)

    def __call__(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> None:
        """Assert that a function gives the same results on every library and device."""
        __tracebackhide__ = True
        _compare(self, function, arguments, keywords)


def _compare(
    options: parity, function: Callable[..., Any], arguments: Any, keywords: Mapping[str, Any]
) -> None:
    __tracebackhide__ = True
    if not callable(function):
        msg = f"`function` must be callable; got {type(function).__name__}"
        raise TypeError(msg)
    chosen = options.backends
    names = selected_backends() if chosen is None else select_backends(chosen)
    if not names:
        msg = f"`backends` must name at least one; got {chosen!r}"
        raise ValueError(msg)
    given = Arguments.of(arguments, keywords)
    sweeps = {name: getattr(options, name) for name in ("dtypes", "shapes", "specials")}
    variants = list(sweep(given.arrays, **sweeps))
    if variants and isinstance(options.expected, np.ndarray | list | tuple):
        msg = "`expected` must be a function where sweeps vary the arguments; got arrays"
        raise ValueError(msg)
    if not variants and any(sweeps.values()):
        warnings.warn("the sweeps change nothing for these arguments", stacklevel=3)
    comparison = _Comparison(options, function, names, given)
    with _ONE_AT_A_TIME:
        for variant, arrays in [("", given.arrays), *variants]:
            comparison.call(variant, given.replace(arrays))
    for words in comparison.coarse:
        warnings.warn(f"the bound is coarse: {words}. Give `bound`", stacklevel=3)
    comparison.judge()


class _Comparison:
    """Calls of a function on NumPy and on all backends."""

    def __init__(
        self,
        options: parity,
        function: Callable[..., Any],
        names: tuple[str, ...],
        given: Arguments,
    ) -> None:
        # Bounds of all variants count the longest axis of the arguments as given.
        n = max((n for x in given.arrays for n in x.shape), default=1)
        tolerance = Tolerance(options.bound, options.rtol, options.atol, options.compare, n)
        self._dtype = options.dtype and np.finfo(dtype_name(options.dtype)).dtype.name
        self._options = tolerance, options.expected, self._dtype  # of references
        self._function, self._names = function, names
        self._verdicts = verdicts_of(RUN.marks, names)  # of the running test
        self._lazy = lazy_libraries(function, options.lazy)
        self._n_calls = 0
        self._runs: dict[str, list[tuple[str, list[str]]]] = {}  # variants with their faults
        self._errors: dict[str, Exception] = {}  # the first one on each backend
        self._skipped: dict[str, str] = {}  # with reasons
        self.coarse: list[str] = []  # words about bounds

    def call(self, variant: str, arguments: Arguments) -> None:
        """Call the function on all backends, with a variant of the arguments or, "", as given.

        Raise AssertionError if the function fails on NumPy with the arguments as given; in a
        variant, that is a fault of the backend numpy.
        """
        __tracebackhide__ = True
        self._n_calls += 1
        with warnings.catch_warnings(), np.errstate(all="ignore" if variant else None):
            if variant:  # sweeps provoke warnings about NaN, infinities and empty arrays
                warnings.simplefilter("ignore", RuntimeWarning)
            try:
                reference = Reference(self._function, arguments, *self._options)
            except AssertionError as error:
                if not variant:
                    raise
                self._add("numpy", variant, [str(error)], error)
                return
            # This raises ValueError if a bound does not fit a result.
            words = [reference.coarseness(x) for x in reference.results]
            self.coarse += [x for x in words if x and not variant]
            for name in self._names:
                if reason := self._call_on(name, reference, variant):
                    self._skipped[name] = reason
        self._check_others()

    def judge(self) -> None:
        """Raise AssertionError if a call has a fault, or a backend marked to fail has none."""
        __tracebackhide__ = True
        for name, reason in self._verdicts.xfailed.items():
            if any(faults for _, faults in self._runs.get(name, ())):
                del self._runs[name]
                self._errors.pop(name, None)
                self._skipped[name] = f"expected failure: {reason}"
            elif name in self._runs:
                fault = f"it passes, but is marked as an expected failure ({reason})"
                self._runs[name] = [("", [fault])]
        RUN.left_out.update(self._skipped)
        message = failure(self._function, self._runs, self._n_calls)
        if message is not None:
            raise AssertionError(message) from next(iter(self._errors.values()), None)

    def _add(self, name: str, variant: str, faults: list[str], error: Exception | None) -> None:
        self._runs.setdefault(name, []).append((variant, faults))
        if error is not None:
            self._errors.setdefault(name, error)

    def _call_on(self, name: str, reference: Reference, variant: str) -> str | None:
        """Call the function on a backend, or return the reason for which that is left out."""
        __tracebackhide__ = True
        if name == STRICTEST and "array-api-strict" not in self._lazy:
            return "the function need not be lazy"
        if reason := self._verdicts.skipped.get(name) or unavailable_reason(name):
            return reason
        backend = open_backend(name)
        with backend.flags:
            own = reference.on_device(backend)
            needed = {NARROW.get(x.name, x.name) for x in own.arguments.dtypes}
            needed |= {"float64"} if self._dtype == "float64" else set()
            if not backend.has(needed):
                return f"it has no {', '.join(sorted(needed))}"
            if not all(map(backend.holds, own.arguments.arrays)):
                return "it has no 64-bit integers, which the arguments need"
            is_lazy = backend.library in self._lazy
            call = CallOnBackend(backend, own, is_lazy=is_lazy, is_variant=bool(variant))
        self._add(name, variant, call.faults, call.error)
        return None

    def _check_others(self) -> None:
        """Raise SkipTest or RuntimeError if nothing besides NumPy can be compared."""
        __tracebackhide__ = True
        others = set(self._names) - {"numpy"}
        if not others or others & self._runs.keys():
            return
        found = "; ".join(f"{name}: {reason}" for name, reason in self._skipped.items())
        if others.issubset(self._verdicts.skipped):
            msg = f"marks leave nothing to compare ({found})"
            raise unittest.SkipTest(msg)
        msg = f"assert_parity must have a library besides NumPy to compare with; got none ({found})"
        raise RuntimeError(msg)
