"""Activations of the form x times a gate between 0 and 1."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded
from xpnet.functions.dtype_constants import precision_of
from xpnet.functions.options import word
from xpnet.functions.softmax import check_axis
from xpnet.functions.special import normal_tail

__all__ = ["gelu", "glu", "mish", "silu"]

approximation = word("none", "tanh")

# 2 sqrt(2 / pi) and 0.044715 times that: gelu's tanh form is x * sigmoid(A x + B x^3). Each is
# split in two: in the first part so few bits that its products with rounded numbers are exact.
_A, _B = 1.5957691216057308, 0.07135481627260025
_A_HIGH, _A_LOW = 1.595703125, 6.599660573071176e-05
_B_HIGH, _B_LOW = 0.0714111328125, -5.631653989975122e-05


def silu(x: ArrayT, /) -> ArrayT:
    """Sigmoid linear unit, x * sigmoid(x); also called swish.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`, at least -0.2785. -inf gives 0 (its limit; torch and JAX give NaN), inf gives
        inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    Computed as x / (1 + exp(-x)) with the exponential in two factors where it would overflow.

    The error is at most, in float32 and float64: 4 and 3 ULP on NumPy, 3 and 3 on torch, 3 and
    3 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> silu(np.asarray([-np.inf, 0.0, 1000.0])) + 0.0
    array([   0.,    0., 1000.])
    """
    return apply(_silu, x)


def _silu(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, low=-1e3)
    growth, rest = _growth(-z, xp)
    return z * xp.exp(rest) / (1.0 + growth)


def mish(x: ArrayT, /) -> ArrayT:
    """Return x * tanh(softplus(x)).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`, at least -0.3089. -inf gives 0 (its limit), inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    With w = exp(-x), tanh(softplus(x)) is 1 / (1 + 2 w^2 / (1 + 2 w)), and the fraction is
    w - w / (1 + 2 w): one exponential and no square that could overflow.

    The error is at most, in float32 and float64: 4 and 3 ULP on NumPy, 3 and 3 on torch, 3 and
    3 on JAX.

    References
    ----------
    Misra (2019), "Mish: a self regularized non-monotonic activation function",
    arXiv:1908.08681.

    Examples
    --------
    >>> import numpy as np
    >>> mish(np.asarray([-np.inf, 0.0, 1000.0])) + 0.0
    array([   0.,    0., 1000.])
    """
    return apply(_mish, x)


def _mish(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, low=-1e3)
    growth, rest = _growth(-z, xp)
    return z * xp.exp(rest) / (1.0 + (growth - growth / (1.0 + 2.0 * growth)))


def gelu(x: ArrayT, /, *, approximate: str = "none") -> ArrayT:
    """Gaussian error linear unit, x * Phi(x), with the standard normal distribution function Phi.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    approximate : {"none", "tanh"}, default "none"
        "tanh" for x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), which is within 5e-4 of
        it. The words and the default are torch's; Keras has a boolean, and JAX's default is the
        tanh form.

    Returns
    -------
    array
        Like `x`, at least -0.17. -inf gives 0 (its limit), inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.
    ValueError
        If `approximate` is another word.

    Notes
    -----
    Both are computed as max(x, 0) minus abs(x) times a tail, which keeps all digits far below 0,
    where 1 + erf and 1 + tanh keep none. What is rounded off an exponent, and exp would amplify,
    is carried along.

    The error is at most, in float32 and float64: 6 and 4 ULP on NumPy, 5 and 4 on torch, 5 and
    4 on JAX. That of the tanh form is at most, in float32 and float64: 4 and 3 ULP on NumPy, 4
    and 3 on torch, 4 and 4 on JAX.

    References
    ----------
    Hendrycks and Gimpel (2016), "Gaussian error linear units", arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.asarray([-np.inf, 0.0, 1.0])).round(6) + 0.0
    array([0.      , 0.      , 0.841345])
    """
    return apply(_gelu, x, approximate=approximation(approximate, "approximate"))


def _gelu(x: Any, xp: Any, *, approximate: str = "none") -> Any:
    t = bounded(xp.maximum(x, -x), xp, high=40.0)  # abs(x), which JAX differentiates to 1 at 0
    tail = normal_tail(t, xp) if approximate == "none" else _logistic_tail(t, xp)
    return bounded(x, xp, low=0.0) - tail


def _logistic_tail(t: Any, xp: Any) -> Any:
    """Return t / (1 + exp(A t + B t^3)) for 0 <= t <= 40."""
    exponent, rounded_off = _cubic(t, xp)
    growth, rest = _growth(exponent, xp)
    return (t - t * rounded_off) * xp.exp(rest) / (1.0 + growth)


def _cubic(t: Any, xp: Any) -> tuple[Any, Any]:
    """Return A t + B t^3 for 0 <= t <= 40 as a sum of two numbers, the second a rounding error."""
    grid = precision_of(t, xp).grid
    coarse = xp.round(t * grid) * (1.0 / grid)
    fine = t - coarse
    square = coarse * coarse
    factor = xp.round((_A_HIGH + _B * square) * 4096.0) * (1.0 / 4096.0)
    correction = (_B_HIGH * square - (factor - _A_HIGH)) + (_B_LOW * square + _A_LOW)
    high = factor * coarse
    # A + 3 B coarse^2 from the factor, which is A + B coarse^2 in two parts already.
    slope = (3.0 * factor - 2.0 * _A_HIGH) + (
        (3.0 * correction - 2.0 * _A_LOW) + _B * fine * (3.0 * coarse + fine)
    )
    low = correction * coarse + fine * slope
    exponent = high + low
    return exponent, (high - exponent) + low


def _growth(exponent: Any, xp: Any) -> tuple[Any, Any]:
    """Return exp(exponent) as far as it is finite, and minus what the exponent had beyond that.

    So z * exp(rest) / (1 + growth) is right down to the smallest normal number.
    """
    limit = precision_of(exponent, xp).safe_exponent
    return xp.exp(bounded(exponent, xp, high=limit)), bounded(limit - exponent, xp, high=0.0)


def glu(x: ArrayT, /, *, axis: int = -1) -> ArrayT:
    """Gated linear unit: the first half along an axis times the sigmoid of the second.

    Parameters
    ----------
    x : array of real numbers
        With an even length along `axis`. Integers become the library's default floating dtype.
    axis : int, default -1
        The axis to halve.

    Returns
    -------
    array
        Like `x`, half as long along `axis`. An infinity in the first half stays, NaN in either
        half gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `axis` is no whole number.
    ValueError
        If `x` has no axis `axis`, or its length is odd.

    Notes
    -----
    The error is at most twice that of `sigmoid`, in ULP, and half a one: 8.5 ULP in float32 on
    NumPy.

    References
    ----------
    Dauphin, Fan, Auli and Grangier (2017), "Language modeling with gated convolutional
    networks", arXiv:1612.08083.

    Examples
    --------
    >>> import numpy as np
    >>> glu(np.asarray([2.0, 3.0, 0.0, 1000.0]))
    array([1., 3.])
    """
    return apply(_glu, x, axis=axis)


def _glu(x: Any, xp: Any, *, axis: int = -1) -> Any:
    check_axis(x, axis)
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        msg = f"`x` must have an even length along axis {axis}; got {x.shape[axis]}"
        raise ValueError(msg)
    before = (slice(None),) * (axis % x.ndim)
    growth, rest = _growth(-x[(*before, slice(half, None), ...)], xp)
    value = x[(*before, slice(None, half), ...)] / (1.0 + growth)
    # Not a product, and XLA may make it one: infinity times 0 would be NaN.
    return value / xp.exp(bounded(-rest, xp, high=precision_of(x, xp).safe_exponent - 1.0))
