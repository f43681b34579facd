"""Exponential function and exponential linear units."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import Activation, OnnxOperator, UlpBounds, positive
from xpnet.functions.dtype_constants import constants_of

__all__ = ["celu", "elu", "exponential", "selu"]

# Constants of SELU: a layer of many standard normal inputs has outputs of mean 0 and variance 1.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def exponential(x: ArrayT, /) -> ArrayT:
    """Exponential function, exp(x): inf above the logarithm of the dtype's largest number.

    Computed by the array library, without overflow and its warning. The error is at most, in
    float32 and float64: 3 and 1 ULP on NumPy, 1 and 1 on torch, 6 and 2 on JAX.

    Examples
    --------
    >>> exponential([-1000.0, 0.0, 1000.0])
    array([ 0.,  1., inf])
    """
    return apply(_exponential, x)


def _exponential(x: Any, xp: Any) -> Any:
    limit = constants_of(x, xp).largest_exponent
    return xp.where(x > limit, xp.inf, xp.exp(bounded(x, xp, high=limit)))


EXPONENTIAL = Activation(
    _exponential,
    derivative=lambda _x, y, _xp: y,
    ulp=UlpBounds(numpy=(3, 1), torch=(1, 1), jax=(6, 2)),
    onnx=OnnxOperator("Exp"),
    keras="exponential",
)


def elu(x: ArrayT, /, *, alpha: float = 1.0) -> ArrayT:
    """Exponential linear unit: x where x > 0, alpha * (exp(x) - 1) elsewhere.

    expm1 keeps the digits that exp(x) - 1 loses near 0. The error is at most, in float32 and
    float64: 4 and 2 ULP on NumPy, 2 and 2 on torch, 6 and 5 on JAX.

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
    return apply(_elu, x, alpha=positive(alpha, "alpha"))


def _elu(x: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    below = xp.expm1(bounded(x, xp, high=0.0))
    return bounded(x, xp, low=0.0) + (below if alpha == 1.0 else alpha * below)


def _elu_derivative(x: Any, _y: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    is_above = as_numbers(x > 0.0, x, xp)
    return alpha * xp.exp(bounded(x, xp, high=0.0)) + (1.0 - alpha) * is_above


ELU = Activation(
    _elu,
    derivative=_elu_derivative,
    is_rectifier=True,
    turns=(0.0,),
    options={"alpha": positive},
    ulp=UlpBounds(numpy=(4, 2), torch=(2, 2), jax=(6, 5)),
    onnx=OnnxOperator("Elu", options={"alpha": "alpha"}, defaults={"alpha": 1.0}),
    torch="ELU",
    keras="elu",
)


def celu(x: ArrayT, /, *, alpha: float = 1.0) -> ArrayT:
    """Continuously differentiable ELU: x where x > 0, alpha * (exp(x / alpha) - 1) elsewhere.

    If x / alpha is below the smallest normal number, the result may be 0. The error is at most, in
    float32 and float64: 4 and 2 ULP on NumPy, 2 and 2 on torch, 6 and 5 on JAX.

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
    return apply(_celu, x, alpha=positive(alpha, "alpha"))


def _celu(x: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    if alpha == 1.0:
        return _elu(x, xp)
    z = xp.divide(bounded(x, xp, -1e3 * alpha, 0.0), alpha)  # x / alpha could overflow
    return bounded(x, xp, low=0.0) + alpha * xp.expm1(z)


def _celu_derivative(x: Any, _y: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    return xp.exp(xp.divide(bounded(x, xp, -1e3 * alpha, 0.0), alpha))


CELU = Activation(
    _celu,
    derivative=_celu_derivative,
    is_rectifier=True,
    options={"alpha": positive},
    ulp=UlpBounds(numpy=(4, 2), torch=(2, 2), jax=(6, 5)),
    onnx=OnnxOperator("Celu", 12, {"alpha": "alpha"}, defaults={"alpha": 1.0}),
    torch="CELU",
    keras="celu",
)


def selu(x: ArrayT, /) -> ArrayT:
    """Scaled exponential linear unit: elu(x, alpha=1.67326) times 1.05070, to six digits.

    Klambauer, Unterthiner, Mayr and Hochreiter (2017), arXiv:1706.02515. The error is at most, in
    float32 and float64: 4 and 3 ULP on NumPy, 3 and 3 on torch, 7 and 7 on JAX.

    Examples
    --------
    >>> selu([-1000.0, 0.0, 1.0]).round(6)
    array([-1.758099,  0.      ,  1.050701])
    """
    return apply(_selu, x)


def _selu(x: Any, xp: Any) -> Any:
    top = constants_of(x, xp).largest_selu
    # The product with a rounded factor must not overflow before the true one does.
    growing = _SELU_SCALE * bounded(x, xp, 0.0, top * (1.0 - float(xp.finfo(x.dtype).eps)))
    below = (_SELU_SCALE * _SELU_ALPHA) * xp.expm1(bounded(x, xp, high=0.0))
    return xp.where(x > top, xp.inf, growing + below)


_ONNX_SELU = {"alpha": _SELU_ALPHA, "gamma": _SELU_SCALE}
SELU = Activation(
    _selu,
    derivative=lambda x, y, xp: _SELU_SCALE * _elu_derivative(x, y, xp, alpha=_SELU_ALPHA),
    turns=(0.0,),
    ulp=UlpBounds(numpy=(4, 3), torch=(3, 3), jax=(7, 7)),
    onnx=OnnxOperator("Selu", fixed=_ONNX_SELU, defaults=_ONNX_SELU),
    torch="SELU",
    keras="selu",
)
