"""Rounding errors of floating-point formats, and of activation functions computed in them."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xpnet.arrays.deviation import ulp
from xpnet.arrays.namespace import dtype_name
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import log_softmax_bound, softmax_bound
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network

__all__ = [
    "FloatFormat",
    "format_before_cast",
    "format_of",
    "in_float64",
    "relative_error",
    "rowwise_error",
]


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
    largest: float  # the largest finite number

    def ulp(self, value: float) -> float:
        """Return the unit in the last place of a finite number, as if there were no subnormals."""
        return float(ulp(value, 2.0 * self.unit, self.normal, self.largest))

    def spread(self, n_roundings: Any, confidence_factor: float) -> Any:
        """Return the relative standard deviation of n independent roundings.

        It is ``sqrt(n) * unit`` if that is small, and includes all higher orders otherwise. The
        sum of the errors exceeds `confidence_factor` times it with the factor's probability.
        """
        together = np.expm1(confidence_factor * np.sqrt(n_roundings) * self.unit)
        return together / confidence_factor

    def worst(self, n_roundings: Any) -> Any:
        """Return the relative error of n roundings in the same direction."""
        share = np.asarray(n_roundings * self.unit)
        return np.where(share < 1.0, share / np.maximum(1.0 - share, self.unit), np.inf)


_FORMATS = {
    row.name: row
    for row in (
        FloatFormat("float16", 2.0**-11, 2.0**-14, 2.0**-24, 65504.0),
        FloatFormat("bfloat16", 2.0**-8, 2.0**-126, 2.0**-126, (2.0 - 2.0**-7) * 2.0**127),
        FloatFormat("float32", 2.0**-24, 2.0**-126, 2.0**-126, (2.0 - 2.0**-23) * 2.0**127),
        FloatFormat("float64", 2.0**-53, 2.0**-1022, 2.0**-1022, sys.float_info.max),
    )
}


def format_of(network: Network) -> FloatFormat:
    """Return the format that a network of any library computes in; raise TypeError if unknown."""
    name = dtype_name(network.dtype)
    if name not in _FORMATS:
        msg = f"`network` must be of {', '.join(_FORMATS)}; got {network.dtype}"
        raise TypeError(msg)
    return _FORMATS[name]


def format_before_cast(dtype: np.dtype[Any], precision: FloatFormat) -> FloatFormat | None:
    """Return the format in which inputs of a wider range than `precision` are preprocessed.

    None if their range is not wider: they are cast before the preprocessing.
    """
    if dtype.kind in "iu":
        is_wider = bool(np.iinfo(dtype).max > precision.largest)
        return _FORMATS["float32"] if is_wider else None
    if dtype.kind != "f" or np.finfo(dtype).max <= precision.largest:
        return None
    return _FORMATS.get(dtype.name, _FORMATS["float64"])


def in_float64(network: Network) -> Network:
    """Return the network in NumPy's float64, with options as rounded in its own precision."""
    is_double = format_of(network).name == "float64"
    network = network.map_arrays(lambda x: to_numpy(x).astype(np.float64))
    if is_double:
        return network
    layers = []
    for layer in network.layers:
        options = {
            name: float(np.float32(value)) if isinstance(value, float) else value
            for name, value in layer.options.items()
        }
        layers.append(replace(layer, options=options))
    return replace(network, layers=tuple(layers))


def relative_error(layer: Dense, precision: FloatFormat) -> float:
    """Return the largest relative error of an elementwise activation, in any library."""
    row = ACTIVATIONS[layer.activation]
    ulp = row.ulp_bound(precision.name)
    if layer.options and precision.unit > 2.0**-24:  # they are rounded to float32 only
        ulp = max(ulp, 1.0)
    return 2.0 * precision.unit * ulp


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
    bound = y * (grown - 1.0 + grown * own) + precision.floor
    # Shares are between 0 and 1, unless a logit overflows.
    return np.fmin(bound, np.where(np.max(error, axis=1, keepdims=True) < np.inf, 1.0, np.inf))
