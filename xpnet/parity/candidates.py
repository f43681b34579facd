"""Candidates for a comparison with the true values: networks, or recorded results."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, current_device, device_of, library_of
from xpnet.arrays.ranges import counting_from
from xpnet.arrays.transfer import move, to_numpy
from xpnet.networks.execution import layer_results
from xpnet.networks.fingerprint import preprocessing_facts
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import StageReference, row_chunks, stage_names
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.stage_statistics import (
    Agreement,
    StageAgreement,
    compare_predictions,
    compare_stage,
    no_results,
)
from xpnet.testing.backends import Backend

__all__ = ["Candidate", "CandidateComparison", "check_candidate", "on_backend", "stage_results"]

# A network, or the results of all its stages as `stage_results` returns them.
Candidate: TypeAlias = Network | Sequence[NDArray[Any]]

# Rows per chunk for products in extended precision, which are slow.
_ROWS_IN_EXTENDED_PRECISION = 16


def stage_results(network: Network, rows: NDArray[Any], /) -> tuple[NDArray[Any], ...]:
    """Return the results of all stages of a network, computed on the network's device.

    Parameters
    ----------
    network : Network
    rows : array of shape (n, n_in)
        On the host.

    Returns
    -------
    tuple of array of shape (n, width)
        The preprocessed inputs, then the results of each layer, as NumPy arrays.
    """
    parts, start = [], 0
    for chunk in row_chunks(rows):
        with counting_from(start):
            parts.append([to_numpy(y) for y in _results_on_device(network, chunk)])
        start += len(chunk)
    return tuple(np.concatenate(stage) for stage in zip(*parts, strict=True))


def _results_on_device(network: Network, rows: NDArray[Any]) -> list[Any]:
    weight = network.layers[0].weight
    xp = array_namespace(weight)
    with current_device(weight), np.errstate(all="ignore"):
        return [y for _, y in layer_results(network, move(rows, xp, network.device), xp)]


def on_backend(network: Network, backend: Backend, /) -> Network:
    """Return the network with its parameters as arrays of a backend."""
    return network.map_arrays(lambda x: move(x, backend.xp, backend.device))


def check_candidate(network: Network, candidate: Network, *, outputs_only: bool = False) -> None:
    """Raise ValueError unless the results of two networks can be compared."""
    expected, found = _comparable_facts(network), _comparable_facts(candidate)
    if outputs_only:
        expected.pop("layers as wide as")
    for name, value in expected.items():
        if found[name] != value:
            hint = " (outputs_only=True leaves them out)" if name.startswith("layers") else ""
            msg = f"`candidates` must have {name} {value}, as the network{hint}; got {found[name]}"
            raise ValueError(msg)


def _comparable_facts(network: Network) -> dict[str, Any]:
    """Return the facts that two networks must have in common to be compared, by name."""
    return {
        "n_in": network.n_in,
        "n_out": network.n_out,
        "output": network.output,
        "classes": list(network.classes or range(network.n_classes)),
        "layers as wide as": [layer.n_out for layer in network.layers],
    }


class CandidateComparison:
    """Comparison of one candidate with the true values of a network, chunk by chunk.

    `propagation` gives the bounds of `network`, `n_rows` is the number of rows of all chunks
    together. With `outputs_only`, only the last stage is compared. A candidate that is neither a
    network nor a sequence of arrays raises TypeError, one that does not fit raises ValueError.
    """

    def __init__(
        self,
        candidate: Candidate,
        propagation: Propagation,
        network: Network,
        n_rows: int,
        *,
        outputs_only: bool,
    ) -> None:
        self._candidate, self._propagation, self._network = candidate, propagation, network
        self._names = stage_names(network)
        self._compared = range(len(self._names))
        if isinstance(candidate, Network):
            check_candidate(network, candidate, outputs_only=outputs_only)
            if preprocessing_facts(candidate) != preprocessing_facts(network):
                self._compared = self._compared[1:]
        else:
            _check_recorded_stages(candidate, len(self._names), n_rows)
        if outputs_only:
            self._compared = self._compared[-1:]

    def compare(
        self, rows: NDArray[Any], start: int, stages: Sequence[StageReference], *, closely: bool
    ) -> tuple[NDArray[Any], Agreement]:
        """Return the predicted class ids of some rows, from index `start`, and their agreement.

        `stages` are the true values of each stage and their bounds. With `closely`, the
        preprocessed inputs are compared too, and each layer by itself from the inputs that the
        candidate gave it.
        """
        candidate = self._candidate
        if isinstance(candidate, Network):
            on_device = _results_on_device(candidate, rows)
            faults = [_placement_fault(candidate, y) for y in on_device]
            results = [to_numpy(y) for y in on_device]
        else:
            faults = [""] * len(candidate)
            results = [stage[start : start + len(rows)] for stage in candidate]
        found = []
        for i in self._compared:
            # From the end: a candidate with other layers has only the last stage in common.
            k = i - len(stages)
            agreement = no_results(self._names[i], faults[k])
            if not faults[k] and (closely or i > 0):
                agreement = self._compare_stage(i, results[k], stages[i], start)
            if i - 1 in self._compared:
                alone = no_results(self._names[i])
                if closely:
                    alone = self._compare_layer_alone(i, results[k - 1], results[k], start)
                agreement = replace(agreement, alone=alone)
            found.append(agreement)
        ids, predictions = compare_predictions(self._network, results[-1], *stages[-1])
        return ids, replace(predictions, stages=tuple(found))

    def _compare_stage(
        self, i: int, result: NDArray[Any], expected: StageReference, start: int
    ) -> StageAgreement:
        precision = self._propagation.precision
        return compare_stage(self._names[i], result, *expected, precision, first_row=start)

    def _compare_layer_alone(
        self, i: int, given: NDArray[Any], result: NDArray[Any], start: int
    ) -> StageAgreement:
        layer = self._network.layers[i - 1]
        if given.shape[1:] != (layer.n_in,) or result.shape[1:] != (layer.n_out,):
            return no_results(self._names[i])  # a fault of the stage already
        if self._propagation.precision.name == "float64":
            given, result = (x[:_ROWS_IN_EXTENDED_PRECISION] for x in (given, result))
        return self._compare_stage(i, result, self._propagation.layer_alone(i, given), start)


def _check_recorded_stages(stages: Any, n_stages: int, n_rows: int) -> None:
    """Raise unless the recorded results cover all stages and rows."""
    if isinstance(stages, str) or not isinstance(stages, Sequence):
        msg = f"`candidates` must be networks or sequences of arrays; got {type(stages).__name__}"
        raise TypeError(msg)
    for stage in stages:
        if not isinstance(stage, np.ndarray):
            msg = f"`candidates` must hold NumPy arrays as stages; got {type(stage).__name__}"
            raise TypeError(msg)
    found = [stage.shape[:1] for stage in stages]
    if found != [(n_rows,)] * n_stages:
        shapes = [stage.shape for stage in stages]
        msg = f"`candidates` must have {n_stages} stages of {n_rows} rows; got the shapes {shapes}"
        raise ValueError(msg)


def _placement_fault(network: Network, y: Any) -> str:
    """Return the wrong library, device or dtype of a network's result; empty if all are right."""
    found = {"library": library_of(y), "device": device_of(y), "dtype": y.dtype}
    for name, value in found.items():
        expected = getattr(network, name)
        if value != expected:
            return f"{name} {value} instead of {expected}"
    return ""
