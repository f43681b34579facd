"""Comparison of networks with the true values, and its effect on predictions."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation, ulp
from xpnet.arrays.transfer import to_numpy
from xpnet.files.hashes import ResultHash
from xpnet.inference.predict import argmax_ids
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import rows_on_host, stage_names
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import format_of
from xpnet.parity.candidates import Candidate, candidate_results, stage_results
from xpnet.parity.report import Agreement, Report, StageAgreement

__all__ = ["compare"]

# Rows for which each layer is compared by itself; for float64, products in extended precision are
# slow.
_ROWS_ALONE, _ROWS_IN_EXTENDED_PRECISION = 1024, 32


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
        self._propagation = Propagation(network, len(rows), confidence, absolute_error)
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
