"""Comparison of networks with the true values, and its effect on predictions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation, ulp
from xpnet.arrays.transfer import to_numpy
from xpnet.files.hashes import ResultHash
from xpnet.inference.predict import argmax_ids
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import count_results, rows_on_host, stage_names
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import format_of
from xpnet.parity.candidates import Candidate, candidate_results, stage_results

__all__ = ["Agreement", "Report", "StageAgreement", "compare"]

# Rows for which each layer is compared by itself; for float64, products in extended precision are
# slow.
_ROWS_ALONE, _ROWS_IN_EXTENDED_PRECISION = 1024, 32


@dataclass(frozen=True)
class StageAgreement:
    """Largest differences of one stage of a candidate from the expected results.

    Attributes
    ----------
    name : str
        As in `xpnet.parity.ErrorBound`.
    n_results : int
        Number of compared results.
    difference : float
        Largest absolute difference among results with a bound; inf if a result is NaN or infinite
        and the expected one is not, or vice versa.
    ulp : float
        The same in units in the last place of the expected result.
    share : float
        Largest difference as a share of its bound; above 1, it is out of bound. inf for other bits
        of reproducible results.
    place : tuple of int, or None
        Row and unit of the largest share, or of the first other bits; None if nothing differs.
    n_out : int
        Number of results that are out of bound.
    n_unbounded : int
        Number of results without a bound, which are not judged.
    fault : str
        A wrong dtype or shape of the results; empty if both are right.
    alone : StageAgreement or None
        The layer by itself, judged from the inputs that the candidate gave it: its bounds do not
        grow from layer to layer. None for the preprocessing, and where bits are compared.
    """

    name: str
    n_results: int = 0
    difference: float = 0.0
    ulp: float = 0.0
    share: float = 0.0
    place: tuple[int, ...] | None = None
    n_out: int = 0
    n_unbounded: int = 0
    fault: str = ""
    alone: "StageAgreement | None" = None

    @property
    def is_in_bound(self) -> bool:
        """True if all judged results are in bound and `fault` is empty, also those of `alone`."""
        is_alone_in_bound = self.alone is None or self.alone.is_in_bound
        return not self.n_out and not self.fault and is_alone_in_bound

    @property
    def is_judged(self) -> bool:
        """True if at least one result has a bound."""
        return self.n_unbounded < self.n_results

    @property
    def largest_share(self) -> float | None:
        """Largest share, `alone` included; inf for a fault, None if nothing is judged."""
        if self.fault:
            return math.inf
        judged = [x.share for x in (self, self.alone) if x is not None and x.is_judged]
        return max(judged, default=None)

    @property
    def distance(self) -> str:
        """Size and place of the largest excess over the bound, in words; or the fault."""
        if self.fault or self.place is None:
            return self.fault
        row, unit = self.place
        where = f"row {row}, unit {unit} ({self.n_out:,} of {self.n_results:,} results)"
        if math.isfinite(self.share):
            return f"up to {self.share:.3g} times the bound in {where}"
        what = "NaN or infinity on one side" if math.isinf(self.difference) else "other bits"
        return f"{what}, first in {where}"


@dataclass(frozen=True, repr=False)
class Agreement:
    """Agreement of one candidate with the expected results.

    Attributes
    ----------
    stages : tuple of StageAgreement
        The stages that the candidate has. A network with other preprocessing, such as a scale in
        its weights, has no preprocessed inputs to compare; one with layers of other widths has the
        outputs alone.
    n_differ : int or None
        Number of rows whose predicted class differs from the expected one; None for a regression.
    n_unjudged : int
        Number of these rows with an output that has no bound: rounding may or may not explain the
        difference. For a regression, number of all rows with such an output.
    """

    stages: tuple[StageAgreement, ...]
    n_differ: int | None
    n_unjudged: int

    def __repr__(self) -> str:
        shares = [x.largest_share for x in self.stages if x.largest_share is not None]
        share = f"up to {max(shares):.3g} of bound" if shares else "not judged"
        differ = "" if self.n_differ is None else f"; {self.n_differ:,} predictions differ"
        return f"Agreement({share}{differ})"

    @property
    def first_out(self) -> str | None:
        """Name of the first stage that is out of bound or otherwise wrong; None if all agree."""
        return next((stage.name for stage in self.stages if not stage.is_in_bound), None)

    @property
    def is_judged(self) -> bool:
        """True if some outputs have a bound, and so do all outputs of predictions that differ."""
        return self.stages[-1].is_judged and not self.n_unjudged


@dataclass(frozen=True, repr=False)
class Report:
    """Result of `compare`.

    Attributes
    ----------
    n_rows : int
    dtype : str
        The precision that the bounds hold for.
    confidence : float
        Probability that no correct result exceeds its bound; 1.0 in the worst case, and for a
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
        """In bound; out of bound, where, and how far; or not judged: in words."""
        for name, found in self.candidates.items():
            for stage in (x for x in found.stages if not x.is_in_bound):
                what = "OUT OF BOUND" if self.result_hash is None else "DIFFERENT BITS"
                out = stage if stage.n_out or stage.fault or not stage.alone else stage.alone
                return f"{what}, first in {stage.name} of {name}: {out.distance}"
        for found in (x for x in self.candidates.values() if not x.is_judged):
            n_unbounded, n_results = found.stages[-1].n_unbounded, found.stages[-1].n_results
            text = f"{n_unbounded:,} of {n_results:,} outputs ({n_unbounded / n_results:.1%})"
            differ = f"; of their predictions, {found.n_unjudged:,} differ"
            return f"NOT JUDGED: no bound for {text}{differ if found.n_differ else ''}"
        if self.result_hash is not None:
            return "the same bits"
        stages = (stage for found in self.candidates.values() for stage in found.stages)
        share = max(stage.largest_share or 0.0 for stage in stages)
        return f"in bound: differences are rounding, up to {share:.3g} of the bound"


def compare(
    network: Network,
    x: Any,
    candidates: Mapping[str, Candidate],
    /,
    *,
    confidence: float = 1.0 - 1e-6,
    absolute_errors: Mapping[str, float] | None = None,
) -> Report:
    """Compare networks with the float64 results of a reference, using the derived bounds.

    Parameters
    ----------
    network : Network
        The reference: its parameters in float64 give the true values, its dtype the bounds. The
        results of a `reproducible` one, by NumPy, are compared with a bound of 0: to the bit.
    x : array of shape (n, n_in)
        At least one row. The results of all stages are in memory at once.
    candidates : mapping of str to Network or sequence of arrays
        By name: the same network on another device or of another library, or with other
        preprocessing or layers; or the results of all its stages as NumPy arrays, as returned by
        `stage_results`, or the outputs alone as the only array. For a reproducible network, all are
        computed reproducibly.
    confidence : float, default 1 - 1e-6
        As for `error_bound`: of the stages, and again of the layers by themselves.
    absolute_errors : mapping of str to float, optional
        By name of a candidate, what its elementwise activations may err in addition to their usual
        bounds, in units in the last place of 1.

    Raises
    ------
    TypeError, ValueError
        As `error_bound`, as `forward` for a NumPy candidate, and as `reproducible` for the
        candidates of a reproducible network; if there are no rows or candidates, or a candidate
        has other inputs, outputs, classes or stages than the network.

    Notes
    -----
    The stages of a candidate are those that `predict` computes. Each is compared with the bounds of
    `error_bound`, of float64 with twice the bounds. These grow from layer to layer, so that each
    layer is also compared by itself, for the first 1,024 rows (float64: 32), from the inputs that
    the candidate gave it: a fault shows in its own layer, at any depth.

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
    confidence = 1.0 if network.is_reproducible else float(confidence)
    usual = _Reference(network, rows, confidence)
    agreements, ids = {}, []
    for name, candidate in candidates.items():
        results = candidate_results(network, candidate, rows)
        error = (absolute_errors or {}).get(name, 0.0)
        reference = _Reference(network, rows, confidence, error) if error else usual
        dtype = to_numpy(candidate.layers[0].bias).dtype if isinstance(candidate, Network) else None
        found, predicted = reference.agreement(results, dtype)
        agreements[name] = found
        ids.append(predicted)
    classifies, digest = network.output != "values", ResultHash()
    digest.update(usual.stages[-1][0])
    return Report(
        n_rows=len(rows),
        dtype=usual.precision.name,
        confidence=confidence,
        n_could_differ=_count_close(network, *usual.stages[-1]) if classifies else None,
        n_disagree=int(np.count_nonzero(np.any(np.asarray(ids) != ids[0], axis=0)))
        if classifies
        else None,
        candidates=agreements,
        result_hash=digest.text() if network.is_reproducible else None,
    )


class _Reference:
    """The expected results of all stages with their bounds, which are 0 for exact results."""

    def __init__(
        self, network: Network, rows: NDArray[Any], confidence: float, absolute_error: float = 0.0
    ) -> None:
        self.network, self.precision, self.names = network, format_of(network), stage_names(network)
        self.stages: list[tuple[NDArray[Any], NDArray[Any]]]
        if network.is_reproducible:
            exact = stage_results(network.map_arrays(to_numpy), rows)
            self.stages = [(y, np.zeros(y.shape)) for y in exact]
            return
        n_results = count_results(network, len(rows))
        self._propagation = Propagation(network, n_results, confidence, absolute_error)
        is_float64 = self.precision.name == "float64"
        self._factor = 2.0 if is_float64 else 1.0  # the true values themselves err
        self._n_alone = _ROWS_IN_EXTENDED_PRECISION if is_float64 else _ROWS_ALONE
        self.stages = [(y, self._factor * bound) for y, bound in self._propagation.stages(rows)]

    def agreement(
        self, results: Mapping[int, NDArray[Any]], dtype: Any
    ) -> tuple[Agreement, NDArray[Any]]:
        """Return how results by stage agree, and the predicted class ids, zeros for a regression.

        `dtype` is that of the results; None is not compared, except for exact results.
        """
        found = []
        for i, y in results.items():
            stage = self._compared(i, y, *self.stages[i], dtype)
            given = results.get(i - 1)
            is_layer = given is not None and given.shape == self.stages[i - 1][0].shape
            if is_layer and not stage.fault and not self.network.is_reproducible:
                stage = replace(stage, alone=self._alone(i, given, y))
            found.append(stage)
        values, bound = self.stages[-1]
        is_unbounded, outputs = np.isinf(bound).any(axis=1), results[len(self.stages) - 1]
        if self.network.output == "values":
            n_unjudged = int(np.count_nonzero(is_unbounded))
            return Agreement(tuple(found), None, n_unjudged), np.zeros(len(values))
        expected = argmax_ids(self.network, values)
        ids = argmax_ids(self.network, outputs) if outputs.shape == values.shape else expected
        n_unjudged = int(np.count_nonzero((ids != expected) & is_unbounded))
        n_differ = int(np.count_nonzero(ids != expected))
        return Agreement(tuple(found), n_differ, n_unjudged), ids

    def _alone(self, i: int, given: Any, y: NDArray[Any]) -> StageAgreement:
        """Return the agreement of layer i, from 1, by itself, for the inputs that it was given."""
        values, bound = self._propagation.layer_alone(i, given[: self._n_alone])
        return self._compared(i, y[: self._n_alone], values, self._factor * bound)

    def _compared(
        self,
        i: int,
        y: NDArray[Any],
        expected: NDArray[Any],
        bound: NDArray[Any],
        dtype: Any = None,
    ) -> StageAgreement:
        """Return the agreement of results with the expected ones; a bound of inf accepts any."""
        is_exact, form = self.network.is_reproducible, self.precision
        dtype = expected.dtype if is_exact else dtype
        if y.shape != expected.shape:
            return StageAgreement(
                self.names[i], fault=f"shape {y.shape} instead of {expected.shape}"
            )
        if dtype is not None and y.dtype != dtype:
            return StageAgreement(self.names[i], fault=f"dtype {y.dtype} instead of {dtype}")
        found = deviation(y, expected, bound)
        share, place, n_out = found.share, found.worst, found.n_exceeding
        if is_exact:  # also -0.0 and 0.0, and the bits of NaN
            bits, right = (np.ascontiguousarray(x).view(f"u{x.itemsize}") for x in (y, expected))
            differs = bits != right
            place = tuple(map(int, np.unravel_index(np.argmax(differs), differs.shape)))
            n_out = int(np.count_nonzero(differs))
            share = math.inf if n_out else 0.0
        value = expected[found.furthest]
        unit = ulp(value, 2.0 * form.unit, form.normal, form.largest)
        return StageAgreement(
            self.names[i],
            n_results=y.size,
            difference=found.difference,
            ulp=found.difference / float(unit),
            share=share,
            place=place if share > 0.0 else None,
            n_out=n_out,
            n_unbounded=found.n_unbounded,
        )


def _count_close(network: Network, values: NDArray[Any], bound: NDArray[Any]) -> int:
    """Return for how many rows results within the bounds may predict different classes."""
    if network.n_out == 1:
        middle = 0.0 if network.output == "logits" else 0.5
        return int(np.count_nonzero(np.abs(values - middle) < bound))
    rows, best = np.arange(len(values)), np.argmax(values, axis=1)
    with np.errstate(invalid="ignore"):  # NaN never differs
        highest, lowest = values + bound, (values - bound)[rows, best]
    highest[rows, best] = -np.inf
    return int(np.count_nonzero(np.max(highest, axis=1) > lowest))
