"""Folding of the preprocessing of a NumPy network into its first layer.

A step that maps x to ``(x - mean) @ matrix`` needs no computation of its own if the weight of the
next layer becomes ``matrix @ weight``, and its bias ``bias + step(0) @ weight``. Both are computed
in float64 and rounded once.

Subtracting a mean from the inputs keeps the terms of a sum small; subtracting it from the bias does
not: the terms, and their roundings, are as large as inputs and means. The roundings of n terms add
up like sqrt(n), while the error bounds of the network grow like n. This leaves room for means up to
sqrt(n) deviations from 0. A quarter of it is used, and none for fewer than 64 inputs, which may all
be near their means at once. For 784 columns of random numbers at that limit, or that all hold the
same number, up to 0.3 of the bound was seen. A row that nearly equals the mean everywhere has
almost no error in the given network, whose bound may then be exceeded.

A whitening step does not contain the deviations. But for inputs with the covariance ``C``, the
inverse of ``matrix @ matrix.T``, no variance is below ``a[i]**2 / (a @ inv(C) @ a)``, for any a
(Cauchy and Schwarz). With the mean for a, and with a unit vector, it follows that the mean of input
i is at most ``|mean @ matrix|`` and ``|mean[i]| |matrix[i, :]|`` deviations from 0.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xpnet.arrays.frozen import freeze
from xpnet.arrays.namespace import array_namespace, cast, limits_of, without_warnings
from xpnet.networks.dense import Dense
from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten, map_arrays

__all__ = ["LARGEST", "folded_layer"]

# A step is folded only if it does not overflow for inputs of up to this size.
LARGEST = 2.0**60

# Multiplications for which folding is worthwhile at the first use: less than a millisecond.
_MOST_WEIGHTS, _MOST_WORK = 2**18, 2**25
# Means are folded for at least this many inputs, and up to this fraction of sqrt(n_in) standard
# deviations from 0: 2 for 64 inputs, 7 for 784.
_MIN_INPUTS = 64
_MAX_DEVIATIONS = 1 / 4
# The roundings of the weights of a unit add up to at most this many times eps and the root of their
# sum of squares. Random roundings give 0.2; 784 equal weights up to 14, and seven times eps were
# seen to exceed the bound, behind saturated sigmoids.
_MOST_DRIFT = 4.0


def folded_layer(steps: Sequence[Step], layer: Dense) -> Dense | None:
    """Return the first layer of a NumPy network with all steps before it, or None.

    None is returned for float16, for a step that might overflow or whose means are too far from 0,
    if a parameter would leave the range of normal numbers or roundings would add up, and for wide
    layers: they take so long that their preprocessing hardly counts.
    """
    (weight, bias), dtype = layer.parameters, layer.weight.dtype
    xp = array_namespace(weight)
    work = weight.size * (layer.n_in if any(isinstance(x, Whiten) for x in steps) else 1)
    most = _MOST_WEIGHTS if work == weight.size else _MOST_WORK
    if not steps:
        return layer
    if work > most or limits_of(dtype, xp).bits < 32:
        return None
    with without_warnings():
        weight, bias = (cast(x, xp.float64, xp) for x in (weight, bias))
        sizes = xp.full(layer.n_in, LARGEST)
        for step in steps:
            sizes = step.largest(sizes)
        if not xp.max(sizes) < float(xp.finfo(dtype).max) / 4.0:
            return None
        for given in reversed(steps):
            step = map_arrays(given, lambda x: cast(x, xp.float64, xp))
            changed = _fold_step(step, weight, bias, xp)
            if changed is None or not _are_normal(*changed, step, weight, xp.finfo(dtype)):
                return None
            weight, bias = changed
        narrow = cast(weight, dtype, xp)
        drift, eps = xp.abs(xp.sum(narrow - weight, axis=0)), float(xp.finfo(dtype).eps)
        if xp.any(drift > _MOST_DRIFT * eps * xp.sqrt(xp.sum(weight * weight, axis=0))):
            return None
    return replace(layer, weight=freeze(narrow), bias=freeze(cast(bias, dtype, xp)))


def _fold_step(step: Step, weight: Any, bias: Any, xp: Any) -> tuple[Any, Any] | None:
    """Return weight and bias with a step folded in, or None if its means are too far from 0."""
    if isinstance(step, Scale):
        return weight * step.factor, bias
    n_in = weight.shape[0]
    origin = step.compute(xp.zeros(n_in, dtype=weight.dtype), xp)
    if isinstance(step, Standardize):
        distance = xp.max(xp.abs(origin))
        scale = step.scale if isinstance(step.scale, float) else step.scale[:, None]
        changed = weight / scale
    else:
        rows = xp.sqrt(xp.sum(step.matrix * step.matrix, axis=1))
        distance = xp.minimum(xp.max(xp.abs(step.mean) * rows), xp.sqrt(xp.sum(origin * origin)))
        changed = step.matrix @ weight
    most = _MAX_DEVIATIONS * math.sqrt(n_in) if n_in >= _MIN_INPUTS else 0.0
    return (changed, bias + origin @ weight) if float(distance) <= most else None


def _are_normal(weight: Any, bias: Any, step: Step, before: Any, limits: Any) -> bool:
    """Return whether all parameters are normal numbers or zero."""
    xp = array_namespace(weight)
    sizes, largest = xp.abs(weight), float(limits.max)
    if isinstance(step, Scale | Standardize):
        is_number = before != 0.0
    else:  # a sum that cancels is zero except for its rounding
        is_number = sizes > float(xp.finfo(weight.dtype).eps) * xp.max(sizes, axis=0)
    is_lost = is_number & (sizes < float(limits.smallest_normal))
    fits = all(float(xp.max(x)) <= largest for x in (sizes, xp.abs(bias)))
    return fits and not bool(xp.any(is_lost))
