"""How far a correct computation may be from the true value, derived layer by layer.

The derivation is in docs/parity.md. In short: the error of a layer's inputs has three parts. The
roundings of the layer before are independent of each other, and pass the weights as variances do.
What became of earlier roundings is not independent any more, since each unit handed it on to all;
it passes by the largest singular value of the weights. And what is no rounding error (a function's
own error, a constant) may be the same for all units; its Euclidean length passes in the same way.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, layer_results
from xpnet.networks.preprocessing import Standardize, Whiten
from xpnet.parity.bounds.error_terms import (
    Array,
    Errors,
    WeightedErrors,
    count_live,
    finite,
    largest_deviation,
    length,
    of_unknown_kind,
    product,
    root_of_squares,
)
from xpnet.parity.bounds.input_errors import (
    cast_error,
    error_before_cast,
    relative_input_error,
    step_error,
)
from xpnet.parity.bounds.rounding import precision_of, relative_error, rowwise_error
from xpnet.parity.bounds.weight_norms import Weights

__all__ = ["Propagation", "in_float64"]

# From here on, slopes are computed in float64.
_FAR = 1e15


def in_float64(network: Network) -> Network:
    """Return the network on the host in float64: the one whose results are the reference.

    The options of its activations are what they are in the precision of the network.
    """
    is_double = precision_of(network).name == "float64"
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


class Propagation:
    """The bounds of a network's results, for any rows.

    Parameters
    ----------
    network : Network
        Of any library, device and dtype.
    n_results : int
        How many results are bounded together.
    confidence : float
        The probability that all of them are within their bounds; 1.0 for the worst case.
    absolute_error : float, default 0
        How far elementwise activations may be off, in units of the last place of 1, besides their
        bounds: of a runtime whose functions are not right relative to small results.
    """

    def __init__(
        self,
        network: Network,
        n_results: int,
        confidence: float,
        *,
        absolute_error: float = 0.0,
    ) -> None:
        self.precision = precision_of(network)
        self.network = in_float64(network)
        self.is_worst_case = confidence == 1.0
        # Each result misses its bound with a chance of 2 exp(-factor^2 / 2) at most.
        chance = math.inf if self.is_worst_case else 2.0 * max(n_results, 1) / (1.0 - confidence)
        self.factor = math.sqrt(2.0 * math.log(chance))
        self._absolute = 2.0 * self.precision.unit * absolute_error
        # Errors need no more digits than that; the true values do.
        self._dtype: Any = np.float64 if self.precision.name == "float64" else np.float32
        with np.errstate(all="ignore"):  # infinities say: no bound
            self._weights = [Weights(layer, self._dtype) for layer in self.network.layers]
            self._whitening = [
                Weights(Dense(step.matrix, np.zeros_like(step.mean)), self._dtype)
                for step in self.network.preprocessing
                if isinstance(step, Whiten)
            ]

    def stages(self, rows: NDArray[Any]) -> Iterator[tuple[Array, Array]]:
        """Yield the true values of each stage for some rows, and how far they may be missed.

        The stages are the preprocessed inputs, and the results of each layer. A bound is inf where
        there is none, and 0 where the true value is NaN or infinite.
        """
        # Nothing is yielded inside `errstate`, which would then be the caller's as well.
        with np.errstate(all="ignore"):
            results = layer_results(self.network, rows.astype(np.float64), np)
            _, y = next(results)
            errors = self._of_inputs(rows, y)
        yield y, errors.bound
        for weights in self._weights:
            with np.errstate(all="ignore"):
                z, y = next(results)
                errors = self._after(weights, z, y, errors)
            yield y, errors.bound

    def alone(self, i: int, given: NDArray[Any]) -> tuple[Array, Array]:
        """Return what layer i, from 1, makes of inputs that are exact, and how far it may err.

        In float64, whose products would err as much as those that are judged, they are summed up
        in the widest precision of NumPy.
        """
        weights = self._weights[i - 1]
        layer = weights.layer
        x = given.astype(np.float64)
        with np.errstate(all="ignore"):
            dtype = np.longdouble if self.precision.name == "float64" else np.float64
            z = x.astype(dtype) @ layer.weight.astype(dtype) + layer.bias
            z = z.astype(np.float64)
            y = ACTIVATIONS[layer.activation](z, np, **layer.options)
            sizes, _ = self._sizes(x)
            none = np.zeros((len(x), 1), self._dtype)
            exact = Errors(sizes, np.zeros_like(sizes), count_live(sizes), None, none, 0.0, none)
            return y, self._after(weights, z, y, exact).bound

    def _of_inputs(self, rows: NDArray[Any], y: Array) -> Errors:
        """Return how far the preprocessed inputs y may be off."""
        steps = self.network.preprocessing
        relative = relative_input_error(steps, rows, self.precision)
        if relative is not None:  # equal inputs err alike
            sizes, _ = self._sizes(y)
            none = np.zeros((len(y), 1), self._dtype)
            bound = sizes * self._dtype(relative)
            return Errors(sizes, bound, count_live(sizes), None, none, relative, none)
        last = error_before_cast(steps, rows, self.precision)
        if last is not None:
            return self._inexact(y, last)
        errors, matrices = None, iter(self._whitening)
        x, error = rows.astype(np.float64), cast_error(rows, self.precision)
        for step in steps:
            if isinstance(step, Whiten):
                centred = Standardize(step.mean)
                error = step_error(centred, x, error, self.precision)
                before = self._inexact(centred.compute(x, np), error)
                x = step.compute(x, np)
                errors = self._after(next(matrices), x, x, before)
                error = errors.bound.astype(np.float64)
            else:
                error = step_error(step, x, error, self.precision)
                x, errors = step.compute(x, np), None
        return errors or self._inexact(y, error)

    def _inexact(self, y: Array, error: Array) -> Errors:
        """Return the errors of inputs of which nothing is known but how large they are at most."""
        sizes, is_finite = self._sizes(y)
        none = np.zeros((len(y), 1), self._dtype)
        bound = error.astype(self._dtype)
        n_live = count_live(sizes + finite(bound))
        bound = self._judged(y, bound, sizes, is_finite=is_finite)
        return Errors(sizes, bound, n_live, None, none, 0.0, length(finite(bound)))

    def _after(self, weights: Weights, z: Array, y: Array, before: Errors) -> Errors:
        """Return how far the results y of a layer may be off, from how far its inputs may be."""
        if self.is_worst_case:
            return self._at_worst(weights, z, y, before)
        return self._activated(weights.layer, z, y, self._weighted(weights, z, before))

    def _weighted(self, weights: Weights, z: Array, before: Errors) -> WeightedErrors:
        """Return how far z may be off, from how far y may be."""
        terms = before.sizes @ weights.sizes
        drifts = terms * self._dtype(before.relative)
        drifts += before.drift * weights.lengths + self._underflow(weights, before)
        drift = length(drifts)
        # In no order of adding is a partial sum larger than all positive terms, or all negative.
        sizes, is_finite = self._sizes(z)
        half = self._dtype(0.5)  # each by itself: the sum could overflow
        largest_sum = terms * half
        largest_sum += weights.bias * half
        largest_sum += sizes * half
        spread = largest_sum * self.precision.spread(before.n_live + 5, self.factor)
        spreads, deviation = None, spread
        if before.spread is not None:
            spreads = weights.passed(before.spread, before.common)
            deviation = root_of_squares(spread, spreads)
            total = before.drift + before.relative * length(before.sizes)
            drift = np.fmin(drift, weights.norm * total)
        bound = deviation * self._dtype(self.factor)
        bound += drifts
        # Rows in which a value has no bound have none from there on.
        bound += np.where(np.max(before.bound, axis=1, keepdims=True) < np.inf, 0.0, np.inf)
        bound = self._judged(z, bound, largest_sum, is_finite=is_finite)
        common = weights.norm * largest_deviation(before)
        return WeightedErrors(bound, spread, spreads, common, drifts, drift)

    def _activated(self, layer: Dense, z: Array, y: Array, before: WeightedErrors) -> Errors:
        """Return how far the activation y of z may be off, from how far z may be."""
        sizes, is_finite = self._sizes(y)
        if not ACTIVATIONS[layer.activation].is_elementwise:
            bound = rowwise_error(layer, z, y, before.bound, self.precision).astype(self._dtype)
            return of_unknown_kind(sizes, self._judged(y, bound, sizes, is_finite=is_finite))
        steepness = self._steepness(layer, z, before.bound)
        bound = product(steepness, before.bound) + self._own_error(layer, y, sizes)
        bound = self._judged(y, bound, sizes, is_finite=is_finite)
        steepness = finite(steepness)
        steepest = np.max(steepness, axis=1, keepdims=True)
        common = steepest * before.common
        if before.spreads is not None:
            common = np.fmin(common, length(steepness * before.spreads))
        return Errors(
            sizes,
            bound,
            count_live(bound),
            steepness * before.spread,
            common,
            relative_error(layer, self.precision),
            np.fmin(steepest * before.drift, length(steepness * before.drifts))
            + self._dtype(self._absolute_error(layer) * math.sqrt(layer.n_out)),
        )

    def _at_worst(self, weights: Weights, z: Array, y: Array, before: Errors) -> Errors:
        """Return how far y may be off if all errors go the same way."""
        layer = weights.layer
        moved = before.bound @ weights.sizes
        terms = before.sizes @ weights.sizes + weights.bias
        # A term's product is rounded, and its weight, twice, if a number was folded in.
        bound = moved + self.precision.worst(before.n_live + 3) * (terms + moved)
        bound += self._underflow(weights, before)
        bound = self._judged(z, bound, terms, is_finite=self._sizes(z)[1])
        sizes, is_finite = self._sizes(y)
        if ACTIVATIONS[layer.activation].is_elementwise:
            bound = product(self._steepness(layer, z, bound), bound)
            bound += self._own_error(layer, y, sizes)
        else:
            bound = rowwise_error(layer, z, y, bound, self.precision).astype(self._dtype)
        return of_unknown_kind(sizes, self._judged(y, bound, sizes, is_finite=is_finite))

    def _sizes(self, y: Array) -> tuple[Array, bool]:
        """Return absolute values, 0 for NaN and infinities, and whether there are none of these."""
        sizes = np.abs(y.astype(self._dtype))
        if math.isfinite(float(np.max(sizes, initial=0.0))):
            return sizes, True
        is_finite = np.isfinite(y)
        return np.where(is_finite, sizes, self._dtype(0.0)), bool(np.all(is_finite))

    def _judged(self, y: Array, bound: Array, sizes: Array, *, is_finite: bool) -> Array:
        """Return bounds with inf for none, and 0 where the true value is NaN or infinite.

        There is none where the sizes, of y or of what it is summed up from, may overflow.
        """
        largest = self._dtype(self.precision.largest)
        if is_finite and np.max(sizes, initial=0.0) + np.max(bound, initial=0.0) <= largest:
            return bound
        is_bounded = sizes + bound <= largest
        is_exact = np.isnan(y) & (bound < np.inf) | np.isinf(y) & is_bounded
        none = np.where(is_bounded, bound, self._dtype(np.inf))
        return np.where(is_exact, self._dtype(0.0), none)

    def _steepness(self, layer: Dense, z: Array, bound: Array) -> Array:
        """Return the steepest slope that is within reach of z."""
        # Far below 0 the slope of squareplus counts, times a large bound, but vanishes in float32.
        is_far = not np.max(np.abs(z), initial=0.0) < _FAR
        row, z = ACTIVATIONS[layer.activation], z.astype(np.float64 if is_far else self._dtype)
        # A bound is at least four roundings of z: with half of it more, none is left out by the
        # rounding of z and of the ends.
        reach = bound * self._dtype(1.5)
        steepness: Array = row.slope(z - reach, z + reach, np, **layer.options)
        return steepness

    def _underflow(self, weights: Weights, before: Errors) -> Array:
        """Return what is lost if products, weights and values that small are taken for zero."""
        total = np.sum(before.sizes, axis=1, keepdims=True) + self._dtype(weights.largest_sum)
        return (total + before.n_live) * (self._dtype(self.precision.floor) * (before.n_live > 0))

    def _absolute_error(self, layer: Dense) -> float:
        """Return how far an activation may be off in absolute terms: not at all if it is exact."""
        return self._absolute if relative_error(layer, self.precision) > 0.0 else 0.0

    def _own_error(self, layer: Dense, y: Array, sizes: Array) -> Array:
        own = sizes * self._dtype(relative_error(layer, self.precision))
        own += self._dtype(self._absolute_error(layer))
        # y itself tells what is zero: the size of the smallest ones is, in float32.
        own += np.where(y != 0.0, self._dtype(self.precision.floor), self._dtype(0.0))
        return own
