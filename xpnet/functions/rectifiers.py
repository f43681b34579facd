"""Smooth rectifiers: softplus and squareplus."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, bounded
from xpnet.functions.activation import Activation, OnnxOperator, UlpBounds, positive
from xpnet.functions.sigmoids import _sigmoid
from xpnet.functions.special import product_with_error

__all__ = ["softplus", "squareplus"]


def softplus(x: ArrayT, /, *, beta: float = 1.0) -> ArrayT:
    """Smooth rectifier, log(1 + exp(beta * x)) / beta, at least 0.

    Computed as max(x, 0) + log(1 + exp(-beta * abs(x))) / beta, where exp cannot overflow;
    logaddexp takes ten times as long in NumPy. If exp(beta * x) is below the smallest normal
    number, the result may be 0. The error is at most, in float32 and float64: 4 and 2 ULP on NumPy,
    2 and 2 on torch, 3 and 3 on JAX. With a `beta` other than 1, it is 2 ULP larger.

    Parameters
    ----------
    x : array of real numbers, or number
    beta : float, default 1.0
        From 1e-6 to 1e6, as in torch; it is always 1 in Keras and JAX. torch's ``threshold``, above
        which x is returned, is not needed.

    Examples
    --------
    >>> softplus([-1000.0, 0.0, 2.0]).round(6)
    array([0.      , 0.693147, 2.126928])
    """
    return apply(_softplus, x, beta=positive(beta, "beta"))


def _softplus(x: Any, xp: Any, *, beta: float = 1.0) -> Any:
    negative = xp.minimum(x, -x)
    if beta == 1.0:
        tail = xp.log1p(xp.exp(negative))
    else:
        # beta * x could overflow, and exp would amplify its rounding error.
        exponent, rest = product_with_error(beta, bounded(negative, xp, low=-1e4 / beta), xp)
        tail = xp.divide(xp.log1p(xp.exp(exponent) * (1.0 + rest)), beta)
    return bounded(x, xp, low=0.0) + tail


def _softplus_derivative(x: Any, _y: Any, xp: Any, *, beta: float = 1.0) -> Any:
    return _sigmoid(beta * bounded(x, xp, -1e3 / beta, 1e3 / beta), xp)


def _softplus_ulp(beta: float = 1.0) -> UlpBounds:
    extra = 0.0 if beta == 1.0 else 2.0
    return UlpBounds(numpy=(4, 2), torch=(2, 2), jax=(3, 3), extra=extra)


SOFTPLUS = Activation(
    _softplus,
    derivative=_softplus_derivative,
    options={"beta": positive},
    ulp=_softplus_ulp,
    onnx=OnnxOperator("Softplus", 1, given={"beta": 1.0}),
    torch="Softplus",
    keras="softplus",
)


def squareplus(x: ArrayT, /, *, b: float = 4.0) -> ArrayT:
    """Smooth rectifier without an exponential, (x + sqrt(x^2 + b)) / 2, at least 0.

    Computed as max(x, 0) + b / 2 / (sqrt(x^2 + b) + abs(x)), without cancellation below 0. The
    error is at most, in float32 and float64: 4 and 4 ULP on NumPy, 5 and 4 on torch, 4 and 4 on
    JAX.

    Parameters
    ----------
    x : array of real numbers, or number
    b : float, default 4.0
        From 1e-6 to 1e6; a larger value widens the bend. The default is that of Keras and JAX.

    Examples
    --------
    >>> squareplus([-1e9, 0.0, 1.5])
    array([1.e-09, 1.e+00, 2.e+00])
    """
    return apply(_squareplus, x, b=positive(b, "b"))


def _squareplus(x: Any, xp: Any, *, b: float = 4.0) -> Any:
    t = xp.maximum(x, -x)  # abs(x), whose derivative at 0 is 1 in JAX
    s = bounded(t, xp, high=1e15)  # beyond, b makes no difference, and t^2 may overflow
    root = xp.sqrt(s * s + b)
    share = xp.divide(root, root + s)
    return bounded(x, xp, low=0.0) + xp.divide(0.5 * b, xp.maximum(root, t)) * share


def _squareplus_derivative(x: Any, y: Any, xp: Any, *, b: float = 4.0) -> Any:
    """Return y / sqrt(x^2 + b)."""
    z = bounded(x, xp, -1e15, 1e15)
    # Far below 0, where y is small, the bounded root is smaller than abs(x).
    return xp.divide(bounded(y, xp, high=1e15), xp.maximum(xp.sqrt(z * z + b), -x))


SQUAREPLUS = Activation(
    _squareplus,
    derivative=_squareplus_derivative,
    options={"b": positive},
    ulp=UlpBounds(numpy=(4, 4), torch=(5, 4), jax=(4, 4)),
    keras="squareplus",
)
