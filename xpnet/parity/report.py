"""How far networks are from the true values, and whether it can change a prediction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, current_device, device_of, library_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.inference.predict import class_ids
from xpnet.networks.network import Network, layer_results
from xpnet.parity.bound import checked_confidence, count_results, rows_on_host, stage_names, tiles
from xpnet.parity.kit.backends import Backend
from xpnet.parity.precision import Precision
from xpnet.parity.propagation import Propagation
from xpnet.parity.tally import StageAgreement, Tally

__all__ = ["Agreement", "Report", "compare", "stage_results"]


# A network, or the results of its stages as a certificate holds them.
Candidate = Network | Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Agreement:
    """How far one candidate is from the true values.

    Attributes
    ----------
    stages : tuple of StageAgreement
        Those that can be compared: a network into which the preprocessing was folded has no
        preprocessed inputs.
    n_differ : int or None
        How many rows get another class than the true values give; None for a regression.
    """

    stages: tuple[StageAgreement, ...]
    n_differ: int | None

    @property
    def first_out(self) -> str | None:
        """The first stage out of bound or otherwise wrong; None if all is well."""
        return next((stage.name for stage in self.stages if not stage.is_in_bound), None)


@dataclass(frozen=True)
class Report:
    """What `compare` found.

    Attributes
    ----------
    n_rows : int
    dtype : str
        The precision that the bounds are for.
    confidence : float
        The probability that no correct result at all misses its bound; 1.0 in the worst-case mode.
    n_could_differ : int or None
        For how many rows two correct computations may give different classes: the bounds of the two
        largest outputs overlap. None for a regression.
    n_disagree : int or None
        For how many rows the candidates give different classes.
    candidates : mapping of str to Agreement
    """

    n_rows: int
    dtype: str
    confidence: float
    n_could_differ: int | None
    n_disagree: int | None
    candidates: Mapping[str, Agreement]

    @property
    def is_in_bound(self) -> bool:
        """Whether every candidate is in bound at every stage."""
        return all(agreement.first_out is None for agreement in self.candidates.values())


def compare(
    network: Network,
    x: Any,
    candidates: Mapping[str, Candidate],
    /,
    *,
    confidence: float = 1.0 - 1e-6,
    worst_case: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Compare networks with what one of them gives in float64, against the derived bounds.

    Parameters
    ----------
    network : Network
        What is meant: its parameters in float64 give the true values, its dtype the bounds.
    x : array of shape (n, n_in)
    candidates : mapping of str to Network or sequence of arrays
        By any names: the same network on other devices and of other libraries, or prepared in
        another way (with the preprocessing folded into the weights); or the results of all stages
        as NumPy arrays, as `stage_results` gives them.
    confidence, worst_case
        As for `error_bound`.
    progress : callable, optional
        Called with a number of rows when they have been compared.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        As `error_bound`; and if a candidate has not the inputs, outputs or stages of the network.

    Examples
    --------
    >>> import xpnet
    >>> network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    >>> report = compare(network, images, {"cpu": network})
    >>> report.is_in_bound, report.n_could_differ
    (True, 0)
    """
    rows = rows_on_host(network, x)
    confidence = 1.0 if worst_case else checked_confidence(confidence)
    propagation = Propagation(network, count_results(network, len(rows)), confidence)
    precision = propagation.precision
    trials = [_Trial(network, other, len(rows), precision) for other in candidates.values()]
    n_could_differ, n_disagree, start = 0, 0, 0
    for tile in tiles(rows):
        stages = list(propagation.stages(tile))
        if precision.name == "float64":  # the true values err as well
            stages = [(y, 2.0 * bound) for y, bound in stages]
        ids = [trial.judge(tile, start, stages) for trial in trials]
        n_could_differ += int(np.count_nonzero(_could_differ(network, *stages[-1])))
        if ids:
            n_disagree += int(np.count_nonzero(np.any(np.asarray(ids) != ids[0], axis=0)))
        start += len(tile)
        if progress is not None:
            progress(len(tile))
    classifies = network.output != "values"
    return Report(
        n_rows=len(rows),
        dtype=precision.name,
        confidence=confidence,
        n_could_differ=n_could_differ if classifies else None,
        n_disagree=n_disagree if classifies else None,
        candidates={name: trial.result() for name, trial in zip(candidates, trials, strict=True)},
    )


class _Trial:
    """One candidate, judged tile by tile."""

    def __init__(
        self, network: Network, candidate: Candidate, n_rows: int, precision: Precision
    ) -> None:
        self._network, self._candidate, self._n_differ = network, candidate, 0
        names = stage_names(network)
        kept = list(range(len(names)))
        if isinstance(candidate, Network):
            kept = _comparable_stages(network, candidate)
        elif [len(stage) for stage in candidate] != [n_rows] * len(names):
            found = [len(stage) for stage in candidate]
            msg = f"`candidates` must have {len(names)} stages of {n_rows} rows; got {found}"
            raise ValueError(msg)
        self._tallies = {i: Tally(names[i], precision) for i in kept}

    def judge(
        self, rows: NDArray[Any], start: int, stages: Sequence[tuple[NDArray[Any], NDArray[Any]]]
    ) -> NDArray[Any]:
        """Compare the results of some rows with the true values; return their classes."""
        n_stages = len(stages)
        results = self._results(rows, start)
        for i, tally in self._tallies.items():
            result, fault = results[i - n_stages]
            tally.note_fault(fault)
            tally.add(result, *stages[i], first_row=start)
        last = results[-1][0]
        if self._network.output == "values" or last.shape != stages[-1][0].shape:
            return np.zeros(len(rows))
        ids = class_ids(self._network, last)
        self._n_differ += int(np.count_nonzero(ids != class_ids(self._network, stages[-1][0])))
        return ids

    def _results(self, rows: NDArray[Any], start: int) -> list[tuple[NDArray[Any], str]]:
        """Return the results of each stage on the host, and what is wrong with where they were."""
        if not isinstance(self._candidate, Network):
            return [(stage[start : start + len(rows)], "") for stage in self._candidate]
        with np.errstate(all="ignore"):  # infinities are compared as they are
            stages = stage_results(self._candidate, rows)
        return [(to_numpy(y), _misplacement(self._candidate, y)) for y in stages]

    def result(self) -> Agreement:
        """Return what was found."""
        n_differ = None if self._network.output == "values" else self._n_differ
        return Agreement(tuple(tally.result() for tally in self._tallies.values()), n_differ)


def stage_results(network: Network, rows: NDArray[Any], /) -> list[Any]:
    """Return the results of all stages of a network for host rows, on its device.

    Parameters
    ----------
    network : Network
    rows : array of shape (n, n_in)

    Returns
    -------
    list of array
        The preprocessed inputs, then each layer's results, in the network's library.
    """
    weight = network.layers[0].weight
    xp = array_namespace(weight)
    with current_device(weight):
        on_device = move(rows, xp, network.device)
        return [y for _, y in layer_results(network, on_device, xp)]


def results_on_host(network: Network, rows: NDArray[Any], /) -> tuple[NDArray[Any], ...]:
    """Return the same as NumPy arrays, computed some hundreds of rows at a time."""
    parts = [map(to_numpy, stage_results(network, tile)) for tile in tiles(rows)]
    return tuple(np.concatenate(stage) for stage in zip(*parts, strict=True))


def on_backend(network: Network, backend: Backend, /) -> Network:
    """Return the network with its parameters as arrays of a backend."""
    layers = tuple(
        replace(
            layer,
            weight=move(layer.weight, backend.xp, backend.device),
            bias=move(layer.bias, backend.xp, backend.device),
        )
        for layer in network.layers
    )
    return replace(network, layers=layers)


def _comparable_stages(network: Network, candidate: Network) -> list[int]:
    """Return the stages whose results mean the same in both networks; the last always does."""
    for name in ("n_in", "n_out", "output"):
        expected, found = getattr(network, name), getattr(candidate, name)
        if expected != found:
            msg = f"`candidates` must have {name} {expected}, as the network; got {found}"
            raise ValueError(msg)
    n_stages = len(network.layers) + 1
    if len(candidate.layers) != len(network.layers):
        return [n_stages - 1]
    kept = [0] if network.preprocessing == candidate.preprocessing else []
    for i, (layer, other) in enumerate(zip(network.layers, candidate.layers, strict=True), 1):
        if i == n_stages - 1 or (
            layer.n_out == other.n_out and layer.activation_text == other.activation_text
        ):
            kept.append(i)
    return kept


def _misplacement(network: Network, y: Any) -> str:
    """Return in words where a result of the network is, if it is not where it should be."""
    found = {"library": library_of(y), "device": device_of(y), "dtype": y.dtype}
    for name, value in found.items():
        expected = getattr(network, name)
        if value != expected:
            return f"{name} {value} in place of {expected}"
    return ""


def _could_differ(
    network: Network, values: NDArray[np.float64], bound: NDArray[Any]
) -> NDArray[np.bool]:
    """Tell for which rows results within the bounds may be of different classes."""
    if network.output == "values":
        return np.zeros(len(values), np.bool)
    if network.n_out == 1:
        middle = 0.0 if network.output == "logits" else 0.5
        return np.abs(values[:, 0] - middle) < bound[:, 0]
    rows, best = np.arange(len(values)), np.argmax(values, axis=1)
    with np.errstate(invalid="ignore"):  # NaN never differs
        highest, lowest = values + bound, (values - bound)[rows, best]
    highest[rows, best] = -np.inf
    return np.max(highest, axis=1) > lowest
