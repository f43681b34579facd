"""Activations of straight pieces, or of a parabola, that stand for smooth ones."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.options import not_negative

__all__ = [
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "soft_shrink",
    "sparse_plus",
    "sparse_sigmoid",
]


def hard_sigmoid(x: ArrayT, /) -> ArrayT:
    """Sigmoid of three straight pieces, min(max(x + 3, 0), 6) / 6.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`, in [0, 1]. -inf gives 0, inf gives 1, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    The slope of 1/6 is that of torch, Keras 3 and JAX; Keras 2 and ONNX have 0.2.

    The error is at most, in float32 and float64: 1 and 1 ULP on NumPy, 1 and 1 on torch, 2 and
    2 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> hard_sigmoid(np.asarray([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return apply(_hard_sigmoid, x)


def _hard_sigmoid(x: Any, xp: Any) -> Any:
    return bounded(x + 3.0, xp, 0.0, 6.0) / 6.0


def hard_silu(x: ArrayT, /) -> ArrayT:
    """Sigmoid linear unit of pieces, x * hard_sigmoid(x); also called hard swish.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. -inf gives 0, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    The error is at most, in float32 and float64: 2 and 2 ULP on NumPy, 2 and 2 on torch, 3 and
    3 on JAX.

    Examples
    --------
    >>> import numpy as np
    >>> hard_silu(np.asarray([-4.0, 3.0, 4.0])) + 0.0
    array([0., 3., 4.])
    """
    return apply(_hard_silu, x)


def _hard_silu(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, low=-3.0)  # -inf * 0 would be NaN
    return z * (bounded(z + 3.0, xp, high=6.0) / 6.0)


def hard_tanh(x: ArrayT, /) -> ArrayT:
    """Hyperbolic tangent of three straight pieces, min(max(x, -1), 1).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`, in [-1, 1]. The infinities give -1 and 1, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    Exact.

    Examples
    --------
    >>> import numpy as np
    >>> hard_tanh(np.asarray([-4.0, 0.5, 4.0]))
    array([-1. ,  0.5,  1. ])
    """
    return apply(_hard_tanh, x)


def _hard_tanh(x: Any, xp: Any) -> Any:
    return bounded(x, xp, -1.0, 1.0)


def hard_shrink(x: ArrayT, /, *, threshold: float = 0.5) -> ArrayT:
    """Return x where abs(x) > threshold, 0 elsewhere.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    threshold : float, default 0.5
        From 0 to 1e30 (torch calls it ``lambd``).

    Returns
    -------
    array
        Like `x`. The infinities and NaN stay.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `threshold` is no number.
    ValueError
        If `threshold` is out of range.

    Notes
    -----
    Exact.

    Examples
    --------
    >>> import numpy as np
    >>> hard_shrink(np.asarray([-2.0, 0.25, 2.0]))
    array([-2.,  0.,  2.])
    """
    return apply(_hard_shrink, x, threshold=not_negative(threshold, "threshold"))


def _hard_shrink(x: Any, xp: Any, *, threshold: float = 0.5) -> Any:
    # Not the opposite comparison: of a product with booleans XLA makes a selection, which would
    # give 0 for NaN.
    return x * as_numbers(~(xp.abs(x) <= threshold), x, xp)


def soft_shrink(x: ArrayT, /, *, threshold: float = 0.5) -> ArrayT:
    """Shrink towards 0: sign(x) * max(abs(x) - threshold, 0).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    threshold : float, default 0.5
        From 0 to 1e30 (torch calls it ``lambd``).

    Returns
    -------
    array
        Like `x`. The infinities and NaN stay.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `threshold` is no number.
    ValueError
        If `threshold` is out of range.

    Notes
    -----
    The error is at most 1 ULP in float32 and float64.

    Examples
    --------
    >>> import numpy as np
    >>> soft_shrink(np.asarray([-2.0, 0.25, 2.0]))
    array([-1.5,  0. ,  1.5])
    """
    return apply(_soft_shrink, x, threshold=not_negative(threshold, "threshold"))


def _soft_shrink(x: Any, xp: Any, *, threshold: float = 0.5) -> Any:
    return x - bounded(x, xp, -threshold, threshold)


def sparse_plus(x: ArrayT, /) -> ArrayT:
    """Softplus with a finite tail: 0 up to -1, (x + 1)^2 / 4 from -1 to 1, x from 1 on.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. -inf gives 0, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    The error is at most 2 ULP in float32 and float64.

    Examples
    --------
    >>> import numpy as np
    >>> sparse_plus(np.asarray([-2.0, 0.0, 2.0]))
    array([0.  , 0.25, 2.  ])
    """
    return apply(_sparse_plus, x)


def _sparse_plus(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, -1.0, 1.0) + 1.0
    return xp.maximum(x, 0.25 * z * z)


def sparse_sigmoid(x: ArrayT, /) -> ArrayT:
    """Sigmoid of three straight pieces, min(max((x + 1) / 2, 0), 1): sparse_plus's derivative.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`, in [0, 1]. -inf gives 0, inf gives 1, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    The error is at most 1 ULP in float32 and float64.

    Examples
    --------
    >>> import numpy as np
    >>> sparse_sigmoid(np.asarray([-2.0, 0.0, 2.0]))
    array([0. , 0.5, 1. ])
    """
    return apply(_sparse_sigmoid, x)


def _sparse_sigmoid(x: Any, xp: Any) -> Any:
    return 0.5 * (bounded(x, xp, -1.0, 1.0) + 1.0)
