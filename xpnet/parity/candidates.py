"""What is compared with the true values: networks, and recorded results."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, current_device, device_of, library_of
from xpnet.arrays.ranges import counting_from
from xpnet.arrays.transfer import move, to_numpy
from xpnet.inference.predict import class_ids
from xpnet.networks.network import Network, layer_results
from xpnet.parity.bounds.error_bound import stage_names, tiles
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.certificates.fingerprint import preprocessing_facts
from xpnet.parity.stage_statistics import Agreement, Tally
from xpnet.testing.backends import Backend

__all__ = ["Candidate", "Trial", "check_candidate", "on_backend", "stage_results"]

# The stages are those that `stage_results` gives.
Candidate = Network | Sequence[NDArray[Any]]

# A product in the widest precision is slow: so many rows do.
_ROWS_IN_EXTENDED_PRECISION = 16


def stage_results(network: Network, rows: NDArray[Any], /) -> tuple[NDArray[Any], ...]:
    """Return the results of all stages of a network, computed where its parameters are.

    Parameters
    ----------
    network : Network
    rows : array of shape (n, n_in)
        On the host.

    Returns
    -------
    tuple of array of shape (n, width)
        The preprocessed inputs, then each layer's results, as NumPy arrays.
    """
    parts, start = [], 0
    for tile in tiles(rows):
        with counting_from(start):
            parts.append([to_numpy(y) for y in _on_device(network, tile)])
        start += len(tile)
    return tuple(np.concatenate(stage) for stage in zip(*parts, strict=True))


def _on_device(network: Network, rows: NDArray[Any]) -> list[Any]:
    weight = network.layers[0].weight
    xp = array_namespace(weight)
    with current_device(weight), np.errstate(all="ignore"):
        return [y for _, y in layer_results(network, move(rows, xp, network.device), xp)]


def on_backend(network: Network, backend: Backend, /) -> Network:
    """Return the network with its parameters as arrays of a backend."""
    return network.map_arrays(lambda x: move(x, backend.xp, backend.device))


def check_candidate(network: Network, candidate: Network, *, outputs_only: bool = False) -> None:
    """Raise ValueError unless the results of two networks mean the same."""
    expected, found = _meaning(network), _meaning(candidate)
    if outputs_only:
        expected.pop("layers as wide as")
    for name, value in expected.items():
        if found[name] != value:
            hint = " (outputs_only=True leaves them out)" if name.startswith("layers") else ""
            msg = f"`candidates` must have {name} {value}, as the network{hint}; got {found[name]}"
            raise ValueError(msg)


def _meaning(network: Network) -> dict[str, Any]:
    """Return by name what two networks must have in common to be compared."""
    return {
        "n_in": network.n_in,
        "n_out": network.n_out,
        "output": network.output,
        "classes": list(network.classes or range(network.n_classes)),
        "layers as wide as": [layer.n_out for layer in network.layers],
    }


class Trial:
    """One candidate, judged tile by tile.

    Parameters
    ----------
    network : Network
        What is meant.
    candidate : Candidate
    propagation : Propagation
        Of the network.
    n_rows : int
        Of all tiles together.
    outputs_only : bool
        Whether to leave out all stages but the last.

    Raises
    ------
    TypeError
        If the candidate is no network and no sequence of arrays.
    ValueError
        If it does not fit the network.
    """

    def __init__(
        self,
        network: Network,
        candidate: Candidate,
        propagation: Propagation,
        n_rows: int,
        *,
        outputs_only: bool,
    ) -> None:
        self._network, self._candidate, self._propagation = network, candidate, propagation
        self._n_differ = self._n_unjudged = 0
        names = stage_names(network)
        kept = list(range(len(names)))
        if isinstance(candidate, Network):
            check_candidate(network, candidate, outputs_only=outputs_only)
            if preprocessing_facts(candidate) != preprocessing_facts(network):
                kept = kept[1:]
        else:
            _check_stages(candidate, len(names), n_rows)
        if outputs_only:
            kept = kept[-1:]
        precision = propagation.precision
        self._tallies = {i: Tally(names[i], precision) for i in kept}
        self._alone = {i: Tally(names[i], precision) for i in kept if i - 1 in kept}

    def judge(
        self,
        rows: NDArray[Any],
        start: int,
        stages: Sequence[tuple[NDArray[Any], NDArray[Any]]],
        *,
        closely: bool,
    ) -> NDArray[Any]:
        """Compare the results of some rows with the true values; return their classes.

        Parameters
        ----------
        rows : array of shape (n, n_in)
        start : int
            The place of the first of them among all rows.
        stages : sequence of pairs of arrays
            The true values, and how far a result may be from them.
        closely : bool
            Whether to judge, too, the preprocessed inputs, and each layer from the inputs that it
            was given.
        """
        results = self._results(rows, start)
        # From the last on: a candidate of other layers has that one alone in common.
        for i, tally in self._tallies.items():
            result, fault = results[i - len(stages)]
            tally.note_fault(fault)
            if closely or i > 0:
                tally.add(result, *stages[i], first_row=start)
            if closely and i in self._alone:
                self._judge_alone(i, results[i - 1][0], result, start)
        last, (values, bound) = results[-1][0], stages[-1]
        has_none = np.isinf(bound).any(axis=1)
        if self._network.output == "values" or last.shape != values.shape:
            # Each value is a prediction, and another one in its last digits at least.
            self._n_unjudged += int(np.count_nonzero(has_none))
            return np.zeros(len(rows))
        ids = class_ids(self._network, last)
        differs = ids != class_ids(self._network, values)
        self._n_differ += int(np.count_nonzero(differs))
        self._n_unjudged += int(np.count_nonzero(differs & has_none))
        return ids

    def _judge_alone(self, i: int, given: NDArray[Any], result: NDArray[Any], start: int) -> None:
        layer = self._network.layers[i - 1]
        if given.shape[1:] != (layer.n_in,) or result.shape[1:] != (layer.n_out,):
            return  # noted as a fault already
        if self._propagation.precision.name == "float64":
            given, result = (x[:_ROWS_IN_EXTENDED_PRECISION] for x in (given, result))
        self._alone[i].add(result, *self._propagation.alone(i, given), first_row=start)

    def _results(self, rows: NDArray[Any], start: int) -> list[tuple[NDArray[Any], str]]:
        """Return the results of each stage on the host, and what is wrong with where they were."""
        if not isinstance(self._candidate, Network):
            return [(stage[start : start + len(rows)], "") for stage in self._candidate]
        return [
            (to_numpy(y), _misplacement(self._candidate, y))
            for y in _on_device(self._candidate, rows)
        ]

    def result(self) -> Agreement:
        """Return what was found."""
        n_differ = None if self._network.output == "values" else self._n_differ
        stages = (
            tally.result(self._alone[i].result() if i in self._alone else None)
            for i, tally in self._tallies.items()
        )
        return Agreement(tuple(stages), n_differ, self._n_unjudged)


def _check_stages(stages: Any, n_stages: int, n_rows: int) -> None:
    """Raise unless recorded results are of all stages and rows."""
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


def _misplacement(network: Network, y: Any) -> str:
    """Return in words where a result of the network is, if it is not where it should be."""
    found = {"library": library_of(y), "device": device_of(y), "dtype": y.dtype}
    for name, value in found.items():
        expected = getattr(network, name)
        if value != expected:
            return f"{name} {value} in place of {expected}"
    return ""
