"""Derivatives of the activations: at x, where y, the activation of x, is known already.

Where two pieces meet, the derivative is that of one of them: the same as in torch, but for
hard_silu, whose derivative has its extremes there.
"""

import math
from typing import Any

from xpnet.arrays.namespace import as_numbers, bounded
from xpnet.functions.hard import _sparse_sigmoid
from xpnet.functions.rectifiers import SELU_ALPHA, SELU_SCALE, _softplus
from xpnet.functions.sigmoids import _sigmoid
from xpnet.functions.special import normal_tail

__all__: list[str] = []  # the table of activations is the way to them

# Beyond it every exponential tail is 0, multiplied by x too; inf * 0 would be NaN.
_FAR = 1e3


def celu(x: Any, _y: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    """Return exp(min(x, 0) / alpha)."""
    return xp.exp(bounded(x, xp, -_FAR * alpha, 0.0) / alpha)


def elu(x: Any, _y: Any, xp: Any, *, alpha: float = 1.0) -> Any:
    """Return 1 above 0, alpha * exp(x) elsewhere."""
    above = as_numbers(x > 0.0, x, xp)
    return alpha * xp.exp(bounded(x, xp, high=0.0)) + (1.0 - alpha) * above


def erf(x: Any, _y: Any, xp: Any) -> Any:
    """Return 2 / sqrt(pi) * exp(-x^2)."""
    z = bounded(x, xp, -40.0, 40.0)
    return (2.0 / math.sqrt(math.pi)) * xp.exp(-z * z)


def exponential(_x: Any, y: Any, _xp: Any) -> Any:
    """Return the function itself."""
    return y


def gelu(x: Any, y: Any, xp: Any, *, approximate: str = "none") -> Any:
    """Return Phi(x) + x Phi'(x), or the like for the logistic approximation of Phi."""
    z = bounded(x, xp, -40.0, 40.0)
    if approximate == "none":
        t = bounded(xp.abs(z), xp, low=1e-18)
        tail = normal_tail(t, xp) / t
        above = as_numbers(z > 0.0, z, xp)
        density = xp.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return above + (1.0 - 2.0 * above) * tail + z * density
    rate = math.sqrt(8.0 / math.pi)
    share = _sigmoid(rate * (z + 0.044715 * z * z * z), xp)
    slope = rate * (1.0 + 0.134145 * z * z)
    return share + bounded(y, xp, high=40.0) * (1.0 - share) * slope


def hard_shrink(x: Any, _y: Any, xp: Any, *, threshold: float = 0.5) -> Any:
    """Return 1 where abs(x) > threshold."""
    return as_numbers(xp.abs(x) > threshold, x, xp)


def hard_sigmoid(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1 / 6 between -3 and 3."""
    return as_numbers(xp.abs(x) < 3.0, x, xp) / 6.0


def hard_silu(x: Any, _y: Any, xp: Any) -> Any:
    """Return x / 3 + 1 / 2 from -3 to 3, 1 above."""
    third = bounded(x, xp, -4.0, 4.0) / 3.0
    inside = as_numbers(xp.abs(third) <= 1.0, x, xp)
    return inside * (third + 0.5) + as_numbers(third > 1.0, x, xp)


def hard_tanh(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1 between -1 and 1."""
    return as_numbers(xp.abs(x) < 1.0, x, xp)


def identity(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1."""
    return xp.ones_like(x)


def leaky_relu(x: Any, _y: Any, xp: Any, *, negative_slope: float = 0.01) -> Any:
    """Return 1 above 0, negative_slope elsewhere."""
    above = as_numbers(x > 0.0, x, xp)
    return above + negative_slope * (1.0 - above)


def log_sigmoid(x: Any, _y: Any, xp: Any) -> Any:
    """Return sigmoid(-x)."""
    return _sigmoid(-x, xp)


def mish(x: Any, _y: Any, xp: Any) -> Any:
    """Return tanh(s) + x sigmoid(x) (1 - tanh(s)^2) with s = softplus(x)."""
    z = bounded(x, xp, -_FAR, _FAR)
    gate = xp.tanh(_softplus(z, xp))
    return gate + z * _sigmoid(z, xp) * (1.0 - gate * gate)


def relu(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1 above 0."""
    return as_numbers(x > 0.0, x, xp)


def relu6(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1 between 0 and 6."""
    return as_numbers((x > 0.0) & (x < 6.0), x, xp)


def selu(x: Any, _y: Any, xp: Any) -> Any:
    """Return SELU_SCALE times the derivative of elu."""
    return SELU_SCALE * elu(x, _y, xp, alpha=SELU_ALPHA)


def sigmoid(_x: Any, y: Any, _xp: Any) -> Any:
    """Return y (1 - y)."""
    return y * (1.0 - y)


def silu(x: Any, y: Any, xp: Any) -> Any:
    """Return s + y (1 - s) with s = sigmoid(x)."""
    share = _sigmoid(x, xp)
    return share + bounded(y, xp, high=_FAR) * (1.0 - share)


def soft_shrink(x: Any, _y: Any, xp: Any, *, threshold: float = 0.5) -> Any:
    """Return 1 where abs(x) > threshold."""
    return as_numbers(xp.abs(x) > threshold, x, xp)


def softplus(x: Any, _y: Any, xp: Any, *, beta: float = 1.0) -> Any:
    """Return sigmoid(beta x)."""
    return _sigmoid(beta * bounded(x, xp, -_FAR / beta, _FAR / beta), xp)


def softsign(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1 / (1 + abs(x))^2."""
    share = 1.0 / (1.0 + xp.abs(x))
    return share * share


def sparse_plus(x: Any, _y: Any, xp: Any) -> Any:
    """Return sparse_sigmoid(x)."""
    return _sparse_sigmoid(x, xp)


def sparse_sigmoid(x: Any, _y: Any, xp: Any) -> Any:
    """Return 1 / 2 between -1 and 1."""
    return 0.5 * as_numbers(xp.abs(x) < 1.0, x, xp)


def squareplus(x: Any, y: Any, xp: Any, *, b: float = 4.0) -> Any:
    """Return y / sqrt(x^2 + b)."""
    z = bounded(x, xp, -1e15, 1e15)
    # Far below 0 y is small, and the root, which is kept from overflowing, no longer |x|.
    return bounded(y, xp, high=1e15) / xp.maximum(xp.sqrt(z * z + b), -x)


def tanh(_x: Any, y: Any, _xp: Any) -> Any:
    """Return 1 - y^2."""
    return 1.0 - y * y


def tanh_shrink(x: Any, _y: Any, xp: Any) -> Any:
    """Return tanh(x)^2."""
    slope = xp.tanh(x)
    return slope * slope


def threshold(x: Any, _y: Any, xp: Any, *, threshold: float = 1.0, **_: float) -> Any:
    """Return 1 above the threshold."""
    return as_numbers(x > threshold, x, xp)


# Of activations along an axis: from the gradient by y to the gradient by x.


def softmax(gradient: Any, _x: Any, y: Any, xp: Any) -> Any:
    """Return y (g - sum(g y))."""
    return y * (gradient - xp.sum(gradient * y, axis=-1, keepdims=True))


def log_softmax(gradient: Any, _x: Any, y: Any, xp: Any) -> Any:
    """Return g - softmax(x) sum(g)."""
    return gradient - xp.exp(y) * xp.sum(gradient, axis=-1, keepdims=True)


def sparsemax(gradient: Any, _x: Any, y: Any, xp: Any) -> Any:
    """Return the gradient less its mean, where y > 0."""
    chosen = as_numbers(y > 0.0, y, xp)
    total = xp.sum(gradient * chosen, axis=-1, keepdims=True)
    return chosen * (gradient - total / xp.sum(chosen, axis=-1, keepdims=True))
