"""Softmax and its relatives: from logits to probabilities along one axis."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply

__all__ = ["check_axis", "log_softmax", "logsumexp", "softmax"]


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
    difference is amplified by exp: besides some 4 ULP, a probability p has a relative error of
    up to eps / 2 * abs(log(p)).

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.asarray([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return apply(_softmax, x, axis)


def _softmax(x: Any, xp: Any, axis: int) -> Any:
    check_axis(x, axis)
    if 0 in x.shape:  # no library takes the maximum of nothing
        return x
    exponentials = xp.exp(_below_peak(x, _peak(x, xp, axis), xp))
    return exponentials / xp.sum(exponentials, axis=axis, keepdims=True)


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
    Not log(softmax(x)), which is -inf as soon as a probability underflows.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.asarray([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return apply(_log_softmax, x, axis)


def _log_softmax(x: Any, xp: Any, axis: int) -> Any:
    check_axis(x, axis)
    if 0 in x.shape:  # no library takes the maximum of nothing
        return x
    shifted = _below_peak(x, _peak(x, xp, axis), xp)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


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

    Examples
    --------
    >>> import numpy as np
    >>> round(float(logsumexp(np.asarray([1000.0, 1000.0])) - 1000.0), 6)  # log(2)
    0.693147
    """
    return apply(_logsumexp, x, axis, keepdims)


def _logsumexp(x: Any, xp: Any, axis: int, keepdims: bool) -> Any:  # noqa: FBT001 (private, passed on)
    check_axis(x, axis)
    if 0 in x.shape:  # no library takes the maximum of nothing
        return xp.sum(x, axis=axis, keepdims=keepdims) - xp.inf
    peak = _peak(x, xp, axis)
    total = xp.sum(xp.exp(_below_peak(x, peak, xp)), axis=axis, keepdims=True)
    # Without a finite peak the sum is NaN, and the peak itself is the answer.
    result = xp.log(xp.where(xp.isfinite(peak), total, 1.0)) + peak
    return result if keepdims else xp.squeeze(result, axis=axis)


def _peak(x: Any, xp: Any, axis: int) -> Any:
    return xp.max(x, axis=axis, keepdims=True)


def _below_peak(x: Any, peak: Any, xp: Any) -> Any:
    """Return x - peak without overflow or an invalid operation; NaN where peak is not finite."""
    # inf - inf is an invalid operation, of which NumPy would warn; anything - NaN is not.
    peak = xp.where(xp.isfinite(peak), peak, xp.nan)
    # Where x - peak lies below the dtype's range it is -inf, without computing it.
    lowest = xp.maximum(peak, 0.0) - float(xp.finfo(x.dtype).max)
    return xp.where(x < lowest, -xp.inf, x) - peak


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
