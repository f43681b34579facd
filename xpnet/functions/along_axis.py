"""Reductions along an axis, in the form that softmax and its relatives need."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["along_axis", "check_axis", "finite_or_nan", "lowest_below", "minus_peak", "peak_of"]


def along_axis(function: Callable[[Any, int], Any], x: Any, xp: Any, axis: int) -> Any:
    """Return ``function(x, axis)``, by way of a transposed copy where columns are faster.

    An array without elements is returned as it is, since no library takes its maximum.
    """
    check_axis(x, axis)
    if 0 in x.shape:
        return x
    if not _has_slow_rows(x, xp, axis):
        return function(x, axis)
    *shape, n = x.shape
    result = function(xp.reshape(x, (-1, n)).T.copy(), 0)
    return xp.reshape(result.T.copy(), (*shape, result.shape[0]))


def _has_slow_rows(x: Any, xp: Any, axis: int) -> bool:
    """Return whether a reduction along `axis` is faster over the columns of a transposed copy.

    NumPy reduces rows one by one, which takes several times as long below about 64 columns.
    """
    # NumPy itself, not the namespace of reproducible functions, which has its name.
    is_numpy = isinstance(xp, ModuleType) and xp.__name__ == "numpy"
    return is_numpy and x.ndim > 1 and axis in (-1, x.ndim - 1) and x.shape[-1] < 64


def check_axis(x: Any, axis: int) -> None:
    """Raise TypeError or ValueError unless `axis` is an integer from -ndim to ndim - 1."""
    if not hasattr(axis, "__index__"):
        msg = f"`axis` must be an integer; got {axis!r}"
        raise TypeError(msg)
    if not -x.ndim <= axis < x.ndim:
        msg = f"`axis` must be one of the array's {x.ndim} axes; got {axis}"
        raise ValueError(msg)


def peak_of(x: Any, xp: Any, axis: int) -> Any:
    """Return the maximum along an axis of length 1; NaN where it is infinite."""
    return finite_or_nan(xp.max(x, axis=axis, keepdims=True), xp)


def finite_or_nan(x: Any, xp: Any) -> Any:
    """Replace infinities by NaN: NumPy warns of inf - inf, not of NaN."""
    return xp.where(xp.isfinite(x), x, xp.nan)


def minus_peak(x: Any, peak: Any, xp: Any) -> Any:
    """Return x - peak, or about the dtype's lowest number where that would overflow."""
    return xp.maximum(x, lowest_below(peak, xp)) - peak


def lowest_below(peak: Any, xp: Any) -> Any:
    """Return the lowest x for which x - peak does not overflow."""
    return xp.maximum(peak, 0.0) - float(xp.finfo(peak.dtype).max)
