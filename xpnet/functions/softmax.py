"""Softmax and its relatives: from logits to probabilities along one axis."""

from collections.abc import Callable
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded, has_slow_rows

__all__ = ["check_axis", "log_softmax", "logsumexp", "softmax", "sparsemax"]


def softmax(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Softmax, exp(x) / sum(exp(x)) along an axis.

    Parameters
    ----------
    x : array of real numbers
        Logits, in nats. Integers become the library's default floating dtype.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    array
        Probabilities, like `x`; they sum to 1 along `axis` within n * eps. -inf gives 0. Where
        a NaN or inf stands, or all are -inf, the whole row is NaN, as in SciPy and torch. An
        empty axis gives an empty array.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `axis` is no whole number.
    ValueError
        If `x` has no axis `axis`.

    Notes
    -----
    The largest logit is subtracted first, so exp cannot overflow. The rounding of that
    difference is amplified by exp: the relative error of a probability whose logit is d below the
    largest of n is at most (d + log(n) + n + 12) * eps / 2 in float32 on NumPy, and what
    `xpnet.functions.bounds.softmax_bound` says elsewhere; where it is below the smallest normal
    number, it may be 0. The sum's part of it, n, is the worst case; one or two is usual.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.asarray([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return apply(_softmax, x, axis=axis)


def _softmax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    def along(x: Any, axis: int) -> Any:
        exponentials = xp.exp(_below_peak(x, _peak(x, xp, axis), xp))
        return exponentials / xp.sum(exponentials, axis=axis, keepdims=True)

    return _along_axis(along, x, xp, axis)


def log_softmax(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Logarithm of softmax, x - logsumexp(x) along an axis.

    Parameters
    ----------
    x : array of real numbers
        Logits, in nats. Integers become the library's default floating dtype.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    array
        Log-probabilities in nats, like `x`, at most 0. -inf gives -inf. Where a NaN or inf
        stands, or all are -inf, the whole row is NaN. An empty axis gives an empty array.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `axis` is no whole number.
    ValueError
        If `x` has no axis `axis`.

    Notes
    -----
    Not log(softmax(x)), which is -inf as soon as a probability underflows. The absolute error of
    a result whose logit is d below the largest of n is at most
    (2 d + 10 log(n) + n + 5) * eps / 2 nats in float32 on NumPy, and what
    `xpnet.functions.bounds.log_softmax_bound` says elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.asarray([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return apply(_log_softmax, x, axis=axis)


def _log_softmax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    def along(x: Any, axis: int) -> Any:
        peak = _peak(x, xp, axis)
        shifted = _below_peak(x, peak, xp)
        log_sum = xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))
        limits = xp.finfo(x.dtype)
        # Below the largest number, x is lost in x - peak until it is about as large as its ULP.
        # Of rows without a finite peak the sum is NaN, and so is everything.
        lowest = bounded(_lowest(peak, xp), xp, high=-float(limits.max) * float(limits.eps) / 8.0)
        return xp.where(x < lowest, -xp.inf, shifted) - log_sum

    return _along_axis(along, x, xp, axis)


def logsumexp(x: ArrayT, /, *, axis: int = -1, keepdims: bool = False) -> ArrayT:
    """Logarithm of the sum of exponentials, log(sum(exp(x))) along an axis.

    Parameters
    ----------
    x : array of real numbers
        Logits, in nats. Integers become the library's default floating dtype.
    axis : int, default -1
        The axis to sum over.
    keepdims : bool, default False
        Whether to keep that axis, with length 1.

    Returns
    -------
    array
        In nats. An infinity gives inf; all -inf, or an empty axis, gives -inf; NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `axis` is no whole number.
    ValueError
        If `x` has no axis `axis`.

    Notes
    -----
    The absolute error of a result y over n logits is at most (abs(y) + 9 log(n) + n + 5) * eps / 2
    nats in float32 on NumPy, and what `xpnet.functions.bounds.logsumexp_bound` says elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(logsumexp(np.asarray([1000.0, 1000.0])) - 1000.0), 6)  # log(2)
    0.693147
    """
    return apply(_logsumexp, x, axis=axis, keepdims=keepdims)


def _logsumexp(x: Any, xp: Any, *, axis: int = -1, keepdims: bool = False) -> Any:
    def along(x: Any, axis: int) -> Any:
        peak = xp.max(x, axis=axis, keepdims=True)
        below = _below_peak(x, _finite(peak, xp), xp)
        log_sum = xp.log(xp.sum(xp.exp(below), axis=axis, keepdims=True))
        # Without a finite peak the sum is NaN, and the peak itself is the answer.
        return xp.where(xp.isfinite(peak), log_sum, 0.0) + peak

    check_axis(x, axis)
    if 0 in x.shape:
        result = xp.sum(x, axis=axis, keepdims=True) - xp.inf
    else:
        result = _along_axis(along, x, xp, axis)
    return result if keepdims else xp.squeeze(result, axis=axis)


def sparsemax(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Sparsemax: the point nearest to x, along an axis, among the probability vectors.

    Parameters
    ----------
    x : array of real numbers
        Integers become the library's default floating dtype.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    array
        Probabilities, like `x`, of which those far below the largest are exactly 0. -inf gives
        0. Where a NaN or inf stands, or all are -inf, the whole row is NaN. An empty axis gives an
        empty array.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `axis` is no whole number.
    ValueError
        If `x` has no axis `axis`.

    Notes
    -----
    By sorting. The absolute error over n numbers is at most (n + 2) * eps / 2.

    References
    ----------
    Martins and Astudillo (2016), "From softmax to sparsemax", arXiv:1602.02068.

    Examples
    --------
    >>> import numpy as np
    >>> sparsemax(np.asarray([0.0, 1.0, 1.5]))
    array([0.  , 0.25, 0.75])
    """
    return apply(_sparsemax, x, axis=axis)


def _sparsemax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    def along(x: Any, axis: int) -> Any:
        # Of the probabilities, none is above 0 that lies 1 or more below the largest.
        shifted = bounded(_below_peak(x, _peak(x, xp, axis), xp), xp, low=-2.0)
        descending = -xp.sort(-shifted, axis=axis)
        sums = xp.cumulative_sum(descending, axis=axis)
        ranks = xp.cumulative_sum(xp.ones_like(x), axis=axis)
        # With as many probabilities above 0 as there really are, this is at its largest.
        return bounded(
            shifted - xp.max((sums - 1.0) / ranks, axis=axis, keepdims=True), xp, low=0.0
        )

    return _along_axis(along, x, xp, axis)


def _along_axis(along: Callable[[Any, int], Any], x: Any, xp: Any, axis: int) -> Any:
    """Return ``along(x, axis)``, by columns where rows are short and columns faster.

    Like `x` where there is nothing along the axis, since no library takes its maximum.
    """
    check_axis(x, axis)
    if 0 in x.shape:
        return x
    if not has_slow_rows(x, xp, axis):
        return along(x, axis)
    *shape, n = x.shape
    result = along(_transposed(xp.reshape(x, (-1, n)), xp), 0)
    return xp.reshape(_transposed(result, xp), (*shape, result.shape[0]))


def _transposed(x: Any, xp: Any) -> Any:
    """Return a matrix's transpose, copied, so that its rows lie together in memory."""
    n_rows, n_columns = x.shape
    return xp.reshape(xp.reshape(xp.permute_dims(x, (1, 0)), (-1,)), (n_columns, n_rows))


def _peak(x: Any, xp: Any, axis: int) -> Any:
    return _finite(xp.max(x, axis=axis, keepdims=True), xp)


def _finite(peak: Any, xp: Any) -> Any:
    """Return NaN for infinity, which NumPy would warn of if it were taken from another."""
    return xp.where(xp.isfinite(peak), peak, xp.nan)


def _below_peak(x: Any, peak: Any, xp: Any) -> Any:
    """Return x - peak; about the dtype's lowest number where that would overflow."""
    return xp.maximum(x, _lowest(peak, xp)) - peak


def _lowest(peak: Any, xp: Any) -> Any:
    """Return the lowest x whose x - peak does not overflow."""
    return xp.maximum(peak, 0.0) - float(xp.finfo(peak.dtype).max)


def check_axis(x: Any, axis: int) -> None:
    """Refuse an axis that `x` does not have, in the same words for every library.

    Raises
    ------
    TypeError
        If `axis` is no whole number.
    ValueError
        If `axis` is not in -ndim .. ndim - 1.
    """
    if not hasattr(axis, "__index__"):
        msg = f"`axis` must be a whole number; got {axis!r}"
        raise TypeError(msg)
    if not -x.ndim <= axis < x.ndim:
        msg = f"`axis` must be one of the array's {x.ndim} axes; got {axis}"
        raise ValueError(msg)
