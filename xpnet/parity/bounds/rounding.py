"""What computing in a precision costs: its unit, its limits, and how rounding errors add up."""

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.bounds import (
    log_softmax_bound,
    softmax_bound,
    sparsemax_bound,
    ulp_bound,
)
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network

__all__ = ["Precision", "precision_before_cast", "precision_of", "relative_error", "rowwise_error"]

_LIBRARIES = ("numpy", "torch", "jax", "cupy")


@dataclass(frozen=True)
class Precision:
    """A floating-point format that a network computes in.

    Attributes
    ----------
    name : str
        "float16", "bfloat16", "float32" or "float64".
    unit : float
        The largest relative error of one rounding: half of the distance from 1 to the next number.
    normal : float
        The smallest number with all digits.
    floor : float
        What may be taken for zero: numbers up to the smallest normal one, which GPUs and JAX flush;
        in float16, which nobody flushes, up to the smallest number.
    largest : float
        The largest finite number.
    """

    name: str
    unit: float
    normal: float
    floor: float
    largest: float

    def ulp(self, value: float) -> float:
        """Return the unit in the last place of a finite number, as if there were no subnormals."""
        return math.ldexp(self.unit, math.frexp(max(abs(value), self.normal))[1])

    def spread(self, n_roundings: Any, confidence_factor: float) -> Any:
        """Return how n independent roundings of a number add up, relatively, for one standard.

        It is ``sqrt(n) * unit`` where that is small, with all higher orders where it is not; times
        the confidence factor, it is exceeded as rarely as that factor says.
        """
        together = np.expm1(confidence_factor * np.sqrt(n_roundings) * self.unit)
        return together / confidence_factor

    def worst(self, n_roundings: Any) -> Any:
        """Return how n roundings of a number add up, relatively, where all go the same way."""
        share = np.asarray(n_roundings * self.unit)
        return np.where(share < 1.0, share / np.maximum(1.0 - share, self.unit), np.inf)


_PRECISIONS = {
    row.name: row
    for row in (
        Precision("float16", 2.0**-11, 2.0**-14, 2.0**-24, 65504.0),
        Precision("bfloat16", 2.0**-8, 2.0**-126, 2.0**-126, (2.0 - 2.0**-7) * 2.0**127),
        Precision("float32", 2.0**-24, 2.0**-126, 2.0**-126, (2.0 - 2.0**-23) * 2.0**127),
        Precision("float64", 2.0**-53, 2.0**-1022, 2.0**-1022, sys.float_info.max),
    )
}


def precision_of(network: Network) -> Precision:
    """Return the precision that a network of any library computes in.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    name = str(network.dtype).rpartition(".")[2]
    if name not in _PRECISIONS:
        msg = f"`network` must be of {', '.join(_PRECISIONS)}; got {network.dtype}"
        raise TypeError(msg)
    return _PRECISIONS[name]


def precision_before_cast(dtype: np.dtype[Any], precision: Precision) -> Precision | None:
    """Return the precision in which inputs are preprocessed that have a wider range.

    None if they have not, and are cast before they are preprocessed.
    """
    if dtype.kind in "iu":
        is_wider = bool(np.iinfo(dtype).max > precision.largest)
        return _PRECISIONS["float32"] if is_wider else None
    if dtype.kind != "f" or np.finfo(dtype).max <= precision.largest:
        return None
    return _PRECISIONS.get(dtype.name, _PRECISIONS["float64"])


def relative_error(layer: Dense, precision: Precision) -> float:
    """Return how far an elementwise activation may be from its true value, in any library."""
    row = ACTIVATIONS[layer.activation]
    is_by_tanh = row.name == "gelu" and layer.options["approximate"] == "tanh"
    name = "gelu_tanh" if is_by_tanh else row.name
    ulp = max(ulp_bound(name, library, precision.name) for library in _LIBRARIES)
    if layer.options.get("beta", 1.0) != 1.0:  # see xpnet.functions.bounds
        ulp += 2.0
    if layer.options and precision.unit > 2.0**-24:  # they are rounded to float32 only
        ulp = max(ulp, 1.0)
    return 2.0 * precision.unit * ulp


def rowwise_error(layer: Dense, z: Any, y: Any, error: Any, precision: Precision) -> Any:
    """Return how far a softmax, log_softmax or sparsemax of z may be from its true value y.

    Parameters
    ----------
    layer : Dense
    z, y : array of shape (n, n_out)
        What the activation is given, and its true value.
    error : array of shape (n, n_out)
        How far what it is given in truth may be from `z`.
    precision : Precision

    Notes
    -----
    Where z is off by at most error, log y is off by at most error + log(sum(y * exp(error))):
    the numerator grows by error at most while the sum shrinks by the mean of exp(-error), and the
    mean of exp(error), weighted by y, is above its inverse. The level of a sparsemax moves no
    further than the largest error.
    """
    row = ACTIVATIONS[layer.activation]
    n = layer.n_out
    if row.name == "sparsemax":
        return error + np.max(error, axis=1, keepdims=True) + sparsemax_bound(n, precision.name)
    is_log = row.name == "log_softmax"
    shares = np.exp(y) if is_log else y
    moved = error + np.log(np.sum(shares * np.exp(error), axis=1, keepdims=True))
    below = np.max(z, axis=1, keepdims=True) - z + moved
    rule = log_softmax_bound if is_log else softmax_bound
    own = np.maximum.reduce([rule(below, n, name, precision.name) for name in _LIBRARIES])
    if is_log:
        return moved + own
    grown = np.exp(moved)
    bound = y * (grown - 1.0 + grown * own) + precision.floor
    # Shares are between 0 and 1, unless a logit overflows.
    return np.fmin(bound, np.where(np.max(error, axis=1, keepdims=True) < np.inf, 1.0, np.inf))
