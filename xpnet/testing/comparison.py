"""Comparison of a function's results on every array library and device."""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from xpnet.testing.backend_choice import (
    STRICTEST,
    select_backends,
    selected_backends,
    unavailable_reason,
)
from xpnet.testing.backends import Backend, dtype_name, open_backend
from xpnet.testing.check_backend import find_faults
from xpnet.testing.reference import Reference, host_value
from xpnet.testing.tolerance import OUT_OF_BOUND, Tolerance

__all__ = ["assert_parity"]

_DTYPES = ("float16", "float32", "float64")


def assert_parity(
    function: Callable[..., Any],
    /,
    *arrays: Any,
    bound: Any = None,
    operations: int | None = None,
    dtype: Any = None,
    lazy: bool = True,
    backends: str | Iterable[str] | None = None,
) -> None:
    r"""Assert that a function gives the same results on every available library and device.

    The function is called on each backend with arrays of that library, on that device. Each
    result must be of the same library, on the same device, and of the right dtype and shape; its
    values must agree with those of the function in NumPy with float64 arguments.

    Parameters
    ----------
    function : callable
        Takes `arrays`, returns an array, a number, or a tuple or list of them.
    *arrays : array_like
        NumPy arrays or lists with real or boolean dtypes, which are kept: ``[1.0, 2.0]`` is
        float64. On a device without float64 they are rounded to float32, for the reference too.
        Numbers, including NumPy scalars, are passed as Python numbers.
    bound : float or array_like, optional
        Largest allowed error of floating-point results. A number is in ULP, units in the last
        place of the result's dtype at the reference's value. An array or a list holds absolute
        errors that fit each result's shape (infinity: no bound). On a device without float64,
        absolute errors for float64 are multiplied by :math:`2^{29}`, the ratio of the precisions.
    operations : int, optional
        Number n of operations per number of the result. The bound is
        ``8 * sqrt(n) * eps * scale``, where ``eps`` belongs to the result's dtype and ``scale``
        is the largest finite magnitude among the result and the floating-point arrays (or all
        arrays, if all are integers). This bound is also the default, with n the length of the
        longest axis of arguments and result.
    dtype : str or dtype, optional
        dtype of floating-point results. The default is the widest dtype of the floating-point
        arguments, or the library's default dtype if there are none.
    lazy : bool, default True
        If true, the function must not depend on values: it must run and agree under ``jax.jit``,
        compute nothing on Dask, and use no boolean masks, ``bool()``, ``float()`` and ``int()``
        on ``array-api-strict:strictest``. If false, these three checks are left out. Dask arrays
        have one chunk.
    backends : str or iterable of str, optional
        Backends, as for ``--xp-backends``. The default is that option's selection, and without
        pytest all that are available.

    Raises
    ------
    AssertionError
        If the function fails or disagrees on a backend. The message lists the faults of every
        backend. An error of the function itself is the cause.
    TypeError
        If an argument is of a wrong type, or the function returns something else.
    ValueError
        If a bound, a dtype or the name of a backend is invalid, a bound does not fit, or
        `backends` is empty.
    RuntimeError
        If no library but NumPy is available, so that nothing can be compared.

    Warns
    -----
    UserWarning
        If a bound from a count of operations, including the default one, is more than a tenth (in
        float16 a half) of the largest result, or of the median magnitude. It then detects gross
        faults only.

    Notes
    -----
    The smallest normal number is added to every bound: results below it may be zero. NaN must be
    in the same places. A result may be infinite where the reference is, or exceeds the largest
    number of the dtype. Integers and booleans must equal those of NumPy with the same dtypes,
    and have NumPy's dtype or the library's default integer dtype. Arguments must not change. In
    float64 the reference is NumPy's result, so a bound in ULP must include NumPy's own error.
    Output, warnings, strides, gradients and side effects are not compared.

    The default bound is a rule of thumb: n rounding errors add up to about the square root of n
    of them (Higham and Mary), 8 leaves room for chance, and ``scale`` represents the numbers that
    are rounded. Functions with intermediate numbers that are larger than argument and result, or
    that amplify rounding errors, need a bound of their own. So do functions whose results are far
    smaller than their arguments, or with a few numbers far larger than the others, for which the
    default is coarse. Values that depend on the dtype, such as ``finfo(x.dtype).eps``, differ in
    float64.

    References
    ----------
    N. J. Higham and T. Mary, A new approach to probabilistic rounding error analysis, SIAM
    Journal on Scientific Computing 41(5), 2019, doi:10.1137/18M1226312.

    Examples
    --------
    >>> assert_parity(lambda x, y: x * y + 1.0, [1.0, 2.0], [0.5, 0.25])
    >>> assert_parity(lambda x: x * x, [1.0, 3.0], bound=0.5)  # half an ULP
    """
    __tracebackhide__ = True
    if not callable(function):
        msg = f"`function` must be callable; got {type(function).__name__}"
        raise TypeError(msg)
    floating = None if dtype is None else dtype_name(dtype)
    if floating is not None and floating not in _DTYPES:
        msg = f"`dtype` must be one of {', '.join(_DTYPES)}; got {dtype!r}"
        raise ValueError(msg)
    given = [host_value(x, i) for i, x in enumerate(arrays, 1)]
    reference = Reference(function, given, Tolerance(bound, operations), floating)
    for words in reference.coarse_bounds:
        msg = f"the bound is coarse: {words}. An explicit `bound` detects smaller faults"
        warnings.warn(msg, stacklevel=2)
    selected = selected_backends()
    names = selected if backends is None else select_backends(backends, start=selected)
    if not names:
        msg = f"`backends` must name at least one; got {backends!r}"
        raise ValueError(msg)
    outcomes = {
        backend.name: find_faults(backend, function, reference, lazy=lazy)
        for backend in _open_backends(names, reference.dtypes, lazy=lazy)
    }
    faults = {name: faults for name, (faults, _) in outcomes.items()}
    if any(faults.values()):
        errors = [error for _, error in outcomes.values() if error is not None]
        lines = _message(function, faults, is_default=bound is None and operations is None)
        raise AssertionError("\n".join(lines)) from next(iter(errors), None)


def _open_backends(names: tuple[str, ...], dtypes: set[str], *, lazy: bool) -> list[Backend]:
    """Return the backends that are available and support the dtypes."""
    opened, reasons = [], {}
    for name in names:
        reason = unavailable_reason(name)
        if name == STRICTEST and not lazy:
            reason = "lazy=False leaves it out"
        backend = open_backend(name) if reason is None else None
        if backend is None or not backend.has(dtypes):
            reasons[name] = reason or f"it has no {', '.join(sorted(dtypes))}"
        else:
            opened.append(backend)
    if names != ("numpy",) and all(backend.library == "numpy" for backend in opened):
        found = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        msg = f"assert_parity must have a library besides NumPy to compare with; got none ({found})"
        raise RuntimeError(msg)
    return opened


def _message(
    function: Callable[..., Any], faults: dict[str, list[str]], *, is_default: bool
) -> Iterator[str]:
    """Yield a line for each fault, with all its backends; then advice if only values are wrong."""
    where: dict[str, list[str]] = {}
    for backend, messages in faults.items():
        for fault in messages:
            where.setdefault(fault, []).append(backend)
    agreeing = [backend for backend, messages in faults.items() if not messages]
    n_failed = len(faults) - len(agreeing)
    yield f"{_name_of(function)} fails on {n_failed} of {len(faults)} backends:"
    for fault, backends in where.items():
        yield f"  {', '.join(backends)}: {fault}"
    if agreeing:
        yield f"It is right on {', '.join(agreeing)}."
    if not all(OUT_OF_BOUND in fault for fault in where):
        return
    if not agreeing:
        yield (
            "No backend agrees with float64: does the function depend on the dtype, as by"
            " finfo(x.dtype), or lose digits?"
        )
    if is_default:
        yield "If intermediate numbers are larger than arguments and result, give `bound`."


def _name_of(function: Callable[..., Any]) -> str:
    """Return a function's name; for a lambda, also its file and line."""
    if isinstance(function, functools.partial):
        return f"partial of {_name_of(function.func)}"
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    if name != "<lambda>" or code is None:
        return str(name)
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})"
