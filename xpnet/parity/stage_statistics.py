"""Statistics of the differences between results and expected results, stage by stage."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation
from xpnet.inference.predict import argmax_ids
from xpnet.networks.network import Network
from xpnet.parity.bounds.rounding import FloatFormat

__all__ = [
    "Agreement",
    "StageAgreement",
    "compare_bits",
    "compare_predictions",
    "compare_stage",
    "merge_agreements",
]


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
        it: its bounds do not grow from layer to layer. None for the preprocessing, and where bits
        are compared.
    found, expected : NumPy scalar or None
        The results at `place`, where bits are compared and differ.
    """

    name: str
    n_results: int = 0
    difference: float = 0.0
    ulp: float = 0.0
    share: float = 0.0
    place: tuple[int, int] | None = None
    n_out: int = 0
    n_unbounded: int = 0
    fault: str = ""
    alone: "StageAgreement | None" = None
    found: Any = None
    expected: Any = None

    def first_bits(self) -> str:
        """Return the first result with other bits, as text."""
        row, unit = self.place or (0, 0)
        found, expected = (f"{x!s} ({bits_text(x)})" for x in (self.found, self.expected))
        return f"row {row}, unit {unit}: {found} instead of {expected}"

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


@dataclass(frozen=True, repr=False)
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


def compare_stage(
    name: str,
    results: NDArray[Any],
    values: NDArray[np.float64],
    bound: NDArray[np.floating[Any]],
    precision: FloatFormat,
    *,
    first_row: int = 0,
) -> StageAgreement:
    """Return the agreement of a stage's results with the expected values.

    A bound of inf accepts any result. `precision` is the format that `StageAgreement.ulp` refers
    to, `first_row` the index of the first row among all rows.
    """
    if results.shape != values.shape:
        fault = f"shape {results.shape} instead of {values.shape}"
        return StageAgreement(name, fault=fault)
    found = deviation(results, values, bound)
    in_ulp, place = 0.0, None
    if found.difference > 0.0:
        value = float(values[found.furthest])
        is_finite = math.isfinite(found.difference) and math.isfinite(value)
        in_ulp = found.difference / precision.ulp(value) if is_finite else math.inf
    if found.share > 0.0:
        row, unit = found.worst
        place = (first_row + row, unit)
    return StageAgreement(
        name,
        n_results=values.size,
        difference=found.difference,
        ulp=in_ulp,
        share=found.share,
        place=place,
        n_out=found.n_exceeding,
        n_unbounded=found.n_unbounded,
    )


def compare_bits(
    name: str,
    results: NDArray[Any],
    expected: NDArray[Any],
    bound: NDArray[Any],
    precision: FloatFormat,
    *,
    first_row: int = 0,
) -> StageAgreement:
    """Return what `compare_stage` does for a `bound` of 0, and the first result with other bits.

    Any other bit, also that of -0.0 or of another NaN, is a share of inf.
    """
    if results.dtype != expected.dtype:
        fault = f"dtype {results.dtype} instead of {expected.dtype}"
        return StageAgreement(name, fault=fault)
    agreement = compare_stage(name, results, expected, bound, precision)
    if agreement.fault:
        return agreement
    differs = _bits(results) != _bits(expected)
    if not differs.any():
        return agreement
    row, unit = place = divmod(int(np.argmax(differs)), differs.shape[1])
    return replace(
        agreement,
        share=math.inf,
        place=(first_row + row, unit),
        n_out=int(np.count_nonzero(differs)),
        found=results[place],
        expected=expected[place],
    )


def bits_text(x: Any) -> str:
    """Return the bits of a NumPy scalar in hexadecimal, such as "0x3f800000" for 1.0."""
    size = x.dtype.itemsize
    return f"0x{int(x.view(f'u{size}')):0{2 * size}x}"


def _bits(x: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(x).view(f"u{x.itemsize}")


def compare_predictions(
    stages: Iterable[StageAgreement],
    network: Network,
    outputs: NDArray[Any],
    values: NDArray[Any],
    bound: NDArray[Any],
) -> tuple[NDArray[Any], Agreement]:
    """Return the predicted class ids, and the agreement of the stages and the predictions.

    `outputs`, `values` and `bound` are those of the last layer, as for `compare_stage`. The class
    ids of a regression, and of outputs of a wrong shape, are zeros.
    """
    compared = tuple(stages)
    is_unbounded = np.isinf(bound).any(axis=1)
    if network.output == "values" or outputs.shape != values.shape:
        # A regression has no classes, and its values differ at least in the last digits.
        n_differ = None if network.output == "values" else 0
        n_unjudged = int(np.count_nonzero(is_unbounded))
        return np.zeros(len(values)), Agreement(compared, n_differ, n_unjudged)
    ids = argmax_ids(network, outputs)
    differs = ids != argmax_ids(network, values)
    n_unjudged = int(np.count_nonzero(differs & is_unbounded))
    return ids, Agreement(compared, int(np.count_nonzero(differs)), n_unjudged)


def merge_stages(a: StageAgreement, b: StageAgreement) -> StageAgreement:
    """Return the agreement of two sets of rows; after a fault in a, rows of b are ignored."""
    alone = None
    if a.alone is not None and b.alone is not None:
        alone = merge_stages(a.alone, b.alone)
    if a.fault:
        return replace(a, alone=alone)
    furthest = max(a, b, key=lambda x: x.difference)
    worst = max(a, b, key=lambda x: x.share)
    return replace(
        worst,
        n_results=a.n_results + b.n_results,
        difference=furthest.difference,
        ulp=furthest.ulp,
        n_out=a.n_out + b.n_out,
        n_unbounded=a.n_unbounded + b.n_unbounded,
        fault=b.fault,
        alone=alone,
    )


def merge_agreements(a: Agreement, b: Agreement) -> Agreement:
    """Return the agreement of two sets of rows."""
    stages = tuple(map(merge_stages, a.stages, b.stages))
    n_differ = None if a.n_differ is None else a.n_differ + (b.n_differ or 0)
    return Agreement(stages, n_differ, a.n_unjudged + b.n_unjudged)
