"""The comparison: a function must give the same on every array library and device."""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from xpnet.testing.backend_choice import STRICTEST, chosen, expand, why_not
from xpnet.testing.backends import Backend, dtype_name, open_backend
from xpnet.testing.check_backend import faults_on
from xpnet.testing.reference import Reference, host_value
from xpnet.testing.tolerance import BEYOND, Tolerance

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
    r"""Fail unless a function gives the same on every array library and device that is here.

    The function is called on each backend with arrays of that library, on that device. Each
    result must be of the same library, on the same device, and of the right dtype and shape; its
    values must agree with those that the function gives in NumPy with float64 arguments.

    Parameters
    ----------
    function : callable
        Takes `arrays`, returns an array, a number, or a tuple or list of them.
    *arrays : array_like
        NumPy arrays or lists keep the dtype that NumPy gives them: ``[1.0, 2.0]`` is float64. On
        a device without float64 they are rounded to float32, and so are those of the reference.
        Numbers, NumPy's scalars too, are passed on as Python numbers. Real and boolean dtypes.
    bound : float or array_like, optional
        How far floating-point results may be from the reference: a number is in ULP, units in
        the last place of the result's dtype at the reference's value; an array or a list holds
        absolute errors, that fit each result's shape (infinity: no bound). On a device without
        float64, the absolute errors for float64 count :math:`2^{29}` times, the ratio of the two
        precisions.
    operations : int, optional
        The bound by this count n of operations, for a single number of the result:
        ``8 * sqrt(n) * eps * scale``, where ``eps`` belongs to the result's dtype and ``scale``
        is the largest finite magnitude among the result and the floating-point arrays (if there
        are none, all arrays). The default, if neither is given, is this bound, with n the length
        of the longest axis of arguments and result.
    dtype : str or dtype, optional
        What floating-point results must be. The default is the dtype of the floating-point
        arguments, the widest if they are several; the library's default where there are none.
    lazy : bool, default True
        Whether the function must not look at values: under ``jax.jit`` it must run and agree, on
        Dask it must compute nothing, and on ``array-api-strict:strictest`` boolean masks,
        ``bool()``, ``float()`` and ``int()`` are refused. With False these three are left out.
        Dask arrays have one chunk.
    backends : str or iterable of str, optional
        Those to try, as in ``--xp-backends``. The default is that option's choice, and without
        pytest all that are here.

    Raises
    ------
    AssertionError
        If the function fails or disagrees somewhere: the message says where, and what is wrong,
        for every backend. An error of the function itself is the cause.
    TypeError
        If an argument is of the wrong kind, or the function returns something else.
    ValueError
        If a bound, a dtype or the name of a backend is none, a bound does not fit, or `backends`
        is empty.
    RuntimeError
        If no library but NumPy is here, so that nothing could be compared.

    Warns
    -----
    UserWarning
        If a bound by a count of operations, the default one included, is more than a tenth (in
        float16 a half) of the largest result, or of the median magnitude: it finds gross faults
        alone.

    Notes
    -----
    The smallest normal number is added to every bound: results below it may be zero. NaN must be
    where NaN is. A result is infinite where the reference is, or where that is beyond the largest
    number of the dtype. Integers and booleans must equal those that NumPy gives with the same
    dtypes, and must be of NumPy's dtype or the library's default integer. Arguments must stay as
    they were. In float64 the reference is NumPy's result: a bound in ULP must then have room for
    NumPy's own error too. What a function prints, raises or changes elsewhere is not compared, nor
    are strides, warnings and gradients.

    The default bound is a rule, no derivation: n rounding errors add up to about the square root
    of n of them (Higham and Mary), 8 leaves room for chance, and ``scale`` stands for the numbers
    that are rounded. Functions whose numbers on the way are larger than argument and result, or
    that magnify rounding errors, need a bound of their own; so do those with results far smaller
    than their arguments, or a few numbers far larger than the others, for which this one is
    coarse. What depends on the dtype, such as ``finfo(x.dtype).eps``, is another number in float64.

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
    for words in reference.coarse_limits():
        msg = f"the bound is coarse: {words}. A `bound` of your own finds smaller faults"
        warnings.warn(msg, stacklevel=2)
    names = chosen() if backends is None else expand(backends, start=chosen())
    if not names:
        msg = f"`backends` must name at least one; got {backends!r}"
        raise ValueError(msg)
    outcomes = {
        backend.name: faults_on(backend, function, reference, lazy=lazy)
        for backend in _opened(names, reference.dtypes, lazy=lazy)
    }
    failed = {name: faults for name, (faults, _) in outcomes.items() if faults}
    if failed:
        errors = [error for _, error in outcomes.values() if error is not None]
        agreeing = [name for name in outcomes if name not in failed]
        lines = [*_message(function, failed, agreeing)]
        lines += _advice(failed, agreeing, is_default=bound is None and operations is None)
        raise AssertionError("\n".join(lines)) from next(iter(errors), None)


def _opened(names: tuple[str, ...], dtypes: set[str], *, lazy: bool) -> list[Backend]:
    """Return the backends to try: those that are here, and have the dtypes."""
    opened, reasons = [], {}
    for name in names:
        reason = why_not(name)
        if name == STRICTEST and not lazy:
            reason = "lazy=False leaves it out"
        backend = open_backend(name) if reason is None else None
        if backend is None or not backend.has(dtypes):
            reasons[name] = reason or f"it has no {', '.join(sorted(dtypes))}"
        else:
            opened.append(backend)
    if names != ("numpy",) and all(backend.library == "numpy" for backend in opened):
        found = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        msg = f"assert_parity must have another library to compare NumPy with; got none ({found})"
        raise RuntimeError(msg)
    return opened


def _message(
    function: Callable[..., Any], failed: dict[str, list[str]], agreeing: list[str]
) -> Iterator[str]:
    """Yield what is wrong, line by line: the backends with the same fault on one."""
    where: dict[str, list[str]] = {}
    for backend, faults in failed.items():
        for fault in faults:
            where.setdefault(fault, []).append(backend)
    n_all = len(failed) + len(agreeing)
    yield f"{_name_of(function)} fails on {len(failed)} of {n_all} backends:"
    for fault, backends in where.items():
        yield f"  {', '.join(backends)}: {fault}"
    if agreeing:
        yield f"It is right on {', '.join(agreeing)}."


def _advice(
    failed: dict[str, list[str]], agreeing: list[str], *, is_default: bool
) -> Iterator[str]:
    """Yield what to think of where values are out of bound and nothing else is wrong."""
    if not all(BEYOND in fault for faults in failed.values() for fault in faults):
        return
    if not agreeing:
        yield (
            "No backend agrees with float64: does the function depend on the dtype, as by"
            " finfo(x.dtype), or lose digits?"
        )
    if is_default:
        yield "Where numbers on the way are larger than arguments and result, give `bound`."


def _name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called; of a lambda, where it is, too."""
    if isinstance(function, functools.partial):
        return f"partial of {_name_of(function.func)}"
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    if name != "<lambda>" or code is None:
        return str(name)
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})"
