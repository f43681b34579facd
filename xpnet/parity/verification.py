"""Verification of a network's outputs by several runtimes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.softmax import softmax
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import count_results, reference_stages, rows_on_host
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import rowwise_error
from xpnet.parity.stage_statistics import (
    Agreement,
    compare_predictions,
    compare_stage,
    merge_agreements,
)

__all__ = ["Verification", "verify"]

_CONFIDENCE = 1.0 - 1e-6


@dataclass(frozen=True)
class Verification:
    """Result of `verify` for one runtime.

    The stages of `agreement` are "outputs" (logits, probabilities or values) and, if the outputs
    are logits of several classes, "probabilities". A result without a bound may be any finite
    number, or overflow.
    """

    against: str  # the reference: "float64", or the name of the first runtime
    agreement: Agreement

    @property
    def is_in_bound(self) -> bool:
        """True if all results are in bound, and all predictions are judged."""
        return self.agreement.first_out is None and not self.agreement.n_unjudged

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain numbers by name."""
        found = self.agreement
        deviations = {x.name: {"difference": x.difference, "share": x.share} for x in found.stages}
        return {
            "against": self.against,
            "outputs": deviations["outputs"],
            "probabilities": deviations.get("probabilities"),
            "n_changed": found.n_differ or 0,
            "n_unjudged": found.n_unjudged,
            "in_bound": self.is_in_bound,
        }


def verify(
    network: Network, x: Any, results: Mapping[str, NDArray[Any]], /, *, absolute_error: float = 0.0
) -> dict[str, Verification]:
    """Compare the outputs of one network by several runtimes, given by name of the runtime.

    `x` has shape (n, n_in), each result (n, n_out); another shape raises ValueError. The network
    in float64 gives the true values, its dtype the bounds. Results of the first runtime are
    compared with the true values, using the bounds of `error_bound`; those of the others with the
    first one's, using twice these bounds. `absolute_error` is as for `Propagation`.
    """
    rows = rows_on_host(network, x)
    shape = (len(rows), network.n_out)
    for name, y in results.items():
        if y.shape != shape:
            msg = f"`results` must have the shape {shape}; got {y.shape} by {name}"
            raise ValueError(msg)
    n_results = 2 * count_results(network, len(rows))
    propagation = Propagation(network, n_results, _CONFIDENCE, absolute_error)
    parts: dict[str, list[Agreement]] = {name: [] for name in results}
    for start, chunk, stages in reference_stages(propagation, rows):
        values, bound = stages[-1]
        with np.errstate(all="ignore"):
            expected, bounds = _by_stage(network, values), {"outputs": bound}
            if "probabilities" in expected:
                logits, shares = expected.values()
                error = rowwise_error("softmax", logits, shares, bound, propagation.precision)
                bounds["probabilities"] = error
            for i, (name, y) in enumerate(results.items()):
                outputs = _by_stage(network, y[start : start + len(chunk)].astype(np.float64))
                parts[name].append(_agreement(propagation, outputs, expected, bounds, start))
                if i == 0:  # the reference of the others, with errors of the same size
                    expected = outputs
                    bounds = {stage: 2.0 * bound for stage, bound in bounds.items()}
    first = next(iter(results), "")
    return {
        name: Verification("float64" if name == first else first, reduce(merge_agreements, found))
        for name, found in parts.items()
    }


def _by_stage(network: Network, y: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the outputs, and the probabilities if the outputs are logits of several classes."""
    if network.output != "logits" or network.n_out == 1:
        return {"outputs": y}
    return {"outputs": y, "probabilities": np.asarray(softmax(y))}


def _agreement(
    propagation: Propagation,
    outputs: dict[str, NDArray[Any]],
    expected: dict[str, NDArray[Any]],
    bounds: dict[str, NDArray[Any]],
    first_row: int,
) -> Agreement:
    stages = []
    for name, y in outputs.items():
        # Without a bound, a result may overflow or be any finite number, but not NaN.
        bound, is_infinite = bounds[name].astype(np.float64), np.isinf(y - expected[name])
        bound = np.where(is_infinite, bound, np.minimum(bound, np.finfo(np.float64).max))
        reference = expected[name], bound, propagation.precision
        stages.append(compare_stage(name, y, *reference, first_row=first_row))
    logits = (x["outputs"] for x in (outputs, expected, bounds))
    return compare_predictions(stages, propagation.network, *logits)[1]
