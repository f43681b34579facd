"""Saturating activations: sigmoid, tanh, softsign, and the logarithm of the sigmoid."""

from collections.abc import Callable
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import Activation, OnnxOperator, UlpBounds
from xpnet.functions.dtype_constants import constants_of

__all__ = ["log_sigmoid", "sigmoid", "softsign", "tanh"]


def sigmoid(x: ArrayT, /) -> ArrayT:
    """Logistic sigmoid, 1 / (1 + exp(-x)), in [0, 1]; `x` are logits in nats.

    The exponent is limited to where exp is finite, and the result is 0 below that, where it would
    be subnormal. The negative tail keeps its digits, which 0.5 * (1 + tanh(x / 2)) loses. Automatic
    differentiation by JAX and torch is correct at 0, too. The error is at most, in float32 and
    float64: 4 and 3 ULP on NumPy, 3 and 3 on torch, 3 and 3 on JAX.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    return apply(_sigmoid, x)


def _sigmoid(x: Any, xp: Any) -> Any:
    limit = constants_of(x, xp).safe_exponent
    growth = xp.exp(bounded(-x, xp, high=limit))
    return xp.divide(as_numbers(x >= -limit, x, xp), 1.0 + growth)


def _sigmoid_in_place(xp: Any, dtype: Any) -> Callable[[Any, Any], Any]:
    one = xp.ones((), dtype=dtype)  # added in half of the time of 1.0

    def overwrite(x: Any, xp: Any) -> Any:
        y = xp.exp(xp.negative(x, x), x)  # infinity becomes 0
        y += one
        return xp.reciprocal(y, y)

    return overwrite


SIGMOID = Activation(
    _sigmoid,
    in_place=_sigmoid_in_place,
    derivative=lambda _x, y, _xp: y * (1.0 - y),
    turns=(0.0,),
    ulp=UlpBounds(numpy=(4, 3), torch=(3, 3), jax=(3, 3)),
    onnx=OnnxOperator("Sigmoid"),
    torch="Sigmoid",
    keras="sigmoid",
)


def log_sigmoid(x: ArrayT, /) -> ArrayT:
    """Logarithm of the logistic sigmoid, -log(1 + exp(-x)): log-probabilities, in nats.

    log(sigmoid(x)) would be -inf where the probability underflows, and lose all digits near 1. The
    error is at most, in float32 and float64: 4 and 2 ULP on NumPy, 2 and 2 on torch, 3 and 3 on
    JAX.

    Examples
    --------
    >>> log_sigmoid([-1000.0, 1000.0]) + 0.0
    array([-1000.,     0.])
    """
    return apply(_log_sigmoid, x)


def _log_sigmoid(x: Any, xp: Any) -> Any:
    return bounded(x, xp, high=0.0) - xp.log1p(xp.exp(xp.minimum(x, -x)))


LOG_SIGMOID = Activation(
    _log_sigmoid,
    derivative=lambda x, _y, xp: _sigmoid(-x, xp),
    ulp=UlpBounds(numpy=(4, 2), torch=(2, 2), jax=(3, 3)),
    torch="LogSigmoid",
    keras="log_sigmoid",
)


def tanh(x: ArrayT, /) -> ArrayT:
    """Hyperbolic tangent, in [-1, 1], computed by the array library.

    The error is at most, in float32 and float64: 2 and 3 ULP on NumPy, 1 and 1 on torch, 5 and 8 on
    JAX.

    Examples
    --------
    >>> tanh([0.0, 1000.0])
    array([0., 1.])
    """
    return apply(_tanh, x)


def _tanh(x: Any, xp: Any) -> Any:
    return xp.tanh(x)


TANH = Activation(
    _tanh,
    in_place=lambda _xp, _dtype: lambda x, xp: xp.tanh(x, x),
    derivative=lambda _x, y, _xp: 1.0 - y * y,
    turns=(0.0,),
    ulp=UlpBounds(numpy=(2, 3), torch=(1, 1), jax=(5, 8)),
    onnx=OnnxOperator("Tanh"),
    torch="Tanh",
    keras="tanh",
)


def softsign(x: ArrayT, /) -> ArrayT:
    """Return x / (1 + abs(x)), in [-1, 1].

    The error is at most 2 ULP in float32 and float64.

    Examples
    --------
    >>> softsign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    return apply(_softsign, x)


def _softsign(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, -1e30, 1e30)  # inf / inf would be NaN; far below 1e30 the result is 1
    return xp.divide(z, 1.0 + xp.abs(z))


def _softsign_derivative(x: Any, _y: Any, xp: Any) -> Any:
    root = xp.divide(xp.ones_like(x), 1.0 + xp.abs(x))
    return root * root


SOFTSIGN = Activation(
    _softsign,
    derivative=_softsign_derivative,
    turns=(0.0,),
    ulp=UlpBounds(numpy=(2, 2), torch=(2, 2), jax=(2, 2)),
    onnx=OnnxOperator("Softsign", 1),
    torch="Softsign",
    keras="softsign",
)
