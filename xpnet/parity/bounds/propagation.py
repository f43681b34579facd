"""How far a correct computation may be from the true value, derived layer by layer.

The derivation is in docs/parity.md. In short: the error of a layer's inputs has three parts. The
roundings of the layer before are independent of each other, and pass the weights as variances do.
What became of earlier roundings is not independent any more, since each unit handed it on to all;
it passes by the largest singular value of the weights. And what is no rounding error (a function's
own error, a constant) may be the same for all units; its Euclidean length passes in the same way.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, layer_results
from xpnet.parity.bounds.precision import Precision, precision_of, relative_error, rowwise_error

__all__ = ["Propagation", "in_float64"]

_Array = NDArray[np.float64]

# From here on, slopes are computed in float64.
_FAR = 1e15


def in_float64(network: Network) -> Network:
    """Return the network on the host in float64: the one whose results are the reference.

    The options of its activations are what they are in the precision of the network.
    """
    is_double = precision_of(network).name == "float64"
    layers = []
    for layer in network.layers:
        weight, bias = (to_numpy(x).astype(np.float64) for x in (layer.weight, layer.bias))
        options = {
            name: value if is_double or not isinstance(value, float) else float(np.float32(value))
            for name, value in layer.options.items()
        }
        layers.append(Dense(weight, bias, layer.activation, options))
    return replace(network, layers=tuple(layers))


@dataclass(frozen=True)
class _Errors:
    """How far the values of a stage may be off, for a tile of n rows.

    Attributes
    ----------
    sizes : array of shape (n, width)
        The absolute true values; 0 for NaN and infinities.
    bound : array of shape (n, width)
        For each value, all parts together.
    n_live : array of shape (n, 1)
        How many values may be other than zero.
    spread : array of shape (n, width), or None
        The standard deviation of the part that is independent from value to value.
    common : array of shape (n, 1)
        The largest standard deviation, in any direction, of the part that is not.
    relative : float
        Of the part that is no independent rounding error and in proportion to the values.
    drift : array of shape (n, 1)
        The Euclidean length of the part that is neither.
    """

    sizes: _Array
    bound: _Array
    n_live: _Array
    spread: _Array | None
    common: _Array
    relative: float
    drift: _Array


@dataclass(frozen=True)
class _WeightedErrors:
    """The same for ``z = y @ weight + bias``, by value and as a whole.

    Attributes
    ----------
    bound, spread, common, drift
        As in `_Errors`.
    spreads : array of shape (n, width), or None
        The standard deviation of the part that is not independent, which is `common` as a whole.
    drifts : array of shape (n, width)
        The part that is no rounding error, whose length is `drift`.
    """

    bound: _Array
    spread: _Array
    spreads: _Array | None
    common: _Array
    drifts: _Array
    drift: _Array


class _Weights:
    """What the propagation asks of a layer's parameters, computed once."""

    def __init__(self, layer: Dense, dtype: Any) -> None:
        self.layer = layer
        self.bias = np.abs(layer.bias).astype(dtype)
        # Sums of sizes and squares are rounded too: what they may lose is added before.
        may_lose = 1.0 + 2.0 * layer.n_in * float(np.finfo(dtype).eps)
        sizes = np.abs(layer.weight) * may_lose
        self.sizes = sizes.astype(dtype)
        # In units of the largest, so that they neither overflow nor vanish.
        self.largest = float(np.max(sizes)) or 1.0
        self.squares = ((sizes / self.largest) ** 2 * may_lose).astype(dtype)
        self.square_sums = np.sum(self.squares, axis=0)
        self.lengths = self.largest * np.sqrt(self.square_sums)
        self.largest_sum = float(np.max(np.sum(self.sizes, axis=0)))
        self.norm = spectral_bound(layer.weight)


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
    """

    def __init__(self, network: Network, n_results: int, confidence: float) -> None:
        self.precision = precision_of(network)
        self.network = in_float64(network)
        self.is_worst_case = confidence == 1.0
        # Each result misses its bound with a chance of 2 exp(-factor^2 / 2) at most.
        chance = math.inf if self.is_worst_case else 2.0 * max(n_results, 1) / (1.0 - confidence)
        self.factor = math.sqrt(2.0 * math.log(chance))
        # Errors need no more digits than that; the true values do.
        self._dtype: Any = np.float64 if self.precision.name == "float64" else np.float32
        with np.errstate(all="ignore"):  # infinities say: no bound
            self._weights = [_Weights(layer, self._dtype) for layer in self.network.layers]

    def stages(self, rows: NDArray[Any]) -> Iterator[tuple[_Array, _Array]]:
        """Yield the true values of each stage for some rows, and how far they may be missed.

        The stages are the preprocessed inputs, and the results of each layer. A bound is inf where
        there is none, and 0 where the true value is NaN or infinite.
        """
        with np.errstate(all="ignore"):
            x = rows.astype(np.float64)
            results = layer_results(self.network, x, np)
            _, y = next(results)
            errors = self._of_inputs(rows, x, y)
            yield y, errors.bound
            for weights, (z, y) in zip(self._weights, results, strict=True):
                errors = self._after(weights, z, y, errors)
                yield y, errors.bound

    def alone(self, i: int, given: NDArray[Any]) -> tuple[_Array, _Array]:
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
            exact = _Errors(sizes, np.zeros_like(sizes), _count(sizes), None, none, 0.0, none)
            return y, self._after(weights, z, y, exact).bound

    def _of_inputs(self, rows: NDArray[Any], x: _Array, y: _Array) -> _Errors:
        """Return how far the preprocessed inputs y may be off; x are the rows in float64."""
        # A step's number is rounded, and its product, or both at once where they are folded into
        # the weights. Equal inputs err alike.
        is_exact = _is_exact(rows, self.precision)
        relative = float(self.precision.worst(2 * len(self.network.preprocessing) + (not is_exact)))
        sizes, is_finite = self._sizes(y)
        none = np.zeros((len(x), 1), self._dtype)
        if self._stay_normal(rows):
            bound = sizes * self._dtype(relative)
            return _Errors(sizes, bound, _count(sizes), None, none, relative, none)
        bound = self._bound_of_extremes(x, y, relative)
        bound = self._judged(y, bound, sizes, is_finite=is_finite)
        drift = _length(_finite(bound))
        n_live = _count(np.abs(x)).astype(self._dtype)
        return _Errors(sizes, bound, n_live, None, none, 0.0, drift)

    def _stay_normal(self, rows: NDArray[Any]) -> bool:
        """Tell whether all inputs but zeros are normal numbers of the precision at every step."""
        high = max(float(np.max(rows, initial=1)), -float(np.min(rows, initial=0)))
        is_whole = rows.dtype.kind in "biu"
        low = 1.0 if is_whole else float(np.min(np.abs(rows) + (rows == 0.0), initial=1.0))
        numbers = [low, high]
        for step in self.network.preprocessing:
            factor = abs(step.factor)
            low, high = low * factor, high * factor
            numbers += [factor, low, high]
        return all(self.precision.normal <= number <= self.precision.largest for number in numbers)

    def _bound_of_extremes(self, x: _Array, y: _Array, relative: float) -> _Array:
        """Return the bounds of inputs some of which overflow, or become subnormal, on their way."""
        sizes = np.where(np.isfinite(x), np.abs(x), 1.0)
        is_small, is_large = (np.zeros(x.shape, np.bool) for _ in range(2))
        for factor in (1.0, *(abs(step.factor) for step in self.network.preprocessing)):
            sizes = sizes * factor
            is_small |= np.minimum(sizes, factor) < self.precision.normal
            is_large |= ~(np.maximum(sizes, factor) <= self.precision.largest)
        # A subnormal number may have no correct digit, or be taken for zero.
        bound = np.abs(_finite(y)) * np.where(is_small, 2.0, relative)
        bound += np.where(is_small & (x != 0.0), self.precision.floor, 0.0)
        return np.where(is_large & (x != 0.0), np.inf, bound).astype(self._dtype)

    def _after(self, weights: _Weights, z: _Array, y: _Array, before: _Errors) -> _Errors:
        """Return how far the results y of a layer may be off, from how far its inputs may be."""
        if self.is_worst_case:
            return self._at_worst(weights, z, y, before)
        return self._activated(weights.layer, z, y, self._weighted(weights, z, before))

    def _weighted(self, weights: _Weights, z: _Array, before: _Errors) -> _WeightedErrors:
        """Return how far z may be off, from how far y may be."""
        terms = before.sizes @ weights.sizes
        drifts = terms * self._dtype(before.relative)
        drifts += before.drift * weights.lengths + self._underflow(weights, before)
        drift = _length(drifts)
        # In no order of adding is a partial sum larger than all positive terms, or all negative.
        sizes, is_finite = self._sizes(z)
        half = self._dtype(0.5)  # each by itself: the sum could overflow
        largest_sum = terms * half
        largest_sum += weights.bias * half
        largest_sum += sizes * half
        spread = largest_sum * self.precision.spread(before.n_live + 5, self.factor)
        spreads, deviation = None, spread
        if before.spread is not None:
            spreads = _passed(weights, before.spread, before.common)
            deviation = _root_of_squares(spread, spreads)
            length = before.drift + before.relative * _length(before.sizes)
            drift = np.fmin(drift, weights.norm * length)
        bound = deviation * self._dtype(self.factor)
        bound += drifts
        # Rows in which a value has no bound have none from there on.
        bound += np.where(np.max(before.bound, axis=1, keepdims=True) < np.inf, 0.0, np.inf)
        bound = self._judged(z, bound, largest_sum, is_finite=is_finite)
        common = weights.norm * _largest(before)
        return _WeightedErrors(bound, spread, spreads, common, drifts, drift)

    def _activated(self, layer: Dense, z: _Array, y: _Array, before: _WeightedErrors) -> _Errors:
        """Return how far the activation y of z may be off, from how far z may be."""
        sizes, is_finite = self._sizes(y)
        if not ACTIVATIONS[layer.activation].is_elementwise:
            bound = rowwise_error(layer, z, y, before.bound, self.precision).astype(self._dtype)
            return _of_unknown_kind(sizes, self._judged(y, bound, sizes, is_finite=is_finite))
        steepness = self._steepness(layer, z, before.bound)
        bound = _product(steepness, before.bound) + self._own_error(layer, y, sizes)
        bound = self._judged(y, bound, sizes, is_finite=is_finite)
        steepness = _finite(steepness)
        steepest = np.max(steepness, axis=1, keepdims=True)
        common = steepest * before.common
        if before.spreads is not None:
            common = np.fmin(common, _length(steepness * before.spreads))
        return _Errors(
            sizes,
            bound,
            _count(bound),
            steepness * before.spread,
            common,
            relative_error(layer, self.precision),
            np.fmin(steepest * before.drift, _length(steepness * before.drifts)),
        )

    def _at_worst(self, weights: _Weights, z: _Array, y: _Array, before: _Errors) -> _Errors:
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
            bound = _product(self._steepness(layer, z, bound), bound)
            bound += self._own_error(layer, y, sizes)
        else:
            bound = rowwise_error(layer, z, y, bound, self.precision).astype(self._dtype)
        return _of_unknown_kind(sizes, self._judged(y, bound, sizes, is_finite=is_finite))

    def _sizes(self, y: _Array) -> tuple[_Array, bool]:
        """Return absolute values, 0 for NaN and infinities, and whether there are none of these."""
        sizes = np.abs(y.astype(self._dtype))
        if math.isfinite(float(np.max(sizes, initial=0.0))):
            return sizes, True
        is_finite = np.isfinite(y)
        return np.where(is_finite, sizes, self._dtype(0.0)), bool(np.all(is_finite))

    def _judged(self, y: _Array, bound: _Array, sizes: _Array, *, is_finite: bool) -> _Array:
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

    def _steepness(self, layer: Dense, z: _Array, bound: _Array) -> _Array:
        """Return the steepest slope that is within reach of z."""
        # Far below 0 the slope of squareplus counts, times a large bound, but vanishes in float32.
        is_far = not np.max(np.abs(z), initial=0.0) < _FAR
        row, z = ACTIVATIONS[layer.activation], z.astype(np.float64 if is_far else self._dtype)
        # A bound is at least four roundings of z: with half of it more, none is left out by the
        # rounding of z and of the ends.
        reach = bound * self._dtype(1.5)
        steepness: _Array = row.slope(z - reach, z + reach, np, **layer.options)
        return steepness

    def _underflow(self, weights: _Weights, before: _Errors) -> _Array:
        """Return what is lost if products, weights and values that small are taken for zero."""
        total = np.sum(before.sizes, axis=1, keepdims=True) + self._dtype(weights.largest_sum)
        return (total + before.n_live) * (self._dtype(self.precision.floor) * (before.n_live > 0))

    def _own_error(self, layer: Dense, y: _Array, sizes: _Array) -> _Array:
        own = sizes * self._dtype(relative_error(layer, self.precision))
        # y itself tells what is zero: the size of the smallest ones is, in float32.
        own += np.where(y != 0.0, self._dtype(self.precision.floor), self._dtype(0.0))
        return own


def spectral_bound(weight: _Array) -> float:
    """Return a number that is at least the largest singular value, and close to it.

    The Frobenius norm of a matrix is at least its largest singular value; that of the Gram matrix,
    squared three times, is its 16th power or little more.
    """
    scale = float(np.max(np.abs(weight), initial=0.0))
    if scale == 0.0:
        return 0.0
    weight = (weight / scale).astype(np.float32)
    gram = weight.T @ weight if weight.shape[0] > weight.shape[1] else weight @ weight.T
    power = 0.5
    norm = math.log(scale)
    for _ in range(3):
        size = float(np.linalg.norm(gram))
        norm += power * math.log(size)
        gram = gram / np.float32(size)
        gram = gram @ gram
        power /= 2.0
    norm += power * math.log(float(np.linalg.norm(gram)))
    # The products are in float32.
    return float(np.exp(norm)) * (1.0 + 1e-6 * max(weight.shape))


def _passed(weights: _Weights, spread: _Array, common: _Array) -> _Array:
    """Return the standard deviations behind weights of errors that were independent, and common."""
    # In units of the largest, since squares could underflow.
    largest = np.maximum(np.max(spread, axis=1, keepdims=True), common)
    unit = np.where(largest > 0.0, largest, np.ones_like(largest))
    shares, common = spread / unit, common / unit
    shares *= shares
    squares = shares @ weights.squares
    squares += common * common * weights.square_sums
    deviations: _Array = np.sqrt(squares, out=squares)
    deviations *= unit * unit.dtype.type(weights.largest)
    return deviations


def _largest(errors: _Errors) -> _Array:
    """Return the largest standard deviation of errors in any direction."""
    if errors.spread is None:
        return errors.common
    return np.hypot(np.max(errors.spread, axis=1, keepdims=True), errors.common)


def _root_of_squares(a: _Array, b: _Array) -> _Array:
    """Return sqrt(a^2 + b^2), or up to 8% more, without a square that could underflow."""
    total = np.minimum(a, b)
    total *= total.dtype.type(math.sqrt(2.0) - 1.0)
    total += np.maximum(a, b)
    return total


def _of_unknown_kind(sizes: _Array, bound: _Array) -> _Errors:
    """Return errors of which nothing is known but how large they are at most."""
    none = np.zeros((len(sizes), 1), sizes.dtype)
    return _Errors(sizes, bound, _count(bound), None, none, 0.0, _length(_finite(bound)))


def _count(x: _Array) -> _Array:
    """Return how many numbers of each row are not zero: none is negative."""
    return np.sum((x > 0.0).astype(x.dtype), axis=1, keepdims=True)


def _product(steepness: _Array, bound: _Array) -> _Array:
    """Return the product, which is 0 where the bound is: no distance, however steep."""
    product = steepness * bound
    return product if np.max(product, initial=0.0) < np.inf else np.where(bound > 0.0, product, 0.0)


def _finite(x: _Array) -> _Array:
    """Return x with 0 in place of NaN and infinities."""
    return x if math.isfinite(float(np.sum(x))) else np.where(np.isfinite(x), x, 0.0)


def _length(x: _Array) -> _Array:
    """Return the Euclidean length of each row of numbers that are not negative."""
    # In units of the largest, since squares could underflow.
    largest = np.max(x, axis=1, keepdims=True)
    x = x / np.where(largest > 0.0, largest, np.ones_like(largest))
    return largest * np.sqrt(np.vecdot(x, x))[:, None]


def _is_exact(rows: Any, precision: Precision) -> bool:
    """Tell whether rows of this dtype are cast to the precision without rounding."""
    name = str(rows.dtype).rpartition(".")[2]
    exact = {"bool", "uint8", "int8", precision.name}
    if precision.unit < 2.0**-11:
        exact |= {"uint16", "int16", "float16", "bfloat16"}
    if precision.name == "float64":
        exact |= {"uint32", "int32", "float32"}
    return name in exact
