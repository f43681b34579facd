"""The true logits, and which labels they allow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet

__all__ = ["clear_labels", "exact_logits", "n_unexplained"]

# Rows at a time in float64.
_TILE = 2048
# Logits that are this close, in units of the largest of their row, need not be told apart.
_TIES = {"float32": 1e-4, "tf32": 1e-2}


def exact_logits(network: xpnet.Network, rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return what a network on the host gives in float64."""
    exact = network.map_arrays(lambda x: x.astype(np.float64))
    parts = [exact(rows[start : start + _TILE]) for start in range(0, len(rows), _TILE)]
    return np.concatenate(parts)


def clear_labels(
    logits: NDArray[np.float64], precision: str = "float32"
) -> tuple[NDArray[np.int64], NDArray[np.bool]]:
    """Return the label of each row, and whether it is clear at a precision."""
    top = np.sort(logits, axis=1)
    tie = _TIES[precision] * np.max(np.abs(logits), axis=1)
    return np.argmax(logits, axis=1), top[:, -1] - top[:, -2] > tie


def n_unexplained(
    network: xpnet.Network, rows: NDArray[Any], labels: NDArray[Any], others: NDArray[Any]
) -> int:
    """Return for how many rows labels differ although their margin exceeds the derived bound."""
    differing = np.flatnonzero(labels != others)
    if not differing.size:
        return 0
    last = xpnet.parity.error_bound(network, rows[differing]).stages[-1]
    best, each = np.argmax(last.values, axis=1), np.arange(len(differing))
    lowest, highest = (last.values - last.bound)[each, best], last.values + last.bound
    highest[each, best] = -np.inf
    return int(np.count_nonzero(lowest > np.max(highest, axis=1)))
