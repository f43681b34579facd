"""Sparsemax, with its error bound."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import Activation
from xpnet.functions.along_axis import along_axis, minus_peak, peak_of

__all__ = ["SPARSEMAX", "sparsemax", "sparsemax_bound"]


def sparsemax(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Sparsemax: the probability vector nearest to x along an axis.

    Parameters
    ----------
    x : array of real numbers
        See `xpnet.functions` for dtypes and errors.
    axis : int, default -1
        Axis of the classes.

    Returns
    -------
    array
        Probabilities, same shape and dtype as `x`; those far below the largest are exactly 0. -inf
        gives 0. A row with NaN or inf, or of -inf only, gives NaN. An empty axis gives an empty
        array.

    Notes
    -----
    Computed by sorting. The absolute error over n numbers is at most (n + 2) * eps / 2.

    References
    ----------
    Martins and Astudillo (2016), "From softmax to sparsemax", arXiv:1602.02068.

    Examples
    --------
    >>> sparsemax([0.0, 1.0, 1.5])
    array([0.  , 0.25, 0.75])
    """
    return apply(_sparsemax, x, axis=axis)


def _sparsemax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    def along(x: Any, axis: int) -> Any:
        # A number 1 or more below the largest has a probability of 0.
        shifted = bounded(minus_peak(x, peak_of(x, xp, axis), xp), xp, low=-2.0)
        descending = -xp.sort(-shifted, axis=axis)
        sums = xp.cumulative_sum(descending, axis=axis)
        ranks = xp.cumulative_sum(xp.ones_like(x), axis=axis)
        # The level is largest at the true number of positive probabilities.
        level = xp.max((sums - 1.0) / ranks, axis=axis, keepdims=True)
        return bounded(shifted - level, xp, low=0.0)

    return along_axis(along, x, xp, axis)


def _sparsemax_pullback(gradient: Any, _x: Any, y: Any, xp: Any) -> Any:
    """Return the gradient minus its mean where y > 0, and 0 elsewhere."""
    is_positive = as_numbers(y > 0.0, y, xp)
    total = xp.sum(gradient * is_positive, axis=-1, keepdims=True)
    return is_positive * (gradient - total / xp.sum(is_positive, axis=-1, keepdims=True))


SPARSEMAX = Activation(_sparsemax, pullback=_sparsemax_pullback)


def sparsemax_bound(n: int, dtype: str) -> float:
    """Return the bound of the absolute error of sparsemax over rows of n numbers.

    The level that is subtracted is a mean of at most n differences, each of them rounded. The
    result is at most 1, and is rounded.
    """
    unit = 2.0**-53 if dtype == "float64" else 2.0**-24
    return (n + 1) * unit + {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, unit)
