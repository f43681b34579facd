"""Shrinkage activations: hard, soft and tanh shrinkage."""

from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_numbers, bounded
from xpnet.functions.activation import EXACT, Activation, OnnxOperator, UlpBounds, not_negative
from xpnet.functions.dtype_constants import constants_of
from xpnet.functions.special import polynomial

__all__ = ["hard_shrink", "soft_shrink", "tanh_shrink"]

_ONNX_SHRINK = {"lambd": 0.5, "bias": 0.0}


def hard_shrink(x: ArrayT, /, *, threshold: float = 0.5) -> ArrayT:
    """Return x where abs(x) > threshold, 0 elsewhere. The result is exact.

    Parameters
    ----------
    x : array of real numbers, or number
    threshold : float, default 0.5
        From 0 to 1e30 (``lambd`` in torch).

    Examples
    --------
    >>> hard_shrink([-2.0, 0.25, 2.0])
    array([-2.,  0.,  2.])
    """
    return apply(_hard_shrink, x, threshold=not_negative(threshold, "threshold"))


def _hard_shrink(x: Any, xp: Any, *, threshold: float = 0.5) -> Any:
    # Not the opposite comparison: XLA turns a product with booleans into a selection, which would
    # give 0 for NaN.
    return x * as_numbers(~(xp.abs(x) <= threshold), x, xp)


HARD_SHRINK = Activation(
    _hard_shrink,
    derivative=lambda x, _y, xp, threshold=0.5: as_numbers(xp.abs(x) > threshold, x, xp),
    jumps=lambda threshold=0.5: (-threshold, threshold) if threshold else (),
    options={"threshold": not_negative},
    ulp=EXACT,
    onnx=OnnxOperator("Shrink", 9, {"lambd": "threshold"}, {"bias": 0.0}, _ONNX_SHRINK),
    torch="Hardshrink",
    torch_names={"threshold": "lambd"},
    keras="hard_shrink",
)


def soft_shrink(x: ArrayT, /, *, threshold: float = 0.5) -> ArrayT:
    """Shrink towards 0: sign(x) * max(abs(x) - threshold, 0).

    The error is at most 1 ULP in float32 and float64.

    Parameters
    ----------
    x : array of real numbers, or number
    threshold : float, default 0.5
        From 0 to 1e30 (``lambd`` in torch).

    Examples
    --------
    >>> soft_shrink([-2.0, 0.25, 2.0])
    array([-1.5,  0. ,  1.5])
    """
    return apply(_soft_shrink, x, threshold=not_negative(threshold, "threshold"))


def _soft_shrink(x: Any, xp: Any, *, threshold: float = 0.5) -> Any:
    return x - bounded(x, xp, -threshold, threshold)


SOFT_SHRINK = Activation(
    _soft_shrink,
    derivative=lambda x, _y, xp, threshold=0.5: as_numbers(xp.abs(x) > threshold, x, xp),
    options={"threshold": not_negative},
    ulp=UlpBounds(numpy=(1, 1), torch=(1, 1), jax=(1, 1)),
    onnx=OnnxOperator("Shrink", 9, dict.fromkeys(_ONNX_SHRINK, "threshold"), defaults=_ONNX_SHRINK),
    torch="Softshrink",
    torch_names={"threshold": "lambd"},
    keras="soft_shrink",
)


def tanh_shrink(x: ArrayT, /) -> ArrayT:
    """Return x - tanh(x).

    From -1 to 1, where the difference would lose digits, a polynomial is used. The error is at
    most, in float32 and float64: 4 and 6 ULP on NumPy, 5 and 5 on torch, 9 and 13 on JAX.

    Examples
    --------
    >>> tanh_shrink([0.0, 1000.0])
    array([  0., 999.])
    """
    return apply(_tanh_shrink, x)


def _tanh_shrink(x: Any, xp: Any) -> Any:
    z = bounded(x, xp, -1.0, 1.0)
    square = z * z
    near = z * square * polynomial(constants_of(x, xp).tanh_remainder, square)
    return near + ((x - z) - (xp.tanh(x) - xp.tanh(z)))  # the second term is 0 from -1 to 1


def _tanh_shrink_derivative(x: Any, _y: Any, xp: Any) -> Any:
    slope = xp.tanh(x)
    return slope * slope


TANH_SHRINK = Activation(
    _tanh_shrink,
    derivative=_tanh_shrink_derivative,
    # An error of 2 ULP in CUDA's tanh becomes four times as large at 1.
    ulp=UlpBounds(numpy=(4, 6), torch=(5, 5), jax=(9, 13), cupy=(10, 7)),
    torch="Tanhshrink",
    keras="tanh_shrink",
)
