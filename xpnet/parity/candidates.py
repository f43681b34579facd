"""Candidates for a comparison with the true values: networks, or recorded results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import (
    array_namespace,
    device_of,
    library_of,
    without_warnings,
)
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.chunks import suited
from xpnet.networks.network import Network
from xpnet.networks.reproducible import reproducible
from xpnet.parity.bounds.error_bound import StageReference, row_chunks, rows_on_host, stage_names
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import format_of
from xpnet.parity.fingerprint import preprocessing_facts
from xpnet.parity.stage_statistics import (
    Agreement,
    StageAgreement,
    compare_bits,
    compare_predictions,
    compare_stage,
)

__all__ = [
    "Candidate",
    "candidate_comparisons",
    "check_candidate",
    "results_on_device",
    "stage_results",
]

# A network, or the results of all its stages as `stage_results` returns them, or of the last one.
Candidate: TypeAlias = Network | Sequence[NDArray[Any]]

# Rows per chunk for products in extended precision, which are slow.
_ROWS_IN_EXTENDED_PRECISION = 16


def stage_results(network: Network, rows: NDArray[Any], /) -> tuple[NDArray[Any], ...]:
    """Return the results of all stages of a network, computed on the network's device.

    They are NumPy arrays of shape (n, width): the preprocessed inputs, then the results of each
    layer, for rows of shape (n, n_in) on the host.
    """
    parts = []
    for _, chunk in row_chunks(rows):
        with without_warnings():
            parts.append([to_numpy(y) for y in results_on_device(network, chunk)])
    return tuple(np.concatenate(stage) for stage in zip(*parts, strict=True))


def results_on_device(network: Network, rows: NDArray[Any], /) -> list[Any]:
    """Return the results of all stages, as arrays on the network's device."""
    with without_warnings():
        network, given = suited(network, rows)
        xp = array_namespace(given)
        results = [network.inputs(given, xp)]
        results += [y for _, y in network.layer_results(given, xp)]
        if network.is_reproducible:  # others are not rounded: a wrong dtype is a fault
            return [network.rounded(y, xp) for y in results]
        return results


def check_candidate(network: Network, candidate: Network, *, outputs_only: bool = False) -> None:
    """Raise ValueError unless the results of two networks can be compared."""
    facts: dict[str, Callable[[Network], Any]] = {
        **{name: attrgetter(name) for name in ("n_in", "n_out", "output")},
        "classes": lambda x: list(x.classes or range(x.n_classes)),
        "layers as wide as": lambda x: [layer.n_out for layer in x.layers],
    }
    if outputs_only:
        facts.pop("layers as wide as")
    for name, fact in facts.items():
        expected, found = fact(network), fact(candidate)
        if found != expected:
            hint = " (outputs_only=True leaves them out)" if name.startswith("layers") else ""
            msg = f"`candidates` must have {name} {expected}, as the network{hint}; got {found}"
            raise ValueError(msg)


def candidate_comparisons(
    network: Network, x: Any, candidates: Mapping[str, Candidate], *, outputs_only: bool
) -> tuple[NDArray[Any], list["CandidateComparison"]]:
    """Return the rows of `x` on the host, and a comparison for each candidate, after validation."""
    rows = rows_on_host(network, x)
    if not isinstance(candidates, Mapping):
        kind = type(candidates).__name__
        msg = f"`candidates` must be a mapping of names to networks or stages; got {kind}"
        raise TypeError(msg)
    if not len(rows) or not candidates:
        msg = f"`x` and `candidates` must not be empty; got {len(rows)} rows and {len(candidates)}"
        raise ValueError(msg)
    return rows, [
        CandidateComparison(candidate, network, len(rows), outputs_only=outputs_only)
        for candidate in candidates.values()
    ]


class CandidateComparison:
    """Comparison of one candidate with a network, chunk by chunk.

    `n_rows` is the number of rows of all chunks together. With `outputs_only`, only the last stage
    is compared. Raise TypeError for a candidate that is neither a network nor a sequence of arrays,
    ValueError if it does not fit.
    """

    def __init__(
        self, candidate: Candidate, network: Network, n_rows: int, *, outputs_only: bool
    ) -> None:
        self._names = stage_names(network)
        self._compared = range(len(self._names))
        if isinstance(candidate, Network):
            check_candidate(network, candidate, outputs_only=outputs_only)
            if preprocessing_facts(candidate) != preprocessing_facts(network):
                self._compared = self._compared[1:]
            if network.is_reproducible:
                candidate = reproducible(candidate)
        else:
            _check_recorded_stages(candidate, len(self._names), n_rows)
            outputs_only |= len(candidate) == 1
        if outputs_only:
            self._compared = self._compared[-1:]
        self._candidate, self._network = candidate, network

    def compare(
        self,
        rows: NDArray[Any],
        start: int,
        stages: Sequence[StageReference],
        propagation: Propagation | None,
        *,
        closely: bool,
    ) -> tuple[NDArray[Any], Agreement]:
        """Return the predicted class ids of some rows, from index `start`, and their agreement.

        Without `propagation`, which bounds the errors of the stages, bits are compared. With
        `closely`, the preprocessed inputs are compared too, and each layer by itself from the
        inputs that the candidate gave it.
        """
        results, faults = self._compute(rows, start)
        found, precision = [], format_of(self._network)
        judge = compare_bits if propagation is None else compare_stage
        for i in self._compared:
            # From the end: a candidate with other layers has only the last stage in common.
            k, name = i - len(stages), self._names[i]
            agreement = StageAgreement(name, fault=faults[k])
            if not faults[k] and (closely or i > 0 or propagation is None):
                agreement = judge(name, results[k], *stages[i], precision, first_row=start)
            if propagation is not None and i - 1 in self._compared:
                alone = StageAgreement(name)
                layer, given, y = self._network.layers[i - 1], results[k - 1], results[k]
                # A wrong shape is already reported as a fault of the stage.
                if closely and (given.shape[1:], y.shape[1:]) == ((layer.n_in,), (layer.n_out,)):
                    if precision.name == "float64":
                        given, y = (x[:_ROWS_IN_EXTENDED_PRECISION] for x in (given, y))
                    expected = propagation.layer_alone(i, given)
                    alone = compare_stage(name, y, *expected, precision, first_row=start)
                agreement = replace(agreement, alone=alone)
            found.append(agreement)
        return compare_predictions(found, self._network, results[-1], *stages[-1])

    def _compute(self, rows: NDArray[Any], start: int) -> tuple[list[NDArray[Any]], list[str]]:
        """Return the results of all stages for some rows, from index `start`, and their faults."""
        candidate = self._candidate
        if not isinstance(candidate, Network):
            return [stage[start : start + len(rows)] for stage in candidate], [""] * len(candidate)
        on_device = results_on_device(candidate, rows)
        faults = [_placement_fault(candidate, y) for y in on_device]
        with without_warnings():  # Dask computes here
            return [to_numpy(y) for y in on_device], faults


def _check_recorded_stages(stages: Any, n_stages: int, n_rows: int) -> None:
    """Raise unless the recorded results cover all rows, and all stages or the outputs alone."""
    if isinstance(stages, str) or not isinstance(stages, Sequence):
        msg = f"`candidates` must be networks or sequences of arrays; got {type(stages).__name__}"
        raise TypeError(msg)
    for stage in stages:
        if not isinstance(stage, np.ndarray):
            msg = f"`candidates` must hold NumPy arrays as stages; got {type(stage).__name__}"
            raise TypeError(msg)
    found = [stage.shape[:1] for stage in stages]
    if found not in ([(n_rows,)], [(n_rows,)] * n_stages):
        shapes = [stage.shape for stage in stages]
        msg = f"`candidates` must have {n_stages} stages of {n_rows} rows; got the shapes {shapes}"
        raise ValueError(msg)


def _placement_fault(network: Network, y: Any) -> str:
    """Return a message about a wrong library, device or dtype of a result; empty if right."""
    found = {"library": library_of(y), "device": device_of(y), "dtype": y.dtype}
    for name, value in found.items():
        expected = getattr(network, name)
        if value != expected:
            return f"{name} {value} instead of {expected}"
    return ""
