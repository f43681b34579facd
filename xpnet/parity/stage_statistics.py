"""The differences of one stage, collected tile by tile."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.parity.bounds.rounding import Precision

__all__ = ["Agreement", "StageAgreement", "Tally"]


@dataclass(frozen=True)
class StageAgreement:
    """How far one stage of one candidate is from the true values.

    Attributes
    ----------
    name : str
        As in `xpnet.parity.ErrorBound`.
    n_results : int
        How many results were compared.
    difference : float
        The largest difference of results that have a bound, in their own units; inf where one is
        NaN or infinite and the true value is not, or the other way round.
    ulp : float
        The same in units in the last place of the true value there.
    share : float
        The largest difference as a share of its bound: above 1 is out of bound.
    place : tuple of int, or None
        Row and unit of the largest share; None where nothing differs.
    n_out : int
        How many results are out of bound.
    n_unbounded : int
        How many have no bound, and were not judged.
    fault : str
        What else is wrong: a result of another library, device, dtype or shape. Empty if nothing.
    alone : StageAgreement or None
        The layer alone, on some of the rows: judged from the inputs that the candidate itself gave
        it, so that the bounds do not grow from layer to layer. None for the preprocessing.
    """

    name: str
    n_results: int
    difference: float
    ulp: float
    share: float
    place: tuple[int, int] | None
    n_out: int
    n_unbounded: int
    fault: str
    alone: "StageAgreement | None" = None

    @property
    def is_in_bound(self) -> bool:
        """Whether nothing is out of bound or otherwise wrong."""
        is_alone_in_bound = self.alone is None or self.alone.is_in_bound
        return not self.n_out and not self.fault and is_alone_in_bound

    @property
    def is_judged(self) -> bool:
        """Whether some results have a bound."""
        return self.n_unbounded < self.n_results

    @property
    def largest_share(self) -> float | None:
        """The larger share, of the stage and alone; inf for a fault, None where none is judged."""
        if self.fault:
            return math.inf
        judged = [x.share for x in (self, self.alone) if x is not None and x.is_judged]
        return max(judged, default=None)


@dataclass(frozen=True)
class Agreement:
    """How far one candidate is from the true values.

    Attributes
    ----------
    stages : tuple of StageAgreement
        Those that were compared: a network into which the preprocessing was folded has no
        preprocessed inputs.
    n_differ : int or None
        How many rows get another class than the true values give; None for a regression.
    n_unjudged : int
        How many of these have an output without a bound, so that nothing tells whether rounding
        explains it; of a regression, all rows with such an output.
    """

    stages: tuple[StageAgreement, ...]
    n_differ: int | None
    n_unjudged: int

    @property
    def first_out(self) -> str | None:
        """The first stage out of bound or otherwise wrong; None if all is well."""
        return next((stage.name for stage in self.stages if not stage.is_in_bound), None)

    @property
    def is_judged(self) -> bool:
        """Whether some outputs have a bound, and so has each prediction that differs."""
        return self.stages[-1].is_judged and not self.n_unjudged


class Tally:
    """Collects what becomes a `StageAgreement`."""

    def __init__(self, name: str, precision: Precision) -> None:
        self._name, self._precision = name, precision
        self._fault = ""
        self._n_results = self._n_out = self._n_unbounded = 0
        self._difference = self._ulp = self._share = 0.0
        self._place: tuple[int, int] | None = None

    def add(
        self,
        results: NDArray[Any],
        values: NDArray[np.float64],
        bound: NDArray[np.floating[Any]],
        *,
        first_row: int,
    ) -> None:
        """Compare the results of some rows with the true values."""
        if results.shape != values.shape:
            self.note_fault(f"shape {results.shape} in place of {values.shape}")
        if self._fault or not values.size:
            return
        self._n_results += values.size
        with np.errstate(all="ignore"):
            difference = (results - values).astype(bound.dtype, copy=False)
            np.abs(difference, out=difference)
            largest = float(np.max(difference))
            if not math.isfinite(largest):
                is_same = (results == values) | (np.isnan(results) & np.isnan(values))
                difference = np.where(is_same, 0.0, np.where(difference >= 0.0, difference, np.inf))
                largest = float(np.max(difference))
            if math.isinf(float(np.max(bound))):
                self._n_unbounded += int(np.count_nonzero(np.isinf(bound)))
                difference = np.where(np.isinf(bound), 0.0, difference)
                largest = float(np.max(difference))
            if largest > self._difference:
                value = float(values.flat[int(np.argmax(difference))])
                self._note_difference(largest, value)
            # Where nothing may differ, nothing is no share of it, and anything a large one.
            share = difference
            share /= np.maximum(bound, np.finfo(bound.dtype).smallest_normal)
        largest = float(np.max(share))
        if largest > self._share:
            row, unit = divmod(int(np.argmax(share)), share.shape[1])
            self._share, self._place = largest, (first_row + row, unit)
        if largest > 1.0:
            self._n_out += int(np.count_nonzero(share > 1.0))

    def _note_difference(self, difference: float, value: float) -> None:
        is_finite = math.isfinite(difference) and math.isfinite(value)
        self._difference = difference
        self._ulp = difference / self._precision.ulp(value) if is_finite else math.inf

    def note_fault(self, fault: str) -> None:
        """Remember what else is wrong; the first time counts."""
        self._fault = self._fault or fault

    def result(self, alone: StageAgreement | None = None) -> StageAgreement:
        """Return what was found."""
        return StageAgreement(
            self._name,
            self._n_results,
            self._difference,
            self._ulp,
            self._share,
            self._place,
            self._n_out,
            self._n_unbounded,
            self._fault,
            alone,
        )
