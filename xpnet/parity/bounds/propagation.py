"""Propagation of errors through a network, layer by layer, in float64.

The derivation is in docs/explanation/error-bounds.md. In short, the error of a layer's inputs has
three parts: the independent rounding errors of the layer before, the common effect of earlier ones,
and the drift of errors that are not due to rounding, which may be the same for all units.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.parity.bounds.input_errors import inputs_with_errors
from xpnet.parity.bounds.rounding import Floats, finite, format_of, function_error, rowwise_error

__all__ = ["Propagation"]

# The arrays of so many rows stay in the caches: 10,000 of 784-50-100-10 take 0.7 s instead of 1.8.
_ROWS_TOGETHER = 512


@dataclass(frozen=True)
class _Errors:
    """Error bounds of n rows of values, sums or activations, and the parts of the errors.

    The parts are those of the table in docs/explanation/error-bounds.md, "Through the layers".
    """

    bound: Floats  # of each value's error, all parts together: (n, width)
    spread: Floats  # independent: the standard deviation of each value, (n, width)
    common: Floats  # common: the largest standard deviation in any direction, (n, 1)
    drifts: Floats  # drift: of each value, (n, width)
    drift: Floats  # drift: the Euclidean length of a row, (n, 1)
    earlier: Any = 0.0  # of sums: the standard deviation by errors of all inputs, (n, width)


class Propagation:
    """Error bounds of the results of a network, of any library and device.

    `confidence` is the probability that all results of all stages are within their bounds, for
    `n_rows` rows in total; 1.0 is the worst case. `absolute_error` is allowed to elementwise
    activations in addition to their relative bounds, in units in the last place of 1: for a runtime
    whose functions are imprecise for small results.
    """

    def __init__(
        self, network: Network, n_rows: int, confidence: float, absolute_error: float = 0.0
    ) -> None:
        self.precision = format_of(network)
        self.network = network.ordinary.map_arrays(lambda x: to_numpy(x).astype(np.float64))
        if not 0.0 < confidence <= 1.0:
            msg = f"`confidence` must be above 0 and at most 1; got {confidence}"
            raise ValueError(msg)
        n_results = max(n_rows, 1) * (network.n_in + sum(x.n_out for x in network.layers))
        # Each result exceeds its bound with a probability of at most 2 exp(-factor^2 / 2).
        chance = 2.0 * n_results / (1.0 - confidence) if confidence < 1.0 else math.inf
        self.factor = math.sqrt(2.0 * math.log(chance))
        self._absolute = 2.0 * self.precision.unit * absolute_error
        with np.errstate(all="ignore"):  # infinity means no bound
            self._layers = [_Layer(layer) for layer in self.network.layers]

    def stages(self, rows: NDArray[Any]) -> list[tuple[Floats, Floats]]:
        """Return the true values of each stage for some rows, and bounds as in `StageBound`."""
        keep_freed_memory()
        starts = range(0, max(len(rows), 1), _ROWS_TOGETHER)
        parts = [self._stages(rows[i : i + _ROWS_TOGETHER]) for i in starts]
        stages = (zip(*stage, strict=True) for stage in zip(*parts, strict=True))
        return [(np.concatenate(values), np.concatenate(bounds)) for values, bounds in stages]

    def _stages(self, rows: NDArray[Any]) -> Iterator[tuple[Floats, Floats]]:
        # No yield inside `errstate`, which would then apply to the caller too.
        with np.errstate(all="ignore"):
            steps = self.network.preprocessing
            y, error, spread = inputs_with_errors(steps, rows, self.precision, self.factor)
            errors = self._only(y, error, spread)
            results = self.network.layer_results(rows.astype(np.float64), np, keeps_sums=True)
        yield y, errors.bound
        for layer in self._layers:
            with np.errstate(all="ignore"):
                x, (z, y) = y, next(results)
                errors = self._layer_errors(layer, x, z, y, errors)
            yield y, errors.bound

    def layer_alone(self, i: int, given: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return the true results of layer i, from 1, for exact inputs, and their error bounds.

        For a float64 network, sums in float64 would have errors as large as the compared results:
        they are computed in NumPy's widest format.
        """
        layer, x = self._layers[i - 1], given.astype(np.float64)
        dtype = np.longdouble if self.precision.name == "float64" else np.float64
        with np.errstate(all="ignore"):
            z = x.astype(dtype) @ layer.own.weight.astype(dtype) + layer.own.bias
            z = z.astype(np.float64)
            y = layer.own.activate(z, np)
            return y, self._layer_errors(layer, x, z, y, self._only(x, np.zeros_like(x))).bound

    def _layer_errors(
        self, layer: "_Layer", x: Floats, z: Floats, y: Floats, before: _Errors
    ) -> _Errors:
        """Return the errors of activations y = f(z) of sums z from those of the inputs x."""
        row, options = ACTIVATIONS[layer.own.activation], layer.own.options
        rule = self._worst_sums if math.isinf(self.factor) else self._sums
        sums = rule(layer, finite(np.abs(x)), z, before)
        if not row.is_elementwise:
            return self._only(y, rowwise_error(row.name, z, y, sums.bound, self.precision))
        # Half of the bound more covers the error of z itself in a float64 network.
        reach = 1.5 * sums.bound
        slope = row.slope(z - reach, z + reach, np, **options)
        own = function_error(layer.own, z, y, self.precision, self._absolute)
        bound = np.where(sums.bound > 0.0, slope * sums.bound, 0.0) + own
        bound = self._limited(y, bound, np.abs(y))
        if math.isinf(self.factor):
            return self._only(y, bound)
        slope = finite(slope)
        steepest = np.max(slope, axis=1, keepdims=True)
        drifts = slope * sums.drifts
        return _Errors(
            bound,
            slope * sums.spread,
            np.fmin(steepest * sums.common, _lengths(slope * sums.earlier)),
            drifts + own,
            np.fmin(steepest * sums.drift, _lengths(drifts)) + _lengths(own),
        )

    def _sums(self, layer: "_Layer", sizes: Floats, z: Floats, before: _Errors) -> _Errors:
        """Return the errors of sums z from those of inputs of some sizes."""
        n_live, lost = self._live_and_lost(layer, sizes, before)
        drifts = np.fmin(before.drifts @ layer.sizes, before.drift * layer.lengths) + lost
        drift = layer.norm * before.drift + _lengths(lost)
        # In any order of summation, no partial sum exceeds the sum of all positive terms, or of
        # all negative ones.
        largest_sum = 0.5 * (sizes @ layer.sizes) + 0.5 * layer.bias + 0.5 * finite(np.abs(z))
        # n additions, products and weights with a scale as 4, and the bias.
        spread = largest_sum * self.precision.spread(n_live + 5, self.factor)
        earlier = layer.propagated(before.spread, before.common)
        widest = np.hypot(np.max(before.spread, axis=1, keepdims=True), before.common)
        bound = self.factor * np.hypot(spread, earlier) + drifts
        # A row with an unbounded value has no bound in this layer and the following ones.
        bound += np.where(np.max(before.bound, axis=1, keepdims=True) < np.inf, 0.0, np.inf)
        bound, common = self._limited(z, bound, largest_sum), layer.norm * widest
        drift = np.fmin(drift, _lengths(drifts))
        return _Errors(bound, spread, common, drifts, drift, earlier)

    def _worst_sums(self, layer: "_Layer", sizes: Floats, z: Floats, before: _Errors) -> _Errors:
        """Return the errors of sums z if all errors have the same sign."""
        n_live, lost = self._live_and_lost(layer, sizes, before)
        moved, terms = before.bound @ layer.sizes, sizes @ layer.sizes + layer.bias
        # The product of a term is rounded, and its weight, twice if a number was folded in.
        bound = moved + self.precision.worst(n_live + 3) * (terms + moved) + lost
        return self._only(z, self._limited(z, bound, terms))

    def _only(self, y: Floats, error: Floats, spread: Floats | None = None) -> _Errors:
        """Return the errors of values y if no more is known than a bound and deviations."""
        zeros = np.zeros((len(y), 1))
        total = error if spread is None else error + self.factor * spread
        bound, drifts = self._limited(y, total, np.abs(y)), finite(error)
        spread = np.zeros_like(y) if spread is None else finite(spread)
        return _Errors(bound, spread, zeros, drifts, _lengths(drifts))

    def _limited(self, y: Floats, bound: Floats, sizes: Floats) -> Floats:
        """Return bounds with inf where y may overflow, and 0 where it is NaN or infinite.

        `sizes` are the magnitudes of y, or of the terms that it is summed up from.
        """
        limited = self.precision.limited(bound, finite(sizes))
        if math.isfinite(float(np.sum(y))):
            return limited
        is_exact = (np.isnan(y) & (bound < np.inf)) | (np.isinf(y) & (limited < np.inf))
        return np.where(is_exact, 0.0, limited)

    def _live_and_lost(
        self, layer: "_Layer", sizes: Floats, before: _Errors
    ) -> tuple[Floats, Floats]:
        """Return the number of inputs of each row that may be nonzero, and the underflow of sums.

        Inputs, weights, products, biases and sums near zero may be replaced by zero.
        """
        is_live = (sizes > 0.0) | (before.bound > 0.0)
        n_live: Floats = np.sum(is_live, axis=1, keepdims=True, dtype=np.float64)
        # Weights times inputs, inputs times weights, and products; then the bias and the sum.
        n_lost = np.sum(sizes, axis=1, keepdims=True) + layer.largest_weights + n_live
        n_lost = n_lost * (n_live > 0.0) + 2.0 * ((n_live > 0.0) | (layer.bias > 0.0))
        return n_live, np.multiply(n_lost, self.precision.floor)


class _Layer:
    """A layer with its absolute parameters and the norms of its weight, computed once."""

    def __init__(self, own: Dense) -> None:
        self.own, self.sizes, self.bias = own, np.abs(own.weight), np.abs(own.bias)
        self.largest_weights = float(np.max(np.sum(self.sizes, axis=0)))
        # In units of the largest, so that squares neither overflow nor underflow.
        self.unit = float(np.max(self.sizes)) or 1.0
        self.squares = (self.sizes / self.unit) ** 2
        self.square_sums = np.sum(self.squares, axis=0)
        self.lengths = self.unit * np.sqrt(self.square_sums)
        self.norm = self.unit * spectral_bound(own.weight / self.unit)

    def propagated(self, spread: Floats, common: Floats) -> Floats:
        """Return standard deviations of ``errors @ weight``, from independent and common ones."""
        unit = np.maximum(np.max(spread, axis=1, keepdims=True), common)
        if not unit.any():  # as for most inputs
            return np.zeros((len(spread), self.sizes.shape[1]))
        unit = np.where(unit > 0.0, unit, 1.0)
        squares = (spread / unit) ** 2 @ self.squares + (common / unit) ** 2 * self.square_sums
        return unit * self.unit * np.sqrt(squares)


def _lengths(x: Floats) -> Floats:
    """Return the Euclidean length of each row of nonnegative numbers."""
    # In units of the largest, since squares could underflow.
    unit = np.max(x, axis=1, keepdims=True)
    x = x / np.where(unit > 0.0, unit, 1.0)
    return unit * np.sqrt(np.vecdot(x, x))[:, None]


def spectral_bound(weight: Floats) -> float:
    """Return a close upper bound of the largest singular value of a matrix of moderate numbers.

    The Frobenius norm of a matrix is at least its largest singular value. The Frobenius norm of
    the Gram matrix, squared three times, is the 16th power of that value, or slightly more.
    """
    if not weight.any():
        return 0.0
    gram = weight.T @ weight if weight.shape[0] > weight.shape[1] else weight @ weight.T
    logarithm = 0.0
    for power in (2, 4, 8, 16):
        size = float(np.linalg.norm(gram))
        logarithm += math.log(size) / power
        gram = gram / size if power == 16 else (gram / size) @ (gram / size)
    return math.exp(logarithm)
