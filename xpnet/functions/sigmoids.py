"""Saturating activations: sigmoid, tanh, softsign, and the logarithm of the sigmoid."""

import functools
import math
from collections.abc import Callable
from typing import Any

from xpnet.arrays.namespace import bounded, cast, limits_of
from xpnet.functions.activation import OnnxOperator, activation

__all__ = ["log_sigmoid", "sigmoid", "softsign", "tanh"]


def exp_and_mask(x: Any, xp: Any) -> tuple[Any, Any]:
    """Return exp(x) up to where it can still be doubled, and 1 there, 0 for larger x.

    A fraction with the mask above and the exponential below, as in `sigmoid`, is 0 where the
    exponential would overflow, and so are its gradients by automatic differentiation.
    """
    limit = _limit(x.dtype, xp)
    return xp.exp(bounded(x, xp, high=limit)), cast(x <= limit, x.dtype, xp)


@functools.cache
def _limit(dtype: Any, xp: Any) -> float:
    return math.log(float(limits_of(dtype, xp).max)) - 1.0


def _sigmoid_in_place(xp: Any, dtype: Any) -> Callable[[Any, Any], Any]:
    one = xp.ones((), dtype=dtype)  # added in half of the time of 1.0

    def overwrite(x: Any, xp: Any) -> Any:
        y = xp.exp(xp.negative(x, x), x)  # infinity becomes 0
        y += one
        return xp.reciprocal(y, y)

    return overwrite


@activation(
    derivative=lambda _x, y, _xp: y * (1.0 - y),
    in_place=_sigmoid_in_place,
    turns=(0.0,),
    ulp=(4, 4),
    onnx=OnnxOperator("Sigmoid"),
    torch="Sigmoid",
    keras="sigmoid",
)
def sigmoid(x: Any, xp: Any) -> Any:
    """Logistic sigmoid, 1 / (1 + exp(-x)), in [0, 1]; `x` are logits in nats.

    The negative tail keeps its digits, which 0.5 * (1 + tanh(x / 2)) loses. Automatic
    differentiation by JAX and torch is correct everywhere.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    growth, mask = exp_and_mask(-x, xp)
    return xp.divide(mask, 1.0 + growth)


@activation(
    derivative=lambda x, _y, xp: sigmoid.formula(-x, xp),
    ulp=(4, 3),
    torch="LogSigmoid",
    keras="log_sigmoid",
)
def log_sigmoid(x: Any, xp: Any) -> Any:
    """Logarithm of the logistic sigmoid, -log(1 + exp(-x)): log-probabilities, in nats.

    log(sigmoid(x)) would be -inf where the probability underflows, and lose all digits near 1.

    Examples
    --------
    >>> log_sigmoid([-1000.0, 1000.0]) + 0.0
    array([-1000.,     0.])
    """
    return bounded(x, xp, high=0.0) - xp.log1p(xp.exp(xp.minimum(x, -x)))


@activation(
    derivative=lambda _x, y, _xp: 1.0 - y * y,
    in_place=lambda _xp, _dtype: lambda x, xp: xp.tanh(x, x),
    turns=(0.0,),
    ulp=(5, 8),
    onnx=OnnxOperator("Tanh"),
    torch="Tanh",
    keras="tanh",
)
def tanh(x: Any, xp: Any) -> Any:
    """Hyperbolic tangent, in [-1, 1], computed by the array library.

    Examples
    --------
    >>> tanh([0.0, 1000.0])
    array([0., 1.])
    """
    return xp.tanh(x)


def _softsign_derivative(x: Any, _y: Any, xp: Any) -> Any:
    root = xp.divide(xp.ones_like(x), 1.0 + xp.abs(x))
    return root * root


@activation(
    derivative=_softsign_derivative,
    turns=(0.0,),
    ulp=(2, 2),
    onnx=OnnxOperator("Softsign", 1),
    torch="Softsign",
    keras="softsign",
)
def softsign(x: Any, xp: Any) -> Any:
    """Return x / (1 + abs(x)), in [-1, 1].

    Examples
    --------
    >>> softsign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    z = bounded(x, xp, -1e30, 1e30)  # inf / inf would be NaN; far below 1e30 the result is 1
    return xp.divide(z, 1.0 + xp.abs(z))
