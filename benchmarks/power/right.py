"""Correct computations: other libraries, other orders of adding, a folded scale."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, layer_results
from xpnet.networks.preprocessing import Scale
from xpnet.parity.candidates import Candidate, on_backend
from xpnet.testing.backends import Backend

__all__ = ["Step", "activate", "compute", "right_candidates", "stages_of", "with_units_permuted"]

_Matrix = NDArray[Any]
Step = Callable[[Dense, _Matrix], _Matrix]
# Some ways of adding hold all terms of a layer at once.
_MOST_TERMS = 3_000_000


def activate(layer: Dense, z: _Matrix) -> _Matrix:
    """Return the activation of a layer."""
    y: _Matrix = ACTIVATIONS[layer.activation](z, np, **layer.options)
    return y


def compute(layer: Dense, y: _Matrix) -> _Matrix:
    """Return the results of a layer as they should be."""
    return activate(layer, y @ layer.weight + layer.bias)


def stages_of(network: Network, rows: _Matrix, steps: Iterable[Step]) -> list[_Matrix]:
    """Return the results of all stages of a NumPy network, given how to compute each layer."""
    with np.errstate(all="ignore"):
        _, y = next(layer_results(network, rows, np))
        stages = [y]
        for layer, step in zip(network.layers, steps, strict=True):
            stages.append(step(layer, stages[-1]))
    return stages


def right_candidates(
    network: Network, rows: _Matrix, backends: Iterable[Backend]
) -> Iterator[tuple[str, Candidate]]:
    """Yield what `compare` must find in bound, by name of the way in which it is computed."""
    yield "NumPy", network
    for backend in backends:
        if backend.has([str(network.dtype)]):
            there = on_backend(network, backend)
            yield backend.name, there
            if backend.library == "jax":
                yield "jax.jit", _compiled(there, rows, backend)
    if network.preprocessing:
        yield "folded scale", _with_scale_folded(network)
    dots = dict(_DOTS)
    if max(len(rows) * layer.weight.size for layer in network.layers) <= _MOST_TERMS:
        dots |= _DOTS_OF_ALL_TERMS
    for name, dot in dots.items():
        yield name, stages_of(network, rows, [_step_with(dot)] * len(network.layers))


def with_units_permuted(network: Network, rng: np.random.Generator) -> Network:
    """Return a network whose outputs are the same, but whose hidden units have another order."""
    layers = list(network.layers)
    for i in range(1, len(layers)):
        before, layer = layers[i - 1], layers[i]
        order = rng.permutation(layer.n_in)
        layers[i - 1] = replace(before, weight=before.weight[:, order], bias=before.bias[order])
        layers[i] = replace(layer, weight=layer.weight[order])
    return replace(network, layers=tuple(layers))


def _with_scale_folded(network: Network) -> Network:
    first, *others = network.layers
    with np.errstate(all="ignore"):
        weight = first.weight
        for step in network.preprocessing:
            if not isinstance(step, Scale):
                msg = "only a scale can be folded into the weights within the bound"
                raise TypeError(msg)
            weight = weight * network.dtype.type(step.factor)
    return replace(network, layers=(replace(first, weight=weight), *others), preprocessing=())


def _compiled(network: Network, rows: _Matrix, backend: Backend) -> list[_Matrix]:
    """Return the stages by JAX's compiler, which fuses products with sums and activations."""
    import jax

    run = jax.jit(lambda x: [y for _, y in layer_results(network, x, backend.xp)])
    return [np.asarray(y) for y in run(backend.xp.asarray(rows))]


def _step_with(dot: Callable[[_Matrix, _Matrix], _Matrix]) -> Step:
    return lambda layer, y: activate(layer, dot(y, layer.weight) + layer.bias)


def _reversed(y: _Matrix, weight: _Matrix) -> _Matrix:
    return np.ascontiguousarray(y[:, ::-1]) @ np.ascontiguousarray(weight[::-1])


def _one_by_one(y: _Matrix, weight: _Matrix) -> _Matrix:
    total = np.zeros((len(y), weight.shape[1]), y.dtype)
    for i, row in enumerate(weight):
        total += y[:, i, None] * row
    return total


def _fused(y: _Matrix, weight: _Matrix) -> _Matrix:
    # A product of two float32 numbers is exact in float64: only the sum is rounded.
    total = np.zeros((len(y), weight.shape[1]), y.dtype)
    for i, row in enumerate(weight.astype(np.float64)):
        total = (total + y[:, i, None].astype(np.float64) * row).astype(y.dtype)
    return total


def _terms(y: _Matrix, weight: _Matrix) -> _Matrix:
    return y[:, None, :] * np.ascontiguousarray(weight.T)[None]


def _pairwise(y: _Matrix, weight: _Matrix) -> _Matrix:
    total: _Matrix = np.sum(_terms(y, weight), axis=2)
    return total


def _rising(y: _Matrix, weight: _Matrix) -> _Matrix:
    total: _Matrix = np.cumsum(np.sort(_terms(y, weight), axis=2), axis=2)[:, :, -1]
    return total


_DOTS = {"reversed": _reversed}
# From the most negative term up: the largest partial sums there are.
_DOTS_OF_ALL_TERMS = {
    "one by one": _one_by_one,
    "one by one, fused": _fused,
    "pairwise": _pairwise,
    "rising": _rising,
}
