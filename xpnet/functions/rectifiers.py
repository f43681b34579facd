"""Smooth rectifiers: softplus, SiLU and Mish."""

from typing import Any

from xpnet.arrays.namespace import bounded
from xpnet.functions.activation import OnnxOperator, activation
from xpnet.functions.sigmoids import exp_and_mask, sigmoid

__all__ = ["mish", "silu", "softplus"]


@activation(
    derivative=lambda x, _y, xp: sigmoid.formula(x, xp),
    ulp=(4, 3),
    onnx=OnnxOperator("Softplus", 1),
    torch="Softplus",
    keras="softplus",
)
def softplus(x: Any, xp: Any) -> Any:
    """Smooth rectifier, log(1 + exp(x)), at least 0.

    Computed as max(x, 0) + log(1 + exp(-abs(x))), where exp cannot overflow; logaddexp takes ten
    times as long in NumPy.

    Examples
    --------
    >>> softplus([-1000.0, 0.0, 2.0]).round(6)
    array([0.      , 0.693147, 2.126928])
    """
    return bounded(x, xp, low=0.0) + xp.log1p(xp.exp(xp.minimum(x, -x)))


def _silu_derivative(x: Any, y: Any, xp: Any) -> Any:
    gate = sigmoid.formula(x, xp)
    return gate + bounded(y, xp, high=1e3) * (1.0 - gate)  # inf * 0 would be NaN


@activation(
    derivative=_silu_derivative,
    is_rectifier=True,
    turns=(-2.3993572805154677, 2.3993572805154677),
    ulp=(4, 4),
    onnx_gate="sigmoid",
    torch="SiLU",
    keras="silu",
)
def silu(x: Any, xp: Any) -> Any:
    """Sigmoid linear unit, x / (1 + exp(-x)), at least -0.2785; also called swish.

    -inf gives 0, the limit, where torch and JAX give NaN.

    Examples
    --------
    >>> silu([-1000.0, 0.0, 1000.0]) + 0.0
    array([   0.,    0., 1000.])
    """
    z = bounded(x, xp, low=-1e3)  # -inf * 0 would be NaN
    growth, mask = exp_and_mask(-z, xp)
    return xp.divide(z * mask, 1.0 + growth)


def _mish_derivative(x: Any, _y: Any, xp: Any) -> Any:
    z = bounded(x, xp, -1e3, 1e3)  # inf * 0 would be NaN
    gate = xp.tanh(softplus.formula(z, xp))
    return gate + z * sigmoid.formula(z, xp) * (1.0 - gate * gate)


@activation(
    derivative=_mish_derivative,
    is_rectifier=True,
    turns=(-2.2563763963607931, 1.4905711794854285),
    ulp=(4, 4),
    onnx=OnnxOperator("Mish", 18),
    torch="Mish",
    keras="mish",
)
def mish(x: Any, xp: Any) -> Any:
    """Return x * tanh(softplus(x)), at least -0.3089 (Misra 2019, arXiv:1908.08681).

    With w = exp(-x), tanh(softplus(x)) is 1 / (1 + 2 w^2 / (1 + 2 w)), whose inner fraction is
    w - w / (1 + 2 w): one exponential, and no square that could overflow. -inf gives 0.

    Examples
    --------
    >>> mish([-1000.0, 0.0, 1000.0]) + 0.0
    array([   0.,    0., 1000.])
    """
    z = bounded(x, xp, low=-1e3)  # -inf * 0 would be NaN
    growth, mask = exp_and_mask(-z, xp)
    fraction = growth - xp.divide(growth, 1.0 + 2.0 * growth)
    return xp.divide(z * mask, 1.0 + fraction)
