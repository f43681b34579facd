"""Comparison of a function's results on every array library and device."""

import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from xpnet.arrays.namespace import dtype_name
from xpnet.testing.arguments import Arguments
from xpnet.testing.calls import Comparison
from xpnet.testing.laziness import lazy_libraries
from xpnet.testing.marks import verdicts_of
from xpnet.testing.reference import Options
from xpnet.testing.registry import select_backends, selected_backends
from xpnet.testing.run_settings import RUN
from xpnet.testing.sweeps import sweep
from xpnet.testing.tolerance import Tolerance

__all__ = ["assert_parity", "parity"]

_DTYPES: Final = {
    **{name: name for name in ("float16", "float32", "float64")},
    "complex64": "float32",
    "complex128": "float64",
}
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
        Returns arrays, numbers, strings, None, or tuples, lists, dictionaries, named tuples
        and dataclasses with them.
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
        If the default bound detects gross faults only, or `bound` is below 0.01 ULP.

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
    _compare(Parity(), function, arguments, keywords)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Assertion like `assert_parity`, with options: ``parity(rtol=1e-6)(function, *arguments)``.

    Parameters
    ----------
    expected : array_like or callable, optional
        Independent results, or a function of the NumPy arguments that returns them. Without it,
        the reference is the function itself, whose mistakes on NumPy remain undetected.
    compare : callable, optional
        Applied to both NumPy arrays before they are compared, for example `numpy.abs`, if results
        may differ in sign, or `numpy.sort`, if they may be in any order.
    bound : float or array_like, optional
        Largest allowed error of floating-point results: a number of ULP of the result's dtype, or
        an array or list of absolute errors (times 2^29 on a device without float64). By default
        the bound is ``8 * sqrt(n) * eps * scale``, where ``eps`` belongs to the result's dtype,
        ``scale`` is the largest finite magnitude among the result and the floating-point arrays
        (or all arrays, if all are integers), and n is the length of the longest axis, or the
        count of an argument's numbers for each number of the result, if that is more.
    rtol, atol : float, optional
        The bound is ``atol + rtol * abs(expected)``. One that is not given is 0; `rtol` is at
        least ``4 * eps`` of the dtype. Without any bound, the setting ``xp_rtol`` holds.
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
    compare: Callable[[Any], Any] | None = None
    bound: Any = None
    rtol: float | None = None
    atol: float | None = None
    dtype: Any = None
    dtypes: str | Iterable[str] | None = None
    shapes: str | Iterable[str] | None = None
    specials: bool = False
    lazy: bool | None = None
    backends: str | Iterable[str] | None = None

    def __post_init__(self) -> None:
        floating = None if self.dtype is None else dtype_name(self.dtype)
        if floating is not None and floating not in _DTYPES:
            msg = f"`dtype` must be one of {', '.join(_DTYPES)}; got {self.dtype!r}"
            raise ValueError(msg)
        if not (self.compare is None or callable(self.compare)):
            msg = f"`compare` must be a function of an array; got {self.compare!r}"
            raise TypeError(msg)

    def __call__(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> None:
        """Assert that a function gives the same results on every library and device."""
        __tracebackhide__ = True
        _compare(self, function, arguments, keywords)


def _compare(
    options: Parity, function: Callable[..., Any], arguments: Any, keywords: Mapping[str, Any]
) -> None:
    __tracebackhide__ = True
    _check_call(function, keywords)
    bounds = options.bound, options.rtol, options.atol
    if all(x is None for x in bounds):
        bounds = None, RUN.options.get("rtol"), None
    tolerance = Tolerance(*bounds)
    chosen = options.backends
    names = selected_backends() if chosen is None else select_backends(chosen)
    if not names:
        msg = f"`backends` must name at least one; got {chosen!r}"
        raise ValueError(msg)
    given = Arguments.of(arguments, keywords)
    comparison = Comparison(
        function,
        Options(
            tolerance,
            dtype=None if options.dtype is None else _DTYPES[dtype_name(options.dtype)],
            expected=options.expected,
            compare=options.compare,
            longest=max((n for x in given.arrays for n in x.shape), default=1),
        ),
        lazy_libraries(function, options.lazy),
        names,
        verdicts_of(RUN.marks, names),
    )
    bound = options.bound
    if isinstance(bound, float) and 0.0 < bound < 0.01:
        msg = f"bound={bound:g} means ULP. A relative error is given by rtol={bound:g}"
        warnings.warn(msg, stacklevel=3)
    sweeps = {name: getattr(options, name) for name in ("dtypes", "shapes", "specials")}
    variants = list(sweep(given.arrays, **sweeps))
    if not variants and any(sweeps.values()):
        warnings.warn("the sweeps change nothing for these arguments", stacklevel=3)
    if variants and isinstance(options.expected, np.ndarray | list | tuple):
        msg = "`expected` must be a function where sweeps vary the arguments; got arrays"
        raise ValueError(msg)
    with _ONE_AT_A_TIME:
        comparison.call("", given)
        for label, x in variants:
            comparison.call(label, given.replace(x))
    for words in comparison.warnings:
        warnings.warn(words, stacklevel=3)
    comparison.raise_faults()


parity = Parity
_OPTIONS: Final = frozenset(x.name for x in fields(Parity))


def _check_call(function: Any, keywords: Mapping[str, Any]) -> None:
    """Raise TypeError if the function is none, or options are given in the place of arguments."""
    if not callable(function):
        msg = f"`function` must be callable; got {type(function).__name__}"
        raise TypeError(msg)
    try:
        takes = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled functions have none
        return
    own = {x.name for x in takes}
    wrong = [name for name in keywords if name in _OPTIONS and name not in own]
    if wrong and not any(x.kind == x.VAR_KEYWORD for x in takes):
        msg = f"an option is given by parity({wrong[0]}=...)(function, ...); the function has none"
        raise TypeError(msg)
