"""Activations of two or three linear pieces.

Pieces are joined by minimum and maximum, which in NumPy are many times faster than a selection by
a mask.
"""

import math
from collections.abc import Callable
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import EXACT, Activation, OnnxOperator, UlpBounds, share

__all__ = ["identity", "leaky_relu", "relu", "relu6", "step"]

_FEW = 2**10


def step(x: ArrayT, /) -> ArrayT:
    """Heaviside step: 1 where x > 0, 0 where x <= 0 (the book's ``step_function``).

    Networks with this activation cannot be trained: its derivative is 0. The result is exact.

    Examples
    --------
    >>> step([-1.0, 0.0, 2.0])
    array([0., 0., 1.])
    """
    return apply(_step, x)


def _step(x: Any, xp: Any) -> Any:
    return as_numbers(x > 0.0, x, xp) + 0.0 * bounded(x, xp, -1.0, 1.0)  # NaN stays NaN


STEP = Activation(_step, jumps=lambda: (0.0,), ulp=EXACT)


def identity(x: ArrayT, /) -> ArrayT:
    """Return x itself (the book's ``identity_function``; also called "linear" in layers).

    float32 and float64 arrays are not copied. The result is exact.

    Examples
    --------
    >>> identity([-1.0, 2.0])
    array([-1.,  2.])
    """
    return apply(_identity, x)


def _identity(x: Any, _xp: Any) -> Any:
    return x


IDENTITY = Activation(
    _identity,
    derivative=lambda x, _y, xp: xp.ones_like(x),
    ulp=EXACT,
    onnx=OnnxOperator("Identity", 1),
    torch="Identity",
    keras="linear",
)


def relu(x: ArrayT, /) -> ArrayT:
    """Rectified linear unit, max(0, x).

    x * (x > 0) would be NaN at -inf. At 0, which has no derivative, automatic differentiation by
    JAX and torch gives 0.5; training with xpnet uses 0. The result is exact.

    Examples
    --------
    >>> relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])
    """
    return apply(_relu, x)


def _relu(x: Any, xp: Any) -> Any:
    return bounded(x, xp, low=0.0)


def _relu_in_place(xp: Any, dtype: Any) -> Callable[[Any, Any], Any]:
    zero, infinity = xp.zeros((), dtype=dtype), xp.full((), math.inf, dtype=dtype)

    def overwrite(x: Any, xp: Any) -> Any:
        # Of 129,024 numbers, clip takes 14 microseconds and maximum 51; of 100, 0.6 and 0.3.
        return xp.maximum(zero, x, out=x) if x.size <= _FEW else x.clip(zero, infinity, out=x)

    return overwrite


RELU = Activation(
    _relu,
    in_place=_relu_in_place,
    derivative=lambda _x, y, xp: as_numbers(y > 0.0, y, xp),
    is_rectifier=True,
    ulp=EXACT,
    onnx=OnnxOperator("Relu"),
    onnx_clip=(0.0, math.inf),
    torch="ReLU",
    keras="relu",
)


def leaky_relu(x: ArrayT, /, *, negative_slope: float = 0.01) -> ArrayT:
    """Leaky rectified linear unit: x where x > 0, negative_slope * x elsewhere.

    The error is at most 1 ULP in float32 and float64.

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
    return apply(_leaky_relu, x, negative_slope=share(negative_slope, "negative_slope"))


def _leaky_relu(x: Any, xp: Any, *, negative_slope: float = 0.01) -> Any:
    if not negative_slope:  # 0 * -inf would be NaN
        return _relu(x, xp)
    return xp.maximum(x, negative_slope * x)


def _leaky_relu_derivative(x: Any, _y: Any, xp: Any, *, negative_slope: float = 0.01) -> Any:
    is_above = as_numbers(x > 0.0, x, xp)
    return is_above + negative_slope * (1.0 - is_above)


LEAKY_RELU = Activation(
    _leaky_relu,
    derivative=_leaky_relu_derivative,
    is_rectifier=True,
    options={"negative_slope": share},
    ulp=UlpBounds(numpy=(1, 1), torch=(1, 1), jax=(1, 1)),
    onnx=OnnxOperator("LeakyRelu", options={"alpha": "negative_slope"}, defaults={"alpha": 0.01}),
    torch="LeakyReLU",
    keras="leaky_relu",
    keras_defaults={"negative_slope": 0.2},
)


def relu6(x: ArrayT, /) -> ArrayT:
    """Rectified linear unit limited to 6, min(max(0, x), 6). The result is exact.

    Examples
    --------
    >>> relu6([-1.0, 2.0, 7.0])
    array([0., 2., 6.])
    """
    return apply(_relu6, x)


def _relu6(x: Any, xp: Any) -> Any:
    return bounded(x, xp, 0.0, 6.0)


RELU6 = Activation(
    _relu6,
    derivative=lambda x, _y, xp: as_numbers((x > 0.0) & (x < 6.0), x, xp),
    is_rectifier=True,
    turns=(3.0,),
    ulp=EXACT,
    onnx_clip=(0.0, 6.0),
    torch="ReLU6",
    keras="relu6",
)
