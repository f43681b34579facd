"""Activations that level off below and grow above."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded
from xpnet.functions.dtype_constants import precision_of
from xpnet.functions.options import positive
from xpnet.functions.special import product

__all__ = ["SELU_ALPHA", "SELU_SCALE", "celu", "elu", "exponential", "selu", "softplus"]
__all__ += ["squareplus"]

# With these a layer of many standard normal inputs gives outputs of mean 0 and variance 1.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def exponential(x: ArrayT, /) -> ArrayT:
    """Exponential function, exp(x).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. Above the logarithm of the dtype's largest number it is inf, without a warning.
        -inf gives 0, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    The library's own, kept from overflowing.

    The error is at most, in float32 and float64: 3 and 1 ULP on NumPy, 1 and 1 on torch, 6 and
    2 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> exponential(np.asarray([-np.inf, 0.0, 1000.0]))
    array([ 0.,  1., inf])
    """
    return apply(_exponential, x)


def _exponential(x: Any, xp: Any) -> Any:
    limit = precision_of(x, xp).largest_exponent
    return xp.where(x > limit, xp.inf, xp.exp(bounded(x, xp, high=limit)))


def elu(x: ArrayT, /, *, alpha: float = 1.0) -> ArrayT:
    """Exponential linear unit: x where x > 0, alpha * (exp(x) - 1) elsewhere.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    alpha : float, default 1.0
        From 1e-6 to 1e6.

    Returns
    -------
    array
        Like `x`. -inf gives -alpha, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `alpha` is no number.
    ValueError
        If `alpha` is out of range.

    Notes
    -----
    By expm1, which keeps the digits that exp(x) - 1 loses near 0.

    The error is at most, in float32 and float64: 4 and 2 ULP on NumPy, 2 and 2 on torch, 6 and
    5 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> elu(np.asarray([-np.inf, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return apply(_elu, x, alpha=positive(alpha, "alpha"))


def _elu(x: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    below = xp.expm1(bounded(x, xp, high=0.0))
    return bounded(x, xp, low=0.0) + (below if alpha == 1.0 else alpha * below)


def celu(x: ArrayT, /, *, alpha: float = 1.0) -> ArrayT:
    """Continuously differentiable ELU: x where x > 0, alpha * (exp(x / alpha) - 1) elsewhere.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    alpha : float, default 1.0
        From 1e-6 to 1e6.

    Returns
    -------
    array
        Like `x`. -inf gives -alpha, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `alpha` is no number.
    ValueError
        If `alpha` is out of range.

    Notes
    -----
    Where x / alpha is below the smallest normal number, the result may be 0.

    The error is at most, in float32 and float64: 4 and 2 ULP on NumPy, 2 and 2 on torch, 6 and
    5 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> celu(np.asarray([-np.inf, 0.0, 2.0]), alpha=0.5)
    array([-0.5,  0. ,  2. ])
    """
    return apply(_celu, x, alpha=positive(alpha, "alpha"))


def _celu(x: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    if alpha == 1.0:
        return _elu(x, xp)
    z = bounded(x, xp, -1e3 * alpha, 0.0) / alpha  # x / alpha could overflow
    return bounded(x, xp, low=0.0) + alpha * xp.expm1(z)


def selu(x: ArrayT, /) -> ArrayT:
    """Scaled exponential linear unit, 1.0507... * elu(x, alpha=1.6732...).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. -inf gives -1.7580..., inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    The error is at most, in float32 and float64: 4 and 3 ULP on NumPy, 3 and 3 on torch, 7 and
    7 on JAX.

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-normalizing neural networks",
    arXiv:1706.02515.

    Examples
    --------
    >>> import numpy as np
    >>> selu(np.asarray([-np.inf, 0.0, 1.0])).round(6)
    array([-1.758099,  0.      ,  1.050701])
    """
    return apply(_selu, x)


def _selu(x: Any, xp: Any) -> Any:
    top = precision_of(x, xp).largest_selu
    # The product with a rounded factor must not overflow before the true one does.
    growing = SELU_SCALE * bounded(x, xp, 0.0, top * (1.0 - float(xp.finfo(x.dtype).eps)))
    below = (SELU_SCALE * SELU_ALPHA) * xp.expm1(bounded(x, xp, high=0.0))
    return xp.where(x > top, xp.inf, growing + below)


def softplus(x: ArrayT, /, *, beta: float = 1.0) -> ArrayT:
    """Smooth rectifier, log(1 + exp(beta * x)) / beta.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    beta : float, default 1.0
        From 1e-6 to 1e6, as in torch; Keras and JAX have 1 only. torch's ``threshold``, above
        which it returns x, is not needed.

    Returns
    -------
    array
        Like `x`, at least 0. -inf gives 0, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `beta` is no number.
    ValueError
        If `beta` is out of range.

    Notes
    -----
    Computed as max(x, 0) + log(1 + exp(-beta * abs(x))) / beta, where exp cannot overflow. Not by
    logaddexp, which takes ten times as long in NumPy. Where exp(beta * x) is below the smallest
    normal number, the result may be 0.

    The error is at most, in float32 and float64: 4 and 2 ULP on NumPy, 2 and 2 on torch, 3 and
    3 on JAX. With another `beta` than 1 it is 2 ULP more.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np.asarray([-np.inf, 0.0, 2.0])).round(6)
    array([0.      , 0.693147, 2.126928])
    """
    return apply(_softplus, x, beta=positive(beta, "beta"))


def _softplus(x: Any, xp: Any, *, beta: float = 1.0) -> Any:
    negative = xp.minimum(x, -x)
    if beta == 1.0:
        tail = xp.log1p(xp.exp(negative))
    else:
        # beta * x could overflow; what is rounded off it, exp would amplify.
        exponent, rest = product(beta, bounded(negative, xp, low=-1e4 / beta), xp)
        tail = xp.log1p(xp.exp(exponent) * (1.0 + rest)) / beta
    return bounded(x, xp, low=0.0) + tail


def squareplus(x: ArrayT, /, *, b: float = 4.0) -> ArrayT:
    """Smooth rectifier without an exponential, (x + sqrt(x^2 + b)) / 2.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    b : float, default 4.0
        From 1e-6 to 1e6; how far the bend reaches. The default is Keras's and JAX's.

    Returns
    -------
    array
        Like `x`, at least 0. -inf gives 0, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `b` is no number.
    ValueError
        If `b` is out of range.

    Notes
    -----
    Computed as max(x, 0) + b / 2 / (sqrt(x^2 + b) + abs(x)), which does not cancel below 0.

    The error is at most, in float32 and float64: 4 and 4 ULP on NumPy, 5 and 4 on torch, 4 and
    4 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> squareplus(np.asarray([-np.inf, 0.0, 1.5]))
    array([0., 1., 2.])
    """
    return apply(_squareplus, x, b=positive(b, "b"))


def _squareplus(x: Any, xp: Any, *, b: float = 4.0) -> Any:
    t = xp.maximum(x, -x)  # abs(x), which JAX differentiates to 1 at 0
    s = bounded(t, xp, high=1e15)  # from here on b makes no difference, and t^2 may overflow
    root = xp.sqrt(s * s + b)
    return bounded(x, xp, low=0.0) + 0.5 * b / xp.maximum(root, t) * (root / (root + s))
