"""The result of a comparison: how each stage of each network agrees with the true values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Agreement", "Report", "StageAgreement"]


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


@dataclass(frozen=True)
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
