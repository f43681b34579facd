"""Candidates for a comparison: networks, or recorded results, and what they give at each stage."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.chunks import suited
from xpnet.networks.network import Network
from xpnet.networks.reproducible import reproducible

__all__ = ["Candidate", "candidate_results", "check_candidate", "stage_results"]

# A network, or the results of all its stages as `stage_results` returns them, or of the last one.
Candidate: TypeAlias = Network | Sequence[NDArray[Any]]


def stage_results(network: Network, rows: NDArray[Any], /) -> tuple[NDArray[Any], ...]:
    """Return the results of all stages of a network, computed on the network's device.

    They are those that `xpnet.predict` computes, as NumPy arrays of shape (n, width): the
    preprocessed inputs, then the results of each layer, for rows of shape (n, n_in) on the host.
    """
    with without_warnings():
        network, given = suited(network, rows)
        xp = array_namespace(given)
        results = [network.inputs(given, xp)]
        results += [y for _, y in network.layer_results(given, xp)]
        if network.is_reproducible:  # others are not rounded: a wrong dtype is a fault
            results = [network.rounded(y, xp) for y in results]
        return tuple(map(to_numpy, results))


def check_candidate(network: Network, candidate: Network) -> None:
    """Raise ValueError unless the outputs of two networks can be compared."""
    names = "n_in", "n_out", "output", "classes"
    facts = (
        (x.n_in, x.n_out, x.output, list(x.classes or range(x.n_classes)))
        for x in (network, candidate)
    )
    for name, expected, found in zip(names, *facts, strict=True):
        if found != expected:
            msg = f"a candidate must have {name} {expected}, as the network; got {found}"
            raise ValueError(msg)


def candidate_results(
    network: Network, candidate: Candidate, rows: NDArray[Any]
) -> dict[int, NDArray[Any]]:
    """Return the results of a candidate at those stages of the network that it has, by index.

    A network with layers of other widths has the outputs alone, one with other preprocessing steps
    has all but the preprocessed inputs. Raise TypeError for a candidate that is neither a network
    nor a sequence of arrays, ValueError if it does not fit.
    """
    n_stages = len(network.layers) + 1
    if isinstance(candidate, Network):
        check_candidate(network, candidate)
        first = 0
        if list(map(repr, candidate.preprocessing)) != list(map(repr, network.preprocessing)):
            first = 1
        if [layer.n_out for layer in candidate.layers] != [layer.n_out for layer in network.layers]:
            first = -1
        candidate = reproducible(candidate) if network.is_reproducible else candidate
        results = stage_results(candidate, rows)[first:]
    else:
        results = _recorded(candidate, n_stages, len(rows))
    return dict(enumerate(results, start=n_stages - len(results)))


def _recorded(stages: Any, n_stages: int, n_rows: int) -> tuple[NDArray[Any], ...]:
    """Return recorded results if they cover all rows, and all stages or the outputs alone."""
    is_sequence = isinstance(stages, Sequence) and not isinstance(stages, str)
    if not is_sequence or not all(isinstance(stage, np.ndarray) for stage in stages):
        found = type(stages).__name__
        msg = f"`candidates` must be networks or sequences of NumPy arrays; got a {found}"
        raise TypeError(msg)
    if [stage.shape[:1] for stage in stages] not in ([(n_rows,)], [(n_rows,)] * n_stages):
        shapes = [stage.shape for stage in stages]
        msg = f"`candidates` must have {n_stages} stages of {n_rows} rows; got the shapes {shapes}"
        raise ValueError(msg)
    return tuple(stages)
