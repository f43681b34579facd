"""Softmax and its relatives along an axis, with their error bounds."""

import math
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded
from xpnet.functions.activation import Activation, OnnxOperator
from xpnet.functions.along_axis import (
    along_axis,
    check_axis,
    finite_or_nan,
    lowest_below,
    minus_peak,
    peak_of,
)
from xpnet.functions.exponentials import EXPONENTIAL

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Softmax, exp(x) / sum(exp(x)) along an axis: probabilities.

    They sum to 1 within n * eps. -inf gives 0. A row with NaN or inf, or of -inf only, gives NaN,
    as in SciPy and torch.

    The largest logit is subtracted first, so that exp cannot overflow. exp amplifies the rounding
    of that difference: the relative error of a probability whose logit is d below the largest of n
    is at most (d + log(n) + n + 12) * eps / 2 in float32 on NumPy; see
    `xpnet.functions.softmax.softmax_bound` for other libraries. The term n of the sum is the worst
    case; one or two is usual. A probability below the smallest normal number may be 0.

    Parameters
    ----------
    x : array of real numbers
        Logits, in nats.
    axis : int, default -1
        Axis of the classes.

    Examples
    --------
    >>> softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    return apply(_softmax, x, axis=axis)


def _softmax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    def along(x: Any, axis: int) -> Any:
        exponentials = xp.exp(minus_peak(x, peak_of(x, xp, axis), xp))
        return xp.divide(exponentials, xp.sum(exponentials, axis=axis, keepdims=True))

    return along_axis(along, x, xp, axis)


def _softmax_pullback(gradient: Any, _x: Any, y: Any, xp: Any) -> Any:
    return y * (gradient - xp.sum(gradient * y, axis=-1, keepdims=True))


SOFTMAX = Activation(
    _softmax,
    pullback=_softmax_pullback,
    onnx=OnnxOperator("Softmax", 13, fixed={"axis": -1}),
    torch="Softmax",
    keras="softmax",
)


def softmax_bound(below: Any, n: int, library: str, dtype: str) -> Any:
    """Return the bound of the relative error of softmax, where results are normal numbers.

    `below` is the distance of each logit from the largest of its row, in nats, and `n` the length
    of a row; `library` and `dtype` are as in `Activation.ulp_bound`.

    With u = eps / 2, the relative errors are: u * below for the rounding of x - max, amplified by
    exp; the error of exp; that of the sum of exponentials; and u for the division.
    """
    own = _exp_error(library, dtype)
    return below * _unit(dtype) + own + _sum_error(n, library, dtype) + _rounding(dtype)


def log_softmax(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Logarithm of softmax, x - logsumexp(x) along an axis: log-probabilities, in nats.

    -inf gives -inf. A row with NaN or inf, or of -inf only, gives NaN. log(softmax(x)) would be
    -inf where a probability underflows. The absolute error of a result whose logit is d below the
    largest of n is at most (2 d + 10 log(n) + n + 5) * eps / 2 nats in float32 on NumPy; see
    `xpnet.functions.softmax.log_softmax_bound` for other libraries.

    Parameters
    ----------
    x, axis
        As for `softmax`.

    Examples
    --------
    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.])
    """
    return apply(_log_softmax, x, axis=axis)


def _log_softmax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    def along(x: Any, axis: int) -> Any:
        peak = peak_of(x, xp, axis)
        shifted = minus_peak(x, peak, xp)
        log_sum = xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))
        limits = xp.finfo(x.dtype)
        # Below the dtype's lowest number, x is lost in x - peak until it is about its ULP. In rows
        # without a finite peak the sum is NaN, and so is every result.
        lowest = lowest_below(peak, xp)
        lowest = bounded(lowest, xp, high=-float(limits.max) * float(limits.eps) / 8.0)
        return xp.where(x < lowest, -xp.inf, shifted) - log_sum

    return along_axis(along, x, xp, axis)


def _log_softmax_pullback(gradient: Any, _x: Any, y: Any, xp: Any) -> Any:
    return gradient - xp.exp(y) * xp.sum(gradient, axis=-1, keepdims=True)


LOG_SOFTMAX = Activation(
    _log_softmax,
    pullback=_log_softmax_pullback,
    onnx=OnnxOperator("LogSoftmax", 13, fixed={"axis": -1}),
    torch="LogSoftmax",
    keras="log_softmax",
)


def log_softmax_bound(below: Any, n: int, library: str, dtype: str) -> Any:
    """Return the bound of the absolute error of log_softmax, in nats, as `softmax_bound` does.

    The relative error of the sum is the absolute error of its logarithm, which is at most log(n)
    with an error of 4 ULP. x - max and the result are rounded.
    """
    size = below + math.log(n)
    own = _unit(dtype) * (below + 8.0 * math.log(n)) + _sum_error(n, library, dtype)
    return own + _rounding(dtype) * size


def logsumexp(x: ArrayT, /, *, axis: int = -1, keepdims: bool = False) -> ArrayT:
    """Logarithm of the sum of exponentials, log(sum(exp(x))) along an axis, in nats.

    A row with inf gives inf; a row of -inf only, or an empty one, gives -inf. The absolute error of
    a result y over n logits is at most (abs(y) + 9 log(n) + n + 5) * eps / 2 nats in float32 on
    NumPy; see `xpnet.functions.softmax.logsumexp_bound` for other libraries.

    Parameters
    ----------
    x, axis
        As for `softmax`.
    keepdims : bool, default False
        If true, the axis is kept with length 1.

    Examples
    --------
    >>> round(float(logsumexp([1000.0, 1000.0]) - 1000.0), 6)  # log(2)
    0.693147
    """
    return apply(_logsumexp, x, axis=axis, keepdims=keepdims)


def _logsumexp(x: Any, xp: Any, *, axis: int = -1, keepdims: bool = False) -> Any:
    def along(x: Any, axis: int) -> Any:
        peak = xp.max(x, axis=axis, keepdims=True)
        below = minus_peak(x, finite_or_nan(peak, xp), xp)
        log_sum = xp.log(xp.sum(xp.exp(below), axis=axis, keepdims=True))
        # Without a finite peak the sum is NaN, and the peak itself is the result.
        return xp.where(xp.isfinite(peak), log_sum, 0.0) + peak

    check_axis(x, axis)
    if 0 in x.shape:
        result = xp.sum(x, axis=axis, keepdims=True) - xp.inf
    else:
        result = along_axis(along, x, xp, axis)
    return result if keepdims else xp.squeeze(result, axis=axis)


def logsumexp_bound(result: Any, n: int, library: str, dtype: str) -> Any:
    """Return the bound of the absolute error of logsumexp, in nats.

    `result` are the results, in nats; `n`, `library` and `dtype` are as for `softmax_bound`.
    """
    own = 8.0 * math.log(n) * _unit(dtype) + _sum_error(n, library, dtype)
    return own + _rounding(dtype) * abs(result)


def _sum_error(n: int, library: str, dtype: str) -> float:
    """Return the relative error of the sum of exp(x - max) over a row of n numbers.

    The errors are: the rounding of x - max, whose mean, weighted by the terms, is at most
    log(n) * u; that of exp; and u for each of n - 1 additions.
    """
    return (math.log(n) + n - 1) * _unit(dtype) + _exp_error(library, dtype)


def _exp_error(library: str, dtype: str) -> float:
    """Return the relative error of exp: an ULP is at most eps."""
    computed = "float64" if dtype == "float64" else "float32"
    return 2.0 * _unit(dtype) * EXPONENTIAL.ulp_bound(library, computed)


def _unit(dtype: str) -> float:
    """Return half of eps of the dtype of the computation."""
    return 2.0**-53 if dtype == "float64" else 2.0**-24


def _rounding(dtype: str) -> float:
    """Return the relative error of rounding the result to its dtype."""
    return {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, _unit(dtype))
