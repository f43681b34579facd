"""Statistics of the differences between a candidate's results and the expected ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.inference.predict import class_ids
from xpnet.networks.network import Network
from xpnet.parity.bounds.rounding import FloatFormat

__all__ = ["Agreement", "AgreementStatistics", "StageAgreement", "StageStatistics"]


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
        Largest difference as a share of its bound; above 1, it is out of bound.
    place : tuple of int, or None
        Row and unit of the largest share; None if nothing differs.
    n_out : int
        Number of results that are out of bound.
    n_unbounded : int
        Number of results without a bound, which are not judged.
    fault : str
        A wrong library, device, dtype or shape of the results; empty if all are right.
    alone : StageAgreement or None
        The layer by itself, on some of the rows, judged from the inputs that the candidate gave
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
        """True if no result is out of bound and nothing else is wrong."""
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


@dataclass(frozen=True)
class Agreement:
    """Agreement of one candidate with the expected results.

    Attributes
    ----------
    stages : tuple of StageAgreement
        The compared stages. A network with its preprocessing folded into the weights has no
        preprocessed inputs to compare.
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
        """Name of the first stage that is out of bound or wrong otherwise; None if all agree."""
        return next((stage.name for stage in self.stages if not stage.is_in_bound), None)

    @property
    def is_judged(self) -> bool:
        """True if some outputs have a bound, and all outputs of predictions that differ."""
        return self.stages[-1].is_judged and not self.n_unjudged


class StageStatistics:
    """Differences of one stage, collected chunk by chunk into a `StageAgreement`.

    Parameters
    ----------
    name : str
        Name of the stage.
    precision : FloatFormat
        The format that `StageAgreement.ulp` refers to.
    alone : StageStatistics, optional
        Those of the layer by itself.
    """

    def __init__(
        self, name: str, precision: FloatFormat, *, alone: "StageStatistics | None" = None
    ) -> None:
        self._name, self._precision, self.alone = name, precision, alone
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
        """Compare the results of some rows with the expected values.

        Parameters
        ----------
        results, values, bound : array of shape (n, width)
            inf in `bound`: any result is accepted.
        first_row : int
            Index of the first row among all rows.
        """
        if results.shape != values.shape:
            self.add_fault(f"shape {results.shape} instead of {values.shape}")
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
                is_finite = math.isfinite(largest) and math.isfinite(value)
                self._difference = largest
                self._ulp = largest / self._precision.ulp(value) if is_finite else math.inf
            # With a bound of 0, no difference is a share of 0, and any other a large share.
            share = difference
            share /= np.maximum(bound, np.finfo(bound.dtype).smallest_normal)
        largest = float(np.max(share))
        if largest > self._share:
            row, unit = divmod(int(np.argmax(share)), share.shape[1])
            self._share, self._place = largest, (first_row + row, unit)
        if largest > 1.0:
            self._n_out += int(np.count_nonzero(share > 1.0))

    def add_fault(self, fault: str) -> None:
        """Record a wrong library, device, dtype or shape; the first one is kept."""
        self._fault = self._fault or fault

    def result(self) -> StageAgreement:
        """Return the collected statistics."""
        return StageAgreement(
            name=self._name,
            n_results=self._n_results,
            difference=self._difference,
            ulp=self._ulp,
            share=self._share,
            place=self._place,
            n_out=self._n_out,
            n_unbounded=self._n_unbounded,
            fault=self._fault,
            alone=None if self.alone is None else self.alone.result(),
        )


class AgreementStatistics:
    """Stages and predictions of one candidate, collected chunk by chunk into an `Agreement`.

    Parameters
    ----------
    network : Network
        The network whose predictions are compared.
    stages : sequence of StageStatistics
        Those of the compared stages.
    """

    def __init__(self, network: Network, stages: Sequence[StageStatistics]) -> None:
        self._network, self.stages = network, stages
        self._n_differ = self._n_unjudged = 0

    def add_predictions(
        self, outputs: NDArray[Any], values: NDArray[Any], bound: NDArray[Any]
    ) -> NDArray[Any]:
        """Compare the predictions of some rows with the expected ones.

        Parameters
        ----------
        outputs, values, bound : array of shape (n, n_out)
            Results and expected results of the last layer, and their bounds.

        Returns
        -------
        array of shape (n,)
            The predicted class ids; zeros for a regression or outputs of a wrong shape.
        """
        is_unbounded = np.isinf(bound).any(axis=1)
        if self._network.output == "values" or outputs.shape != values.shape:
            # A value is its own prediction, and differs in its last digits at least.
            self._n_unjudged += int(np.count_nonzero(is_unbounded))
            return np.zeros(len(values))
        ids: NDArray[Any] = class_ids(self._network, outputs)
        differs = ids != class_ids(self._network, values)
        self._n_differ += int(np.count_nonzero(differs))
        self._n_unjudged += int(np.count_nonzero(differs & is_unbounded))
        return ids

    def result(self) -> Agreement:
        """Return the collected statistics."""
        n_differ = None if self._network.output == "values" else self._n_differ
        return Agreement(tuple(x.result() for x in self.stages), n_differ, self._n_unjudged)
