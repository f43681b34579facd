"""Elementwise activation functions, and the table that layers name them by.

The error bounds are in units in the last place (ULP) of the result, as measured over the
library's own exp and tanh; ``tests/functions/test_activations.py`` checks them on each backend.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply

__all__ = ["ACTIVATIONS", "Activation", "identity", "relu", "sigmoid", "step", "tanh"]


def step(x: ArrayT, /) -> ArrayT:
    """Heaviside step: 1 where x > 0, 0 where x <= 0 (the book's ``step_function``).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. Exact. -inf gives 0, inf gives 1, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> step(np.asarray([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return apply(_step, x)


def _step(x: Any, xp: Any) -> Any:
    return xp.maximum(xp.sign(x), 0.0)


def sigmoid(x: ArrayT, /) -> ArrayT:
    """Logistic sigmoid, 1 / (1 + exp(-x)).

    Parameters
    ----------
    x : array of real numbers, or number
        Logits, in nats. Any shape; booleans and integers become the library's default floating
        dtype.

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
    Computed as exp(min(x, 0)) / (1 + exp(min(x, -x))): no exponent is positive, so nothing
    overflows, and the negative tail keeps its digits, which 0.5 * (1 + tanh(x / 2)) loses. Two
    exponentials are cheaper than one and a selection by sign. At most 4 ULP in float32 and
    float64, wherever the result is a normal number. With -abs(x) for min(x, -x), automatic
    differentiation would give 0.5 at 0 instead of 0.25.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.asarray([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return apply(_sigmoid, x)


def _sigmoid(x: Any, xp: Any) -> Any:
    return xp.exp(xp.minimum(x, 0.0)) / (1.0 + xp.exp(xp.minimum(x, -x)))


def relu(x: ArrayT, /) -> ArrayT:
    """Rectified linear unit, max(0, x).

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        Like `x`. Exact. -inf gives 0, inf gives inf, NaN gives NaN.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Notes
    -----
    Not x * (x > 0), which is NaN at -inf. At 0, where there is no derivative, automatic
    differentiation gives 0.5 in JAX and torch; xpnet's own training takes 0.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.asarray([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return apply(_relu, x)


def _relu(x: Any, xp: Any) -> Any:
    return xp.maximum(x, 0.0)


def identity(x: ArrayT, /) -> ArrayT:
    """Return x itself (the book's ``identity_function``; layers also know it as "linear").

    Parameters
    ----------
    x : array of real numbers, or number
        Any shape; booleans and integers become the library's default floating dtype.

    Returns
    -------
    array
        `x`, not copied where it is floating already.

    Raises
    ------
    TypeError
        If `x` is complex or no array of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> identity(np.asarray([-1.0, 2.0]))
    array([-1.,  2.])
    """
    return apply(_identity, x)


def _identity(x: Any, _xp: Any) -> Any:
    return x


def tanh(x: ArrayT, /) -> ArrayT:
    """Hyperbolic tangent.

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
    The library's own: at most 4 ULP on NumPy; JAX states 7 for its own.

    Examples
    --------
    >>> import numpy as np
    >>> tanh(np.asarray([0.0, 1000.0]))
    array([0., 1.])
    """
    return apply(_tanh, x)


def _tanh(x: Any, xp: Any) -> Any:
    return xp.tanh(x)


@dataclass(frozen=True)
class Activation:
    """One row of the table: what a layer needs to know of its activation function.

    Attributes
    ----------
    function : callable
        ``function(x, xp)``: the mathematics.
    derivative : callable or None
        ``derivative(x, y, xp)`` at `x`, where ``y = function(x)`` is known already; ``None``
        for a function that gradients cannot pass.
    """

    function: Callable[[Any, Any], Any]
    derivative: Callable[[Any, Any, Any], Any] | None


_IDENTITY = Activation(_identity, lambda x, _y, xp: xp.ones_like(x))

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "identity": _IDENTITY,
        "linear": _IDENTITY,
        "relu": Activation(_relu, lambda x, _y, xp: _step(x, xp)),
        "sigmoid": Activation(_sigmoid, lambda _x, y, _xp: y * (1.0 - y)),
        "step": Activation(_step, None),
        "tanh": Activation(_tanh, lambda _x, y, _xp: 1.0 - y * y),
    }
)
