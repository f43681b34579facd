"""Gated activations: x times a factor between 0 and 1."""

import math
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import Activation, OnnxOperator, UlpBounds, one_of
from xpnet.functions.rectifiers import _softplus
from xpnet.functions.sigmoids import _sigmoid
from xpnet.functions.special import logistic_tail, normal_tail, split_exp

__all__ = ["gelu", "mish", "silu"]


def silu(x: ArrayT, /) -> ArrayT:
    """Sigmoid linear unit, x * sigmoid(x), at least -0.2785; also called swish.

    Computed as x / (1 + exp(-x)), with the exponential in two factors where it would overflow. -inf
    gives 0, the limit, where torch and JAX give NaN. The error is at most, in float32 and float64:
    4 and 3 ULP on NumPy, 3 and 3 on torch, 3 and 3 on JAX.

    Examples
    --------
    >>> silu([-1000.0, 0.0, 1000.0]) + 0.0
    array([   0.,    0., 1000.])
    """
    return apply(_silu, x)


def _silu(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, low=-1e3)
    growth, rest = split_exp(-z, xp)
    return xp.divide(z * xp.exp(rest), 1.0 + growth)


def _silu_derivative(x: Any, y: Any, xp: Any) -> Any:
    gate = _sigmoid(x, xp)
    return gate + bounded(y, xp, high=1e3) * (1.0 - gate)  # inf * 0 would be NaN


SILU = Activation(
    _silu,
    derivative=_silu_derivative,
    is_rectifier=True,
    turns=(-2.3993572805154677, 2.3993572805154677),
    ulp=UlpBounds(numpy=(4, 3), torch=(3, 3), jax=(3, 3)),
    onnx_gate="sigmoid",
    torch="SiLU",
    keras="silu",
)


def mish(x: ArrayT, /) -> ArrayT:
    """Return x * tanh(softplus(x)), at least -0.3089 (Misra 2019, arXiv:1908.08681).

    With w = exp(-x), tanh(softplus(x)) is 1 / (1 + 2 w^2 / (1 + 2 w)), whose inner fraction is
    w - w / (1 + 2 w): one exponential, and no square that could overflow. -inf gives 0. The error
    is at most, in float32 and float64: 4 and 3 ULP on NumPy, 3 and 3 on torch, 3 and 3 on JAX.

    Examples
    --------
    >>> mish([-1000.0, 0.0, 1000.0]) + 0.0
    array([   0.,    0., 1000.])
    """
    return apply(_mish, x)


def _mish(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, low=-1e3)
    growth, rest = split_exp(-z, xp)
    fraction = xp.divide(growth, 1.0 + 2.0 * growth)
    return xp.divide(z * xp.exp(rest), 1.0 + (growth - fraction))


def _mish_derivative(x: Any, _y: Any, xp: Any) -> Any:
    z = bounded(x, xp, -1e3, 1e3)  # inf * 0 would be NaN
    gate = xp.tanh(_softplus(z, xp))
    return gate + z * _sigmoid(z, xp) * (1.0 - gate * gate)


MISH = Activation(
    _mish,
    derivative=_mish_derivative,
    is_rectifier=True,
    turns=(-2.2563763963607931, 1.4905711794854285),
    ulp=UlpBounds(numpy=(4, 3), torch=(3, 3), jax=(3, 3)),
    onnx=OnnxOperator("Mish", 18),
    torch="Mish",
    keras="mish",
)


def gelu(x: ArrayT, /, *, approximate: str = "none") -> ArrayT:
    """Gaussian error linear unit, x * Phi(x), where Phi is the standard normal CDF.

    At least -0.17; -inf gives 0. Both forms are computed as max(x, 0) minus abs(x) times a tail,
    which keeps all digits far below 0, where 1 + erf and 1 + tanh lose them. The rounding error of
    the exponent, which exp would amplify, is corrected for (Hendrycks and Gimpel 2016,
    arXiv:1606.08415).

    The error is at most, in float32 and float64: 6 and 4 ULP on NumPy, 5 and 4 on torch, 5 and 4 on
    JAX. With approximate="tanh", the error is at most, in float32 and float64: 4 and 3 ULP on
    NumPy, 4 and 3 on torch, 4 and 4 on JAX.

    Parameters
    ----------
    x : array of real numbers, or number
    approximate : {"none", "tanh"}, default "none"
        "tanh" for x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), which differs by less than
        5e-4. The strings and the default are those of torch. Keras has a boolean, and the default
        of JAX is the tanh form.

    Examples
    --------
    >>> gelu([-1000.0, 0.0, 1.0]).round(6) + 0.0
    array([0.      , 0.      , 0.841345])
    """
    return apply(_gelu, x, approximate=_is_form(approximate, "approximate"))


def _gelu(x: Any, xp: Any, *, approximate: str = "none") -> Any:
    t = bounded(xp.maximum(x, -x), xp, high=40.0)  # abs(x), whose derivative at 0 is 1 in JAX
    tail = normal_tail(t, xp) if approximate == "none" else logistic_tail(t, xp)
    return bounded(x, xp, low=0.0) - tail


def _gelu_derivative(x: Any, y: Any, xp: Any, *, approximate: str = "none") -> Any:
    """Return Phi(x) + x Phi'(x), where Phi is the exact or the approximate CDF."""
    z = bounded(x, xp, -40.0, 40.0)
    if approximate == "none":
        t = bounded(xp.abs(z), xp, low=1e-18)
        tail = xp.divide(normal_tail(t, xp), t)
        is_above = as_numbers(z > 0.0, z, xp)
        density = xp.divide(xp.exp(-0.5 * z * z), math.sqrt(2.0 * math.pi))
        return is_above + (1.0 - 2.0 * is_above) * tail + z * density
    rate = math.sqrt(8.0 / math.pi)
    gate = _sigmoid(rate * (z + 0.044715 * z * z * z), xp)
    slope = rate * (1.0 + 0.134145 * z * z)
    return gate + bounded(y, xp, high=40.0) * (1.0 - gate) * slope


def _gelu_ulp(approximate: str = "none") -> UlpBounds:
    if approximate == "none":
        return UlpBounds(numpy=(6, 4), torch=(5, 4), jax=(5, 4))
    return UlpBounds(numpy=(4, 3), torch=(4, 3), jax=(4, 4))


_is_form = one_of("none", "tanh")

GELU = Activation(
    _gelu,
    derivative=_gelu_derivative,
    is_rectifier=True,
    # Of the exact form, at sqrt(2), and of the tanh form.
    turns=(-math.sqrt(2.0), -1.4185040087908284, 1.4185040087908284, math.sqrt(2.0)),
    options={"approximate": _is_form},
    ulp=_gelu_ulp,
    onnx=OnnxOperator("Gelu", 20, {"approximate": "approximate"}, defaults={"approximate": "none"}),
    torch="GELU",
    keras="gelu",
)
