"""How far networks are from the true values, and whether it can change a prediction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.ranges import counting_from
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import checked_confidence, count_results, rows_on_host, tiles
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.candidates import Candidate, Trial
from xpnet.parity.stage_statistics import Agreement

__all__ = ["Report", "compare"]

# In as many tiles the inputs and each layer alone are judged, too: that costs half as much again.
_TILES_CLOSELY = 2


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
        """Whether every candidate is judged, and in bound at every stage.

        A candidate is not judged if no output has a bound, or a prediction differs that has none.
        """
        return all(x.is_judged and x.first_out is None for x in self.candidates.values())


def compare(
    network: Network,
    x: Any,
    candidates: Mapping[str, Candidate],
    /,
    *,
    confidence: float = 1.0 - 1e-6,
    worst_case: bool = False,
    outputs_only: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Compare networks with what one of them gives in float64, against the derived bounds.

    Parameters
    ----------
    network : Network
        What is meant: its parameters in float64 give the true values, its dtype the bounds.
    x : array of shape (n, n_in)
        At least one row.
    candidates : mapping of str to Network or sequence of arrays
        By any names: the same network on other devices and of other libraries, or with the
        preprocessing folded into the weights; or the results of all its stages as NumPy arrays,
        as `stage_results` gives them.
    confidence, worst_case
        As for `error_bound`.
    outputs_only : bool, default False
        Judge the outputs alone. Then a candidate may have other layers, or its hidden units in
        another order.
    progress : callable, optional
        Called with a number of rows when they have been compared.

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        As `error_bound`; and if a candidate is no network and no sequence of arrays.
    ValueError
        As `error_bound`; if there are no rows or candidates, or a candidate has not the inputs,
        outputs, classes, layers or stages of the network; and as `forward` of a NumPy candidate.

    Notes
    -----
    Every row is judged from the inputs on, by the bounds of `error_bound`, which grow from layer
    to layer. Some 1,000 rows, evenly spread, are judged more closely: their preprocessed inputs,
    and each layer alone, from the inputs that the candidate gave it. So a fault shows in its own
    layer, however deep.

    Examples
    --------
    >>> import xpnet
    >>> network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    >>> report = compare(network, images, {"cpu": network})
    >>> report.is_in_bound, report.n_could_differ
    (True, 0)
    """
    rows = rows_on_host(network, x)
    if not isinstance(candidates, Mapping):
        kind = type(candidates).__name__
        msg = f"`candidates` must be a mapping of names to networks or stages; got {kind}"
        raise TypeError(msg)
    if not len(rows) or not candidates:
        msg = f"`x` and `candidates` must not be empty; got {len(rows)} rows and {len(candidates)}"
        raise ValueError(msg)
    confidence = 1.0 if worst_case else checked_confidence(confidence)
    # Each result is judged twice at most.
    propagation = Propagation(network, 2 * count_results(network, len(rows)), confidence)
    trials = [
        Trial(network, other, propagation, len(rows), outputs_only=outputs_only)
        for other in candidates.values()
    ]
    n_could_differ, n_disagree, start = 0, 0, 0
    parts = list(tiles(rows))
    n_between = -(-len(parts) // _TILES_CLOSELY)
    for i, tile in enumerate(parts):
        with counting_from(start):
            stages = list(propagation.stages(tile))
        if propagation.precision.name == "float64":  # the true values err as well
            stages = [(y, 2.0 * bound) for y, bound in stages]
        with counting_from(start):
            ids = [trial.judge(tile, start, stages, closely=i % n_between == 0) for trial in trials]
        n_could_differ += int(np.count_nonzero(_could_differ(network, *stages[-1])))
        n_disagree += int(np.count_nonzero(np.any(np.asarray(ids) != ids[0], axis=0)))
        start += len(tile)
        if progress is not None:
            progress(len(tile))
    classifies = network.output != "values"
    return Report(
        n_rows=len(rows),
        dtype=propagation.precision.name,
        confidence=confidence,
        n_could_differ=n_could_differ if classifies else None,
        n_disagree=n_disagree if classifies else None,
        candidates={name: trial.result() for name, trial in zip(candidates, trials, strict=True)},
    )


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
