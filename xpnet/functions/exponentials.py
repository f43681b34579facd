"""Exponential function and exponential linear units."""

from typing import Any

from xpnet.arrays.namespace import bounded, cast
from xpnet.functions.activation import OnnxOperator, activation, positive

__all__ = ["celu", "elu", "exponential", "selu"]

# Constants of SELU: a layer of many standard normal inputs has outputs of mean 0 and variance 1.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_ONNX_SELU = {"alpha": _SELU_ALPHA, "gamma": _SELU_SCALE}


@activation(
    derivative=lambda _x, y, _xp: y,
    ulp=(6, 2),
    onnx=OnnxOperator("Exp"),
    keras="exponential",
)
def exponential(x: Any, xp: Any) -> Any:
    """Exponential function, exp(x), computed by the array library.

    It is inf above the logarithm of the dtype's largest number, about 88.7 in float32.

    Examples
    --------
    >>> exponential([-1000.0, 0.0, 1000.0])
    array([ 0.,  1., inf])
    """
    return xp.exp(x)


def _elu_derivative(x: Any, _y: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    is_above = cast(x > 0.0, x.dtype, xp)
    return alpha * xp.exp(bounded(x, xp, high=0.0)) + (1.0 - alpha) * is_above


@activation(
    derivative=_elu_derivative,
    is_rectifier=True,
    turns=(0.0,),
    options={"alpha": positive},
    ulp=(6, 5),
    onnx=OnnxOperator("Elu", options={"alpha": "alpha"}, defaults={"alpha": 1.0}),
    torch="ELU",
    keras="elu",
)
def elu(x: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    """Exponential linear unit: x where x > 0, alpha * (exp(x) - 1) elsewhere.

    expm1 keeps the digits that exp(x) - 1 loses near 0.

    Parameters
    ----------
    x : array of real numbers, or number
    alpha : float, default 1.0
        From 1e-6 to 1e6.

    Examples
    --------
    >>> elu([-1000.0, 0.0, 2.0])
    array([-1.,  0.,  2.])
    """
    return bounded(x, xp, low=0.0) + alpha * xp.expm1(bounded(x, xp, high=0.0))


@activation(
    derivative=lambda x, _y, xp, alpha=1.0: xp.exp(xp.divide(bounded(x, xp, high=0.0), alpha)),
    is_rectifier=True,
    options={"alpha": positive},
    ulp=(6, 5),
    onnx=OnnxOperator("Celu", 12, {"alpha": "alpha"}, defaults={"alpha": 1.0}),
    torch="CELU",
    keras="celu",
)
def celu(x: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    """Continuously differentiable ELU: x where x > 0, alpha * (exp(x / alpha) - 1) elsewhere.

    If x / alpha is below the smallest normal number, the result may be 0.

    Parameters
    ----------
    x : array of real numbers, or number
    alpha : float, default 1.0
        From 1e-6 to 1e6.

    Examples
    --------
    >>> celu([-1000.0, 0.0, 2.0], alpha=0.5)
    array([-0.5,  0. ,  2. ])
    """
    below = xp.expm1(xp.divide(bounded(x, xp, high=0.0), alpha))
    return bounded(x, xp, low=0.0) + alpha * below


@activation(
    derivative=lambda x, y, xp: _SELU_SCALE * _elu_derivative(x, y, xp, alpha=_SELU_ALPHA),
    turns=(0.0,),
    ulp=(7, 7),
    onnx=OnnxOperator("Selu", fixed=_ONNX_SELU, defaults=_ONNX_SELU),
    torch="SELU",
    keras="selu",
)
def selu(x: Any, xp: Any) -> Any:
    """Scaled exponential linear unit: elu(x, alpha=1.67326) times 1.05070, to six digits.

    Klambauer, Unterthiner, Mayr and Hochreiter (2017), arXiv:1706.02515.

    Examples
    --------
    >>> selu([-1000.0, 0.0, 1.0]).round(6)
    array([-1.758099,  0.      ,  1.050701])
    """
    below = (_SELU_SCALE * _SELU_ALPHA) * xp.expm1(bounded(x, xp, high=0.0))
    return _SELU_SCALE * bounded(x, xp, low=0.0) + below
