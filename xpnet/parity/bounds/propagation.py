"""Propagation of errors through a network, layer by layer.

The derivation is in docs/explanation/error-bounds.md. In short, the error of a layer's inputs has
three parts: the independent rounding errors of the layer before, the common effect of earlier ones,
and the drift of errors that are not due to rounding, which may be the same for all units.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Standardize, Whiten
from xpnet.parity.bounds.error_terms import (
    Floats,
    PreactivationErrors,
    StageErrors,
    WeightNorms,
    count_nonzero,
    finite_or_zero,
    lengths,
    product,
    root_of_squares,
)
from xpnet.parity.bounds.input_errors import (
    cast_error,
    error_before_cast,
    relative_input_error,
    step_error,
)
from xpnet.parity.bounds.rounding import format_of, in_float64, relative_error, rowwise_error

__all__ = ["Propagation"]

# Slopes at or beyond this magnitude are computed in float64.
_FAR = 1e15


class Propagation:
    """Error bounds of the results of a network, of any library and device, for any rows.

    `confidence` is the probability that all of `n_results` are within their bounds, 1.0 for the
    worst case. `absolute_error` is allowed to elementwise activations in addition to their
    relative bounds, in units in the last place of 1: for a runtime whose functions are imprecise
    for small results.
    """

    def __init__(
        self, network: Network, n_results: int, confidence: float, absolute_error: float = 0.0
    ) -> None:
        self.precision = format_of(network)
        self.network = in_float64(network)
        self.is_worst_case = confidence == 1.0
        # Each result exceeds its bound with a probability of at most 2 exp(-factor^2 / 2).
        chance = math.inf if self.is_worst_case else 2.0 * max(n_results, 1) / (1.0 - confidence)
        self.factor = math.sqrt(2.0 * math.log(chance))
        self._absolute = 2.0 * self.precision.unit * absolute_error
        # float32 has enough digits for errors, but not for the true values.
        self._dtype: Any = np.float64 if self.precision.name == "float64" else np.float32
        with np.errstate(all="ignore"):  # infinity means no bound
            self._weights = [WeightNorms(layer, self._dtype) for layer in self.network.layers]
            self._whitening = [
                WeightNorms(Dense(step.matrix, np.zeros_like(step.mean)), self._dtype)
                for step in self.network.preprocessing
                if isinstance(step, Whiten)
            ]

    def stages(self, rows: NDArray[Any]) -> Iterator[tuple[Floats, Floats]]:
        """Yield the true values of each stage for some rows, and bounds as in `StageBound`."""
        # No yield inside `errstate`, which would then apply to the caller too.
        with np.errstate(all="ignore"):
            rows_in_float64 = rows.astype(np.float64)
            results = self.network.layer_results(rows_in_float64, np, keeps_sums=True)
            y = self.network.inputs(rows_in_float64, np)
            errors = self._input_errors(rows, y)
        yield y, errors.bound
        for weights in self._weights:
            with np.errstate(all="ignore"):
                z, y = next(results)
                errors = self._layer_errors(weights, z, y, errors)
            yield y, errors.bound

    def layer_alone(self, i: int, given: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return the true results of layer i, from 1, for exact inputs, and their error bounds.

        For a float64 network, sums in float64 would have errors as large as the compared results:
        they are computed in NumPy's widest format.
        """
        weights = self._weights[i - 1]
        layer = weights.layer
        x = given.astype(np.float64)
        with np.errstate(all="ignore"):
            dtype = np.longdouble if self.precision.name == "float64" else np.float64
            z = x.astype(dtype) @ layer.weight.astype(dtype) + layer.bias
            z = z.astype(np.float64)
            y = ACTIVATIONS[layer.activation](z, np, **layer.options)
            return y, self._layer_errors(weights, z, y, self._proportional_errors(x, 0.0)).bound

    def _proportional_errors(self, y: Floats, relative: float) -> StageErrors:
        """Return errors that are proportional to the values, and the same for equal values."""
        sizes, _ = self._magnitudes(y)
        bound, zeros = sizes * self._dtype(relative), np.zeros((len(y), 1), self._dtype)
        return StageErrors(sizes, bound, count_nonzero(sizes), None, zeros, relative, zeros)

    def _input_errors(self, rows: NDArray[Any], y: Floats) -> StageErrors:
        """Return the errors of the preprocessed inputs y."""
        steps = self.network.preprocessing
        relative = relative_input_error(steps, rows, self.precision)
        if relative is not None:
            return self._proportional_errors(y, relative)
        last = error_before_cast(steps, rows, self.precision)
        if last is not None:
            return self._errors_within(y, last)
        errors, matrices = None, iter(self._whitening)
        x, error = rows.astype(np.float64), cast_error(rows, self.precision)
        for step in steps:
            if isinstance(step, Whiten):
                centred = Standardize(step.mean)
                error = step_error(centred, x, error, self.precision)
                before = self._errors_within(centred.compute(x, np), error)
                x = step.compute(x, np)
                errors = self._layer_errors(next(matrices), x, x, before)
                error = errors.bound.astype(np.float64)
            else:
                error = step_error(step, x, error, self.precision)
                x, errors = step.compute(x, np), None
        return errors or self._errors_within(y, error)

    def _errors_within(self, y: Floats, error: Floats) -> StageErrors:
        """Return the errors of inputs if only a bound is known."""
        bound = error.astype(self._dtype)
        errors = self._undetermined_errors(y, bound)
        return replace(errors, n_live=count_nonzero(errors.sizes + finite_or_zero(bound)))

    def _undetermined_errors(self, y: Floats, bound: Floats) -> StageErrors:
        """Return the errors of values if only a bound is known."""
        sizes, is_finite = self._magnitudes(y)
        bound = self._with_limits(y, bound, sizes, is_finite=is_finite)
        n_live, zeros = count_nonzero(bound), np.zeros((len(y), 1), self._dtype)
        return StageErrors(sizes, bound, n_live, None, zeros, 0.0, lengths(finite_or_zero(bound)))

    def _layer_errors(
        self, weights: WeightNorms, z: Floats, y: Floats, before: StageErrors
    ) -> StageErrors:
        """Return the errors of a layer's results y from the errors of its inputs."""
        if self.is_worst_case:
            return self._worst_case_errors(weights, z, y, before)
        products = self._product_errors(weights, z, before)
        return self._activation_errors(weights.layer, z, y, products)

    def _product_errors(
        self, weights: WeightNorms, z: Floats, before: StageErrors
    ) -> PreactivationErrors:
        """Return the errors of z from the errors of the layer's inputs."""
        terms = before.sizes @ weights.sizes
        drifts = terms * self._dtype(before.relative)
        drifts += before.drift * weights.lengths + self._underflow(weights, before)
        drift = lengths(drifts)
        # In any order of summation, no partial sum exceeds the sum of all positive terms, or of
        # all negative ones.
        sizes, is_finite = self._magnitudes(z)
        half = self._dtype(0.5)  # each by itself: the sum could overflow
        largest_sum = terms * half
        largest_sum += weights.bias * half
        largest_sum += sizes * half
        spread = largest_sum * self.precision.spread(before.n_live + 5, self.factor)
        spreads, deviation, largest = None, spread, before.common
        if before.spread is not None:
            spreads = weights.propagated(before.spread, before.common)
            deviation = root_of_squares(spread, spreads)
            total = before.drift + before.relative * lengths(before.sizes)
            drift = np.fmin(drift, weights.norm * total)
            largest = np.hypot(np.max(before.spread, axis=1, keepdims=True), before.common)
        bound = deviation * self._dtype(self.factor)
        bound += drifts
        # A row with an unbounded value has no bound in this layer and the following ones.
        bound += np.where(np.max(before.bound, axis=1, keepdims=True) < np.inf, 0.0, np.inf)
        bound = self._with_limits(z, bound, largest_sum, is_finite=is_finite)
        return PreactivationErrors(bound, spread, spreads, weights.norm * largest, drifts, drift)

    def _activation_errors(
        self, layer: Dense, z: Floats, y: Floats, before: PreactivationErrors
    ) -> StageErrors:
        """Return the errors of the activation y from the errors of z."""
        if not ACTIVATIONS[layer.activation].is_elementwise:
            bound = rowwise_error(layer.activation, z, y, before.bound, self.precision)
            return self._undetermined_errors(y, bound.astype(self._dtype))
        sizes, is_finite = self._magnitudes(y)
        slope = self._steepest_slope(layer, z, before.bound)
        own, relative, absolute = self._function_error(layer, y, sizes)
        bound = product(slope, before.bound) + own
        bound = self._with_limits(y, bound, sizes, is_finite=is_finite)
        slope = finite_or_zero(slope)
        steepest = np.max(slope, axis=1, keepdims=True)
        common = steepest * before.common
        if before.spreads is not None:
            common = np.fmin(common, lengths(slope * before.spreads))
        spread, n_live = slope * before.spread, count_nonzero(bound)
        drift = np.fmin(steepest * before.drift, lengths(slope * before.drifts))
        drift = drift + self._dtype(absolute * math.sqrt(layer.n_out))
        return StageErrors(sizes, bound, n_live, spread, common, relative, drift)

    def _worst_case_errors(
        self, weights: WeightNorms, z: Floats, y: Floats, before: StageErrors
    ) -> StageErrors:
        """Return the errors of y if all errors have the same sign."""
        layer = weights.layer
        moved = before.bound @ weights.sizes
        terms = before.sizes @ weights.sizes + weights.bias
        # The product of a term is rounded, and its weight, twice if a number was folded in.
        bound = moved + self.precision.worst(before.n_live + 3) * (terms + moved)
        bound += self._underflow(weights, before)
        bound = self._with_limits(z, bound, terms, is_finite=self._magnitudes(z)[1])
        if ACTIVATIONS[layer.activation].is_elementwise:
            bound = product(self._steepest_slope(layer, z, bound), bound)
            bound += self._function_error(layer, y, self._magnitudes(y)[0])[0]
        else:
            bound = rowwise_error(layer.activation, z, y, bound, self.precision)
            bound = bound.astype(self._dtype)
        return self._undetermined_errors(y, bound)

    def _magnitudes(self, y: Floats) -> tuple[Floats, bool]:
        """Return absolute values, 0 for NaN and infinities, and whether all values are finite."""
        sizes = np.abs(y.astype(self._dtype))
        if math.isfinite(float(np.max(sizes, initial=0.0))):
            return sizes, True
        is_finite = np.isfinite(y)
        return np.where(is_finite, sizes, self._dtype(0.0)), bool(np.all(is_finite))

    def _with_limits(self, y: Floats, bound: Floats, sizes: Floats, *, is_finite: bool) -> Floats:
        """Return bounds with inf where y may overflow, and 0 where it is NaN or infinite.

        `sizes` are the magnitudes of y, or of the terms that it is summed up from.
        """
        largest = self._dtype(self.precision.largest)
        if is_finite and np.max(sizes, initial=0.0) + np.max(bound, initial=0.0) <= largest:
            return bound
        is_bounded = sizes + bound <= largest
        is_exact = np.isnan(y) & (bound < np.inf) | np.isinf(y) & is_bounded
        limited = np.where(is_bounded, bound, self._dtype(np.inf))
        return np.where(is_exact, self._dtype(0.0), limited)

    def _steepest_slope(self, layer: Dense, z: Floats, bound: Floats) -> Floats:
        """Return the steepest slope of the activation within the bound of z."""
        # Far below 0, the slope of squareplus times a large bound counts, but the slope is 0 in
        # float32.
        is_far = not np.max(np.abs(z), initial=0.0) < _FAR
        row, z = ACTIVATIONS[layer.activation], z.astype(np.float64 if is_far else self._dtype)
        # A bound is at least four roundings of z: half of it more covers the rounding of z and of
        # the ends.
        reach = bound * self._dtype(1.5)
        slope: Floats = row.slope(z - reach, z + reach, np, **layer.options)
        return slope

    def _underflow(self, weights: WeightNorms, before: StageErrors) -> Floats:
        """Return the error if products, weights and values near zero are replaced by zero."""
        total = np.sum(before.sizes, axis=1, keepdims=True) + self._dtype(weights.largest_sum)
        return (total + before.n_live) * (self._dtype(self.precision.floor) * (before.n_live > 0))

    def _function_error(
        self, layer: Dense, y: Floats, sizes: Floats
    ) -> tuple[Floats, float, float]:
        """Return the error of the activation itself, and its relative and absolute part."""
        relative = relative_error(layer, self.precision)
        absolute = self._absolute if relative > 0.0 else 0.0
        own = sizes * self._dtype(relative)
        own += self._dtype(absolute)
        # y, not its magnitude: the smallest magnitudes are zero in float32.
        own += np.where(y != 0.0, self._dtype(self.precision.floor), self._dtype(0.0))
        return own, relative, absolute
