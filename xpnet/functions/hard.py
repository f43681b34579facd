"""Piecewise linear approximations of smooth activations."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import EXACT, Activation, OnnxOperator, UlpBounds

__all__ = ["hard_sigmoid", "hard_silu", "hard_tanh"]


def hard_sigmoid(x: ArrayT, /) -> ArrayT:
    """Piecewise linear sigmoid, min(max(x + 3, 0), 6) / 6, in [0, 1].

    The slope is 1/6 as in torch, Keras 3 and JAX; it is 0.2 in Keras 2 and ONNX. The error is at
    most, in float32 and float64: 1 and 1 ULP on NumPy, 1 and 1 on torch, 2 and 2 on JAX.

    Examples
    --------
    >>> hard_sigmoid([-4.0, 0.0, 4.0])
    array([0. , 0.5, 1. ])
    """
    return apply(_hard_sigmoid, x)


def _hard_sigmoid(x: Any, xp: Any) -> Any:
    return xp.divide(bounded(x + 3.0, xp, 0.0, 6.0), 6.0)


HARD_SIGMOID = Activation(
    _hard_sigmoid,
    derivative=lambda x, _y, xp: xp.divide(as_numbers(xp.abs(x) < 3.0, x, xp), 6.0),
    turns=(0.0,),
    ulp=UlpBounds(numpy=(1, 1), torch=(1, 1), jax=(2, 2)),
    onnx=OnnxOperator(
        "HardSigmoid", fixed={"alpha": 1.0 / 6.0, "beta": 0.5}, defaults={"alpha": 0.2, "beta": 0.5}
    ),
    torch="Hardsigmoid",
    keras="hard_sigmoid",
)


def hard_silu(x: ArrayT, /) -> ArrayT:
    """Piecewise sigmoid linear unit, x * hard_sigmoid(x); also called hard swish.

    -inf gives 0. The error is at most, in float32 and float64: 2 and 2 ULP on NumPy, 2 and 2 on
    torch, 3 and 3 on JAX.

    Examples
    --------
    >>> hard_silu([-4.0, 3.0, 4.0]) + 0.0
    array([0., 3., 4.])
    """
    return apply(_hard_silu, x)


def _hard_silu(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, low=-3.0)  # -inf * 0 would be NaN
    return z * xp.divide(bounded(z + 3.0, xp, high=6.0), 6.0)


def _hard_silu_derivative(x: Any, _y: Any, xp: Any) -> Any:
    """Return x / 3 + 1 / 2 from -3 to 3, where it has its extremes, and 1 above."""
    third = xp.divide(bounded(x, xp, -4.0, 4.0), 3.0)
    is_inside = as_numbers(xp.abs(third) <= 1.0, x, xp)
    return is_inside * (third + 0.5) + as_numbers(third > 1.0, x, xp)


HARD_SILU = Activation(
    _hard_silu,
    derivative=_hard_silu_derivative,
    is_rectifier=True,
    turns=(-3.0, 3.0),
    ulp=UlpBounds(numpy=(2, 2), torch=(2, 2), jax=(3, 3)),
    onnx=OnnxOperator("HardSwish", 14),
    onnx_gate="hard_sigmoid",
    torch="Hardswish",
    keras="hard_silu",
)


def hard_tanh(x: ArrayT, /) -> ArrayT:
    """Piecewise linear hyperbolic tangent, min(max(x, -1), 1). The result is exact.

    Examples
    --------
    >>> hard_tanh([-4.0, 0.5, 4.0])
    array([-1. ,  0.5,  1. ])
    """
    return apply(_hard_tanh, x)


def _hard_tanh(x: Any, xp: Any) -> Any:
    return bounded(x, xp, -1.0, 1.0)


HARD_TANH = Activation(
    _hard_tanh,
    derivative=lambda x, _y, xp: as_numbers(xp.abs(x) < 1.0, x, xp),
    turns=(0.0,),
    ulp=EXACT,
    onnx_clip=(-1.0, 1.0),
    torch="Hardtanh",
    keras="hard_tanh",
)
