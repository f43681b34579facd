"""Activations made of two or three straight pieces: exact, or one rounding.

No selection by a mask: where pieces meet they are joined by minimum and maximum, which in NumPy
are many times as fast.
"""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded, sign
from xpnet.functions.options import finite, share

__all__ = ["identity", "leaky_relu", "relu", "relu6", "step", "threshold"]


def step(x: ArrayT, /) -> ArrayT:
    """Heaviside step: 1 where x > 0, 0 where x <= 0 (the book's ``step_function``).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. -inf gives 0, inf gives 1, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    It has no derivative to learn by.

    Exact.

    Examples
    --------
    >>> import numpy as np
    >>> step(np.asarray([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return apply(_step, x)


def _step(x: Any, xp: Any) -> Any:
    return bounded(sign(x, xp), xp, low=0.0)


def identity(x: ArrayT, /) -> ArrayT:
    """Return x itself (the book's ``identity_function``; layers also know it as "linear").

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        `x`, not copied where it is float32 or float64.

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
    >>> identity(np.asarray([-1.0, 2.0]))
    array([-1.,  2.])
    """
    return apply(_identity, x)


def _identity(x: Any, _xp: Any) -> Any:
    return x


def relu(x: ArrayT, /) -> ArrayT:
    """Rectified linear unit, max(0, x).

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
    Not x * (x > 0), which is NaN at -inf. At 0, where there is no derivative, automatic
    differentiation gives 0.5 in JAX and torch; xpnet's own training takes 0.

    Exact.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.asarray([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return apply(_relu, x)


def _relu(x: Any, xp: Any) -> Any:
    return bounded(x, xp, low=0.0)


def leaky_relu(x: ArrayT, /, *, negative_slope: float = 0.01) -> ArrayT:
    """Leaky rectified linear unit: x where x > 0, negative_slope * x elsewhere.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    negative_slope : float, default 0.01
        0, or from 1e-30 to 1. The default is torch's and JAX's; Keras has 0.2.

    Returns
    -------
    array
        Like `x`. -inf gives -inf (with a slope of 0, 0), inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or `negative_slope` is no number.
    ValueError
        If `negative_slope` is out of range.

    Notes
    -----
    Computed as max(x, negative_slope * x).

    The error is at most 1 ULP in float32 and float64.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.asarray([-1.0, 2.0]), negative_slope=0.5)
    array([-0.5,  2. ])
    """
    return apply(_leaky_relu, x, negative_slope=share(negative_slope, "negative_slope"))


def _leaky_relu(x: Any, xp: Any, *, negative_slope: float = 0.01) -> Any:
    if not negative_slope:  # 0 * -inf would be NaN
        return _relu(x, xp)
    return xp.maximum(x, negative_slope * x)


def relu6(x: ArrayT, /) -> ArrayT:
    """Rectified linear unit cut off at 6, min(max(0, x), 6).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`, in [0, 6]. -inf gives 0, inf gives 6, NaN gives NaN.

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
    >>> relu6(np.asarray([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return apply(_relu6, x)


def _relu6(x: Any, xp: Any) -> Any:
    return bounded(x, xp, 0.0, 6.0)


def threshold(x: ArrayT, /, *, threshold: float = 1.0, value: float = 0.0) -> ArrayT:
    """Return x where x > threshold, and `value` elsewhere.

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.
    threshold : float, default 1.0
    value : float, default 0.0
        From -1e30 to 1e30, both as in torch; Keras calls the second ``default_value``. The
        defaults are those of ONNX's ThresholdedRelu; torch and Keras have none.

    Returns
    -------
    array
        Like `x`. -inf gives `value`, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers, or an option is no number.
    ValueError
        If an option is out of range.

    Exact.

    Examples
    --------
    >>> import numpy as np
    >>> threshold(np.asarray([0.5, 1.0, 2.0]), threshold=1.0, value=-3.0)
    array([-3., -3.,  2.])
    """
    options = {"threshold": finite(threshold, "threshold"), "value": finite(value, "value")}
    return apply(_threshold, x, **options)


def _threshold(x: Any, xp: Any, *, threshold: float = 1.0, value: float = 0.0) -> Any:
    # Not the opposite comparison: NaN must be kept. Bounded, because -inf * 0 would be NaN.
    replaced = as_numbers(x <= threshold, x, xp)
    return bounded(x, xp, low=threshold) * (1.0 - replaced) + value * replaced
