"""Rounding errors of floating-point formats, and of activation functions computed in them."""

import math
import sys
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import dtype_name
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import log_softmax_bound, softmax_bound
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network

__all__ = ["FORMATS", "FloatFormat", "Floats", "finite", "format_before_cast", "format_of"]
__all__ += ["function_error", "rowwise_error"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class FloatFormat:
    """Limits of a floating-point format, and the growth of rounding errors in it."""

    name: str
    # The largest relative error of one rounding: half the distance from 1 to the next number.
    unit: float
    normal: float  # the smallest normal number
    # The largest number that may be replaced by zero: the smallest normal number, since GPUs and
    # JAX flush subnormal ones; in float16, which nothing flushes, the smallest number.
    floor: float
    slack: float  # the largest result of a function in float32 or float64 that may be zero instead
    largest: float  # the largest finite number

    def holds(self, dtype: np.dtype[Any]) -> bool:
        """Return whether all numbers of a dtype are in this format, so that a cast is exact."""
        if dtype.kind in "biu":
            return dtype.kind == "b" or 2.0 ** (8 * dtype.itemsize) * self.unit <= 1.0
        form = FORMATS.get(dtype_name(dtype))
        return form is not None and self.unit <= form.unit and self.largest >= form.largest

    def limited(self, error: Floats, sizes: Floats) -> Floats:
        """Return errors with inf where numbers of some sizes may overflow."""
        return np.where(sizes + error <= self.largest, error, np.inf)

    def spread(self, n_roundings: Any, factor: float) -> Any:
        """Return the relative standard deviation of n independent roundings.

        It is ``sqrt(n) * unit`` if that is small, and includes all higher orders otherwise. The
        sum of the errors exceeds `factor` times it with the probability of that factor.
        """
        return np.expm1(factor * np.sqrt(n_roundings) * self.unit) / factor

    def worst(self, n_roundings: Any) -> Any:
        """Return the relative error of n roundings in the same direction."""
        share = np.asarray(n_roundings * self.unit)
        return np.where(share < 1.0, share / np.maximum(1.0 - share, self.unit), np.inf)


_TINY, _SLACK, _HUGE = 2.0**-126, 2.0**-120, 2.0**127
FORMATS = {
    row.name: row
    for row in (
        FloatFormat("float16", 2.0**-11, 2.0**-14, 2.0**-24, _SLACK, 65504.0),
        FloatFormat("bfloat16", 2.0**-8, _TINY, _TINY, _SLACK, (2.0 - 2.0**-7) * _HUGE),
        FloatFormat("float32", 2.0**-24, _TINY, _TINY, _SLACK, (2.0 - 2.0**-23) * _HUGE),
        FloatFormat("float64", 2.0**-53, 2.0**-1022, 2.0**-1022, 2.0**-1000, sys.float_info.max),
    )
}


def format_of(network: Network) -> FloatFormat:
    """Return the format that a network of any library computes in; raise TypeError if unknown."""
    name = dtype_name(network.dtype)
    if name not in FORMATS:
        msg = f"`network` must be of {', '.join(FORMATS)}; got {network.dtype}"
        raise TypeError(msg)
    return FORMATS[name]


def format_before_cast(dtype: np.dtype[Any], precision: FloatFormat) -> FloatFormat:
    """Return the format in which rows are preprocessed: that of `dtype_before_cast`."""
    if dtype.kind in "iu":
        is_wider = bool(np.iinfo(dtype).max > precision.largest)
        narrow = FORMATS["float32"] if is_wider else precision
        return FORMATS["float64"] if dtype.itemsize >= 4 else narrow
    given = precision if dtype.kind == "b" else FORMATS.get(dtype_name(dtype), FORMATS["float64"])
    return given if given.largest > precision.largest else precision


def finite(x: Floats) -> Floats:
    """Return x with NaN and infinities replaced by 0."""
    return x if math.isfinite(float(np.sum(x))) else np.where(np.isfinite(x), x, 0.0)


def function_error(
    layer: Dense, z: Floats, y: Floats, precision: FloatFormat, absolute: float
) -> Floats:
    """Return the error of an elementwise activation itself, in any library.

    `z` and `y` are its true inputs and results. `absolute` is added for a function that is not
    exact, for a rectifier times the size of an input above 1, which may be a factor.
    """
    row = ACTIVATIONS[layer.activation]
    relative = 2.0 * precision.unit * row.ulp_bound(precision.name)
    numbers = [x for x in layer.options.values() if isinstance(x, float)]
    if precision.name != "float64":  # a rounded option changes no result by a larger share
        relative += sum(abs(float(np.float32(x)) / x - 1.0) for x in numbers if x)
    if not relative:
        return np.zeros_like(y)
    # An option may be a factor of the number that is replaced by zero.
    lost = precision.floor + precision.slack * max([1.0, *numbers])
    factor = np.maximum(finite(np.abs(z)), 1.0) if absolute and row.is_rectifier else 1.0
    return finite(np.abs(y)) * relative + absolute * factor + lost * (y != 0.0)


def rowwise_error(activation: str, z: Any, y: Any, error: Any, precision: FloatFormat) -> Any:
    """Return the error bound of a softmax or log_softmax, of shape (n, n_out).

    `z` and `y` are its true inputs and results, `error` is the error bound of `z`.

    If z is off by at most error, log y is off by at most error + log(sum(y * exp(error))): the
    numerator grows by at most error while the sum shrinks by the mean of exp(-error), and the
    mean of exp(error), weighted by y, is above its inverse.
    """
    n = z.shape[1]
    is_log = activation == "log_softmax"
    shares = np.exp(y) if is_log else y
    moved = error + np.log(np.sum(shares * np.exp(error), axis=1, keepdims=True))
    below = np.max(z, axis=1, keepdims=True) - z + moved
    rule = log_softmax_bound if is_log else softmax_bound
    own = rule(below, n, precision.name)
    if is_log:
        return moved + own
    grown = np.exp(moved)
    bound = y * (grown - 1.0 + grown * own) + precision.floor + precision.slack
    # Shares are between 0 and 1, unless a logit overflows.
    return np.fmin(bound, np.where(np.max(error, axis=1, keepdims=True) < np.inf, 1.0, np.inf))
