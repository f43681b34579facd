"""Comparison of networks with the true values, and its effect on predictions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.files.hashes import ResultHash
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import (
    StageReference,
    checked_confidence,
    count_results,
    reference_stages,
    row_chunks,
)
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import format_of
from xpnet.parity.candidates import Candidate, candidate_comparisons, results_on_device
from xpnet.parity.stage_statistics import Agreement, StageAgreement, merge_agreements

__all__ = ["Report", "compare"]

# Number of chunks in which the inputs and each layer by itself are compared too, at an extra cost
# of one half per chunk.
_CLOSE_CHUNKS = 2
# A bound may be exceeded by up to this factor where many terms or units are equal, since their
# errors are not independent.
_LITTLE = 10.0
_LONG = 1e6  # longer numbers are written in powers of ten


@dataclass(frozen=True, repr=False)
class Report:
    """Result of `compare`.

    Attributes
    ----------
    n_rows : int
    dtype : str
        The precision that the bounds hold for.
    confidence : float
        Probability that no correct result exceeds its bound; 1.0 in the worst-case mode, and for a
        reproducible network.
    n_could_differ : int or None
        Number of rows for which two correct computations may predict different classes, because
        the bounds of the two largest outputs overlap. None for a regression.
    n_disagree : int or None
        Number of rows for which the candidates predict different classes.
    candidates : mapping of str to Agreement
    result_hash : str or None
        That of the outputs of a reproducible network, see `xpnet.result_hash`; None for others.
    """

    n_rows: int
    dtype: str
    confidence: float
    n_could_differ: int | None
    n_disagree: int | None
    candidates: Mapping[str, Agreement]
    result_hash: str | None = None

    @property
    def is_in_bound(self) -> bool:
        """True if every candidate is judged, and in bound at every stage.

        A candidate is not judged if no output has a bound, or if a prediction differs and one of
        its outputs has no bound.
        """
        return all(x.is_judged and x.first_out is None for x in self.candidates.values())

    def __repr__(self) -> str:
        return f"Report({self.n_rows:,} rows, {self.dtype}: {self.verdict})"

    @property
    def verdict(self) -> str:
        """Whether rounding explains the differences, in words."""
        for name, found in self.candidates.items():
            for stage in found.stages:
                if not stage.is_in_bound:
                    return self._fault(f"first in {stage.name} of {name}", stage)
        agreements = self.candidates.values()
        for found in (x for x in agreements if not x.is_judged):
            n_unbounded, n_results = found.stages[-1].n_unbounded, found.stages[-1].n_results
            text = f"{n_unbounded:,} of {n_results:,} outputs ({n_unbounded / n_results:.1%})"
            differ = f"; of their predictions, {found.n_unjudged:,} differ"
            return f"NOT JUDGED: no bound for {text}{differ if found.n_differ else ''}"
        if self.result_hash is not None:
            return "the same bits"
        share = max(stage.largest_share or 0.0 for x in agreements for stage in x.stages)
        return f"in bound: differences are rounding, up to {share:.3g} of the bound"

    def _fault(self, place: str, stage: StageAgreement) -> str:
        if self.result_hash is not None:
            return f"DIFFERENT BITS, {place}: {stage.fault or stage.first_bits()}"
        share = stage.largest_share or 0.0
        size = f"up to {share:{',.1f' if share < _LONG else '.3g'}} times the bound"
        size = stage.fault or (size if isfinite(share) else "NaN or infinity on one side")
        if share <= _LITTLE and self.confidence != 1.0:
            advice = "with many equal terms or units, --worst-case is the fair bound"
            return f"OUT OF BOUND by little, {place}: {size}; {advice}"
        return f"OUT OF BOUND, an error rather than rounding, {place}: {size}"


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
    """Compare networks with the float64 results of a reference, using the derived bounds.

    Parameters
    ----------
    network : Network
        The reference: its parameters in float64 give the true values, its dtype the bounds. The
        results of a `reproducible` one, by NumPy, are compared with a bound of 0: to the bit.
    x : array of shape (n, n_in)
        At least one row.
    candidates : mapping of str to Network or sequence of arrays
        By name: the same network on another device or of another library, or with the
        preprocessing folded into the weights; or the results of all its stages as NumPy arrays,
        as returned by `stage_results`, or the outputs alone as the only array. For a reproducible
        network, all are computed reproducibly.
    confidence, worst_case
        As for `error_bound`.
    outputs_only : bool, default False
        If true, only the outputs are compared. A candidate may then have other layers, or its
        hidden units in another order.
    progress : callable, optional
        Called with the number of rows of each compared chunk.

    Raises
    ------
    TypeError, ValueError
        As `error_bound`, as `forward` for a NumPy candidate, and as `reproducible` for the
        candidates of a reproducible network; if there are no rows or candidates, or a candidate
        has other inputs, outputs, classes, layers or stages than the network.

    Notes
    -----
    Every row is compared at every layer, with the bounds of `error_bound`, which grow from layer
    to layer. For about 1,000 evenly spread rows, the preprocessed inputs are compared too, and
    each layer by itself, from the inputs that the candidate gave it. A fault thus shows in its
    own layer, at any depth.

    Examples
    --------
    >>> import xpnet
    >>> network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    >>> report = compare(network, images, {"cpu": network})
    >>> report.is_in_bound, report.n_could_differ
    (True, 0)
    """
    rows, comparisons = candidate_comparisons(network, x, candidates, outputs_only=outputs_only)
    digest, propagation = ResultHash(), None
    if network.is_reproducible:
        confidence, chunks = 1.0, _exact_stages(network, rows, digest)
    else:
        confidence = 1.0 if worst_case else checked_confidence(confidence)
        # Each result is compared at most twice.
        propagation = Propagation(network, 2 * count_results(network, len(rows)), confidence)
        chunks = reference_stages(propagation, rows)
    agreements: list[Agreement] = []
    n_could_differ = n_disagree = 0
    step = -(-len(list(row_chunks(rows))) // _CLOSE_CHUNKS)
    for i, (start, chunk, stages) in enumerate(chunks):
        given = chunk, start, stages, propagation
        found = [x.compare(*given, closely=i % step == 0) for x in comparisons]
        ids, parts = [ids for ids, _ in found], [part for _, part in found]
        agreements = list(map(merge_agreements, agreements, parts)) if agreements else parts
        n_could_differ += int(np.count_nonzero(_could_differ(network, *stages[-1])))
        n_disagree += int(np.count_nonzero(np.any(np.asarray(ids) != ids[0], axis=0)))
        if progress is not None:
            progress(len(chunk))
    classifies = network.output != "values"
    return Report(
        n_rows=len(rows),
        dtype=format_of(network).name,
        confidence=confidence,
        n_could_differ=n_could_differ if classifies else None,
        n_disagree=n_disagree if classifies else None,
        candidates=dict(zip(candidates, agreements, strict=True)),
        result_hash=digest.text() if network.is_reproducible else None,
    )


def _exact_stages(
    network: Network, rows: NDArray[Any], digest: ResultHash
) -> Iterator[tuple[int, NDArray[Any], list[StageReference]]]:
    """Yield what `reference_stages` does: the results of a reproducible network by NumPy, and 0.

    The outputs are added to `digest`.
    """
    network = network.map_arrays(to_numpy)
    for start, chunk in row_chunks(rows):
        stages = results_on_device(network, chunk)
        digest.update(stages[-1])
        yield start, chunk, [(y, np.zeros(y.shape)) for y in stages]


def _could_differ(
    network: Network, values: NDArray[np.float64], bound: NDArray[Any]
) -> NDArray[np.bool]:
    """Return for each row whether results within the bounds may predict different classes."""
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
