"""Activations of two or three linear pieces.

Pieces are joined by minimum and maximum, which in NumPy are many times faster than a selection by
a mask.
"""

import math
from collections.abc import Callable
from typing import Any

from xpnet.arrays.namespace import bounded, cast
from xpnet.functions.activation import OnnxOperator, activation, share

__all__ = ["hard_sigmoid", "hard_silu", "hard_tanh", "identity", "leaky_relu", "relu", "relu6"]
__all__ += ["step"]

_FEW = 2**10


@activation(ulp=(0, 0), jumps=(0.0,))
def step(x: Any, xp: Any) -> Any:
    """Heaviside step: 1 where x > 0, 0 where x <= 0 (the book's ``step_function``).

    Networks with this activation cannot be trained: its derivative is 0. The result is exact.

    Examples
    --------
    >>> step([-1.0, 0.0, 2.0])
    array([0., 0., 1.])
    """
    return cast(x > 0.0, x.dtype, xp) + 0.0 * bounded(x, xp, -1.0, 1.0)  # NaN stays NaN


@activation(
    derivative=lambda x, _y, xp: xp.ones_like(x),
    ulp=(0, 0),
    onnx=OnnxOperator("Identity", 1),
    torch="Identity",
    keras="linear",
)
def identity(x: Any, xp: Any) -> Any:  # noqa: ARG001 - every formula has a namespace
    """Return x itself (the book's ``identity_function``; also called "linear" in layers).

    float32 and float64 arrays are not copied. The result is exact.

    Examples
    --------
    >>> identity([-1.0, 2.0])
    array([-1.,  2.])
    """
    return x


def _relu_in_place(xp: Any, dtype: Any) -> Callable[[Any, Any], Any]:
    zero, infinity = xp.zeros((), dtype=dtype), xp.full((), math.inf, dtype=dtype)

    def overwrite(x: Any, xp: Any) -> Any:
        # Of 129,024 numbers, clip takes 14 microseconds and maximum 51; of 100, 0.6 and 0.3.
        return xp.maximum(zero, x, out=x) if x.size <= _FEW else x.clip(zero, infinity, out=x)

    return overwrite


@activation(
    derivative=lambda _x, y, xp: cast(y > 0.0, y.dtype, xp),
    in_place=_relu_in_place,
    is_rectifier=True,
    ulp=(0, 0),
    onnx=OnnxOperator("Relu"),
    onnx_clip=(0.0, math.inf),
    torch="ReLU",
    keras="relu",
)
def relu(x: Any, xp: Any) -> Any:
    """Rectified linear unit, max(0, x).

    x * (x > 0) would be NaN at -inf. At 0, which has no derivative, automatic differentiation by
    JAX and torch gives 0.5; training with xpnet uses 0. The result is exact.

    Examples
    --------
    >>> relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])
    """
    return bounded(x, xp, low=0.0)


def _leaky_relu_derivative(x: Any, _y: Any, xp: Any, *, negative_slope: float = 0.01) -> Any:
    is_above = cast(x > 0.0, x.dtype, xp)
    return is_above + negative_slope * (1.0 - is_above)


@activation(
    derivative=_leaky_relu_derivative,
    is_rectifier=True,
    options={"negative_slope": share},
    ulp=(1, 1),
    onnx=OnnxOperator("LeakyRelu", options={"alpha": "negative_slope"}, defaults={"alpha": 0.01}),
    torch="LeakyReLU",
    keras="leaky_relu",
    keras_defaults={"negative_slope": 0.2},
)
def leaky_relu(x: Any, xp: Any, *, negative_slope: float = 0.01) -> Any:
    """Leaky rectified linear unit: x where x > 0, negative_slope * x elsewhere.

    Parameters
    ----------
    x : array of real numbers, or number
    negative_slope : float, default 0.01
        0, or from 1e-30 to 1. The default is that of torch and JAX; it is 0.2 in Keras. For a slope
        of 0, -inf gives 0.

    Examples
    --------
    >>> leaky_relu([-1.0, 2.0], negative_slope=0.5)
    array([-0.5,  2. ])
    """
    if not negative_slope:  # 0 * -inf would be NaN
        return bounded(x, xp, low=0.0)
    return xp.maximum(x, negative_slope * x)


@activation(
    derivative=lambda x, _y, xp: cast((x > 0.0) & (x < 6.0), x.dtype, xp),
    is_rectifier=True,
    turns=(3.0,),
    ulp=(0, 0),
    onnx_clip=(0.0, 6.0),
    torch="ReLU6",
    keras="relu6",
)
def relu6(x: Any, xp: Any) -> Any:
    """Rectified linear unit limited to 6, min(max(0, x), 6). The result is exact.

    Examples
    --------
    >>> relu6([-1.0, 2.0, 7.0])
    array([0., 2., 6.])
    """
    return bounded(x, xp, 0.0, 6.0)


@activation(
    derivative=lambda x, _y, xp: xp.divide(cast(xp.abs(x) < 3.0, x.dtype, xp), 6.0),
    turns=(0.0,),
    ulp=(2, 2),
    onnx=OnnxOperator(
        "HardSigmoid", fixed={"alpha": 1.0 / 6.0, "beta": 0.5}, defaults={"alpha": 0.2, "beta": 0.5}
    ),
    torch="Hardsigmoid",
    keras="hard_sigmoid",
)
def hard_sigmoid(x: Any, xp: Any) -> Any:
    """Piecewise linear sigmoid, min(max(x + 3, 0), 6) / 6, in [0, 1].

    The slope is 1/6 as in torch, Keras 3 and JAX; it is 0.2 in Keras 2 and ONNX.

    Examples
    --------
    >>> hard_sigmoid([-4.0, 0.0, 4.0])
    array([0. , 0.5, 1. ])
    """
    return xp.divide(bounded(x + 3.0, xp, 0.0, 6.0), 6.0)


def _hard_silu_derivative(x: Any, _y: Any, xp: Any) -> Any:
    """Return x / 3 + 1 / 2 from -3 to 3, where it has its extremes, and 1 above."""
    third = xp.divide(bounded(x, xp, -4.0, 4.0), 3.0)
    is_inside = cast(xp.abs(third) <= 1.0, x.dtype, xp)
    return is_inside * (third + 0.5) + cast(third > 1.0, x.dtype, xp)


@activation(
    derivative=_hard_silu_derivative,
    is_rectifier=True,
    turns=(-3.0, 3.0),
    ulp=(3, 3),
    onnx=OnnxOperator("HardSwish", 14),
    onnx_gate="hard_sigmoid",
    torch="Hardswish",
    keras="hard_silu",
)
def hard_silu(x: Any, xp: Any) -> Any:
    """Piecewise sigmoid linear unit, x * hard_sigmoid(x); also called hard swish. -inf gives 0.

    Examples
    --------
    >>> hard_silu([-4.0, 3.0, 4.0]) + 0.0
    array([0., 3., 4.])
    """
    z = bounded(x, xp, low=-3.0)  # -inf * 0 would be NaN
    return z * xp.divide(bounded(z + 3.0, xp, high=6.0), 6.0)


@activation(
    derivative=lambda x, _y, xp: cast(xp.abs(x) < 1.0, x.dtype, xp),
    turns=(0.0,),
    ulp=(0, 0),
    onnx_clip=(-1.0, 1.0),
    torch="Hardtanh",
    keras="hard_tanh",
)
def hard_tanh(x: Any, xp: Any) -> Any:
    """Piecewise linear hyperbolic tangent, min(max(x, -1), 1). The result is exact.

    Examples
    --------
    >>> hard_tanh([-4.0, 0.5, 4.0])
    array([-1. ,  0.5,  1. ])
    """
    return bounded(x, xp, -1.0, 1.0)
