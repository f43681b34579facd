"""Smooth rectifiers: softplus."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded
from xpnet.functions.activation import Activation, OnnxOperator, UlpBounds
from xpnet.functions.sigmoids import _sigmoid

__all__ = ["softplus"]


def softplus(x: ArrayT, /) -> ArrayT:
    """Smooth rectifier, log(1 + exp(x)), at least 0.

    Computed as max(x, 0) + log(1 + exp(-abs(x))), where exp cannot overflow; logaddexp takes ten
    times as long in NumPy. The error is at most, in float32 and float64: 4 and 2 ULP on NumPy, 2
    and 2 on torch, 3 and 3 on JAX.

    Examples
    --------
    >>> softplus([-1000.0, 0.0, 2.0]).round(6)
    array([0.      , 0.693147, 2.126928])
    """
    return apply(_softplus, x)


def _softplus(x: Any, xp: Any) -> Any:
    return bounded(x, xp, low=0.0) + xp.log1p(xp.exp(xp.minimum(x, -x)))


SOFTPLUS = Activation(
    _softplus,
    derivative=lambda x, _y, xp: _sigmoid(x, xp),
    ulp=UlpBounds(numpy=(4, 2), torch=(2, 2), jax=(3, 3)),
    onnx=OnnxOperator("Softplus", 1),
    torch="Softplus",
    keras="softplus",
)
