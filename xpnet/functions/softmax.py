"""Softmax and its relatives along an axis, with their error bounds."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

from xpnet.functions.activation import OnnxOperator, activation, array_function
from xpnet.functions.exponentials import exponential

__all__ = ["log_softmax", "logsumexp", "softmax"]


def check_axis(x: Any, axis: int) -> None:
    """Raise TypeError or ValueError unless `axis` is an integer from -ndim to ndim - 1."""
    if not hasattr(axis, "__index__"):
        msg = f"`axis` must be an integer; got {axis!r}"
        raise TypeError(msg)
    if not -x.ndim <= axis < x.ndim:
        msg = f"`axis` must be one of the array's {x.ndim} axes; got {axis}"
        raise ValueError(msg)


def _along_axis(function: Callable[[Any, int], Any], x: Any, xp: Any, axis: int) -> Any:
    """Return ``function(x, axis)``, by way of a transposed copy where columns are faster.

    NumPy takes the maximum row by row: for 1,024 rows of 10, softmax takes 85 microseconds, and 20
    with the copies (Intel Xeon, model 167).
    """
    check_axis(x, axis)
    if 0 in x.shape:  # no library takes the maximum of nothing
        return x
    # NumPy itself, not the namespace of exact functions, which has its name.
    is_numpy = isinstance(xp, ModuleType) and xp.__name__ == "numpy"
    if not is_numpy or x.ndim == 1 or axis not in (-1, x.ndim - 1) or x.shape[-1] >= 64:
        return function(x, axis)
    *shape, n = x.shape
    result = function(xp.reshape(x, (-1, n)).T.copy(), 0)
    return xp.reshape(result.T.copy(), (*shape, result.shape[0]))


@activation(
    pullback=lambda gradient, _x, y, xp: (
        y * (gradient - xp.sum(gradient * y, axis=-1, keepdims=True))
    ),
    onnx=OnnxOperator("Softmax", 13, fixed={"axis": -1}),
    torch="Softmax",
    keras="softmax",
)
def softmax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    """Softmax, exp(x) / sum(exp(x)) along an axis: probabilities.

    They sum to 1 within n * eps. -inf gives 0. A row with NaN or inf, or of -inf only, gives NaN,
    as in SciPy and torch.

    The largest logit is subtracted first, so that exp cannot overflow. exp amplifies the rounding
    of that difference: the relative error of a probability whose logit is d below the largest of n
    is at most (d + log(n) + n + 24) * eps / 2 in float32, see
    `xpnet.functions.softmax.softmax_bound`. The term n of the sum is the worst case; one or two is
    usual.

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

    def along(x: Any, axis: int) -> Any:
        exponentials = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
        return xp.divide(exponentials, xp.sum(exponentials, axis=axis, keepdims=True))

    return _along_axis(along, x, xp, axis)


def softmax_bound(below: Any, n: int, dtype: str) -> Any:
    """Return the bound of the relative error of softmax.

    `below` is the distance of each logit from the largest of its row, in nats, `n` the length of a
    row, and `dtype` as for `Activation.ulp_bound`.

    With u = eps / 2, the relative errors are: u * below for the rounding of x - max, amplified by
    exp; the error of exp; that of the sum of exponentials; and u for the division.
    """
    return below * _unit(dtype) + _exp_error(dtype) + _sum_error(n, dtype) + _rounding(dtype)


@activation(
    pullback=lambda gradient, _x, y, xp: (
        gradient - xp.exp(y) * xp.sum(gradient, axis=-1, keepdims=True)
    ),
    onnx=OnnxOperator("LogSoftmax", 13, fixed={"axis": -1}),
    torch="LogSoftmax",
    keras="log_softmax",
)
def log_softmax(x: Any, xp: Any, *, axis: int = -1) -> Any:
    """Logarithm of softmax, x - logsumexp(x) along an axis: log-probabilities, in nats.

    -inf gives -inf. A row with NaN or inf, or of -inf only, gives NaN. log(softmax(x)) would be
    -inf where a probability underflows. The absolute error of a result whose logit is d below the
    largest of n is at most (2 d + 10 log(n) + n + 11) * eps / 2 nats in float32 (see
    `xpnet.functions.softmax.log_softmax_bound`).

    Parameters
    ----------
    x, axis
        As for `softmax`.

    Examples
    --------
    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.])
    """

    def along(x: Any, axis: int) -> Any:
        below = x - xp.max(x, axis=axis, keepdims=True)
        return below - xp.log(xp.sum(xp.exp(below), axis=axis, keepdims=True))

    return _along_axis(along, x, xp, axis)


def log_softmax_bound(below: Any, n: int, dtype: str) -> Any:
    """Return the bound of the absolute error of log_softmax, in nats, as `softmax_bound` does.

    The relative error of the sum is the absolute error of its logarithm, which is at most log(n)
    with an error of 4 ULP. x - max and the result are rounded.
    """
    own = _unit(dtype) * (below + 8.0 * math.log(n)) + _sum_error(n, dtype)
    return own + _rounding(dtype) * (below + math.log(n))


@array_function
def logsumexp(x: Any, xp: Any, *, axis: int = -1, keepdims: bool = False) -> Any:
    """Logarithm of the sum of exponentials, log(sum(exp(x))) along an axis, in nats.

    A row with inf gives inf; a row of -inf only, or an empty one, gives -inf. The absolute error of
    a result y over n logits is at most (abs(y) + 9 log(n) + n + 11) * eps / 2 nats in float32 and
    float64.

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

    def along(x: Any, axis: int) -> Any:
        peak = xp.max(x, axis=axis, keepdims=True)
        peak = xp.where(xp.isfinite(peak), peak, 0.0)
        return xp.log(xp.sum(xp.exp(x - peak), axis=axis, keepdims=True)) + peak

    check_axis(x, axis)
    if 0 in x.shape:
        result = xp.sum(x, axis=axis, keepdims=True) - xp.inf
    else:
        result = _along_axis(along, x, xp, axis)
    return result if keepdims else xp.squeeze(result, axis=axis)


def _sum_error(n: int, dtype: str) -> float:
    """Return the relative error of the sum of exp(x - max) over a row of n numbers.

    The errors are: the rounding of x - max, whose mean, weighted by the terms, is at most
    log(n) * u; that of exp; and u for each of n - 1 additions.
    """
    return (math.log(n) + n - 1) * _unit(dtype) + _exp_error(dtype)


def _exp_error(dtype: str) -> float:
    """Return the relative error of exp: an ULP is at most eps."""
    computed = "float64" if dtype == "float64" else "float32"
    return 2.0 * _unit(dtype) * exponential.row.ulp_bound(computed)


def _unit(dtype: str) -> float:
    """Return half of eps of the dtype of the computation."""
    return 2.0**-53 if dtype == "float64" else 2.0**-24


def _rounding(dtype: str) -> float:
    """Return the relative error of rounding the result to its dtype."""
    return {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, _unit(dtype))
