"""The functions along rows in float64: each takes a matrix, and acts on every row by itself."""

import numpy as np

from truth.formulas import F64, expit


def logsumexp(x: F64) -> F64:
    """Return log(sum(exp(x))) of each row."""
    return _logsumexp(x)[:, 0]


def log_softmax(x: F64) -> F64:
    """Return x - logsumexp(x); NaN in rows with an infinite one."""
    total = _logsumexp(x)
    return np.where(np.isinf(total), np.nan, x - total)


def softmax(x: F64) -> F64:
    """Return exp(log_softmax(x))."""
    return np.exp(log_softmax(x))


def sparsemax(x: F64) -> F64:
    """Return the nearest probabilities."""
    descending = np.sort(x, axis=-1)[:, ::-1]
    k = np.arange(1, x.shape[-1] + 1)
    # With as many probabilities above 0 as there really are, the threshold is at its largest.
    threshold = np.max((np.cumsum(descending, axis=-1) - 1) / k, axis=-1, keepdims=True)
    return np.maximum(x - threshold, 0)


def glu(x: F64) -> F64:
    """Return the first half times the sigmoid of the second."""
    value, gate = np.split(x, 2, axis=-1)
    return value * expit(gate, np.exp(-np.abs(gate)))


def _logsumexp(x: F64) -> F64:
    peak = np.max(x, axis=-1, keepdims=True)
    total = np.sum(np.exp(x - peak), axis=-1, keepdims=True)
    return np.where(np.isfinite(peak), peak + np.log(total), peak)
