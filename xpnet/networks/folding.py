"""Preprocessing folded into the first layer, so that it costs nothing: exact enough, or not at all.

A step that takes x to ``(x - mean) @ matrix`` leaves of the layer behind it the weights ``matrix @
weight`` and the bias ``bias + step(0) @ weight``. They are computed in float64 where the device has
it, and rounded once.
"""

import math
from typing import Any

from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    current_device,
    device_of,
    limits_of,
    widest_floating,
    without_warnings,
)
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize, Step, map_arrays

__all__ = ["folded"]

# Of so many inputs on, means are folded that are sqrt(n_in) / 4 of their deviations from 0 at most:
# 2 for 64 inputs, 7 for 784.
_FEWEST_INPUTS = 64
_MOST_DEVIATIONS = 1 / 4


def folded(network: Network, /) -> Network:
    """Return the network with steps of its preprocessing folded into the first layer.

    The last step is folded first; where one must stay, those before it stay, too. In float16, all
    stay.

    Notes
    -----
    A mean that is subtracted from the inputs keeps the terms of a sum small; from the bias, it does
    not: the terms are as large as inputs and means, and their roundings, too. The roundings of n
    terms add up like sqrt(n), what the error bounds of the given network allow like n. So there is
    room for means up to sqrt(n) deviations from 0, of which a quarter is used; and of fewer than 64
    inputs none, since all of them may be near their means at once. In 784 columns of random numbers
    at that limit, up to 0.3 of the bound was seen; in as many that all hold the same number, too.

    A step that whitens does not tell the deviations. But of those with the covariance ``C``, which
    is the inverse of ``matrix @ matrix.T``, no square is below ``a[i]**2 / (a @ inv(C) @ a)``, for
    any a (Cauchy and Schwarz). With the mean for a, and with a 1 in place i, it follows that the
    mean of input i is at most ``|mean @ matrix|`` and ``|mean[i]| |matrix[i, :]|`` of them from 0.

    Where a weight would leave the range of normal numbers, a step stays as well.
    """
    first, *others = network.layers
    xp, dtype = array_namespace(first.weight), network.dtype
    if limits_of(dtype, xp).bits < 32:
        return network
    steps, wide = network.preprocessing, widest_floating(first.weight, xp)
    with current_device(first.weight), without_warnings():
        weight, bias = cast(first.weight, wide, xp), cast(first.bias, wide, xp)
        while steps:
            step = map_arrays(steps[-1], lambda x: cast(x, wide, xp))
            changed = _behind(step, weight, bias, xp)
            if changed is None or not _is_normal(*changed, step, weight, xp.finfo(dtype)):
                break
            (weight, bias), steps = changed, steps[:-1]
        if len(steps) == len(network.preprocessing):
            return network
        weight, bias = cast(weight, dtype, xp), cast(bias, dtype, xp)
    first = Dense(weight, bias, first.activation, first.options)
    return Network((first, *others), steps, network.output, network.classes)


def _behind(step: Step, weight: Any, bias: Any, xp: Any) -> tuple[Any, Any] | None:
    """Return what a step makes of weight and bias; None if the means are too far from 0."""
    if isinstance(step, Scale):
        return weight * step.factor, bias
    n_in = weight.shape[0]
    zeros = xp.zeros(n_in, dtype=weight.dtype, device=device_of(weight))
    origin = step.compute(zeros, xp)
    if isinstance(step, Standardize):
        distance = xp.max(xp.abs(origin))
        scale = step.scale if isinstance(step.scale, float) else step.scale[:, None]
        changed = weight / scale
    else:
        rows = xp.sqrt(xp.sum(step.matrix * step.matrix, axis=1))
        distance = xp.minimum(xp.max(xp.abs(step.mean) * rows), xp.sqrt(xp.sum(origin * origin)))
        changed = step.matrix @ weight
    most = _MOST_DEVIATIONS * math.sqrt(n_in) if n_in >= _FEWEST_INPUTS else 0.0
    is_near = float(distance) <= most
    return (changed, bias + origin @ weight) if is_near else None


def _is_normal(weight: Any, bias: Any, step: Step, before: Any, limits: Any) -> bool:
    """Tell whether parameters stay normal numbers, all but zeros."""
    xp = array_namespace(weight)
    sizes = xp.abs(weight)
    if isinstance(step, Scale | Standardize):
        is_number = before != 0.0
    else:  # where a sum cancels, nothing is left of it but its rounding
        is_number = sizes > float(xp.finfo(weight.dtype).eps) * xp.max(sizes, axis=0)
    largest = float(xp.max(sizes))
    smallest = float(xp.min(xp.where(is_number, sizes, largest)))
    return (
        smallest >= float(limits.smallest_normal) * (largest > 0.0)
        and largest <= float(limits.max)
        and float(xp.max(xp.abs(bias))) <= float(limits.max)
    )
