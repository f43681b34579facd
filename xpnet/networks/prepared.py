"""Networks prepared for inference: the same function, computed in fewer steps.

A step that maps x to ``(x - mean) @ matrix`` is folded into the next layer: its weight becomes
``matrix @ weight``, and its bias ``bias + step(0) @ weight``, in float64 where the device supports
it, and rounded once.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from xpnet.arrays.cpu.blocked_matmul import constant
from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    current_device,
    device_of,
    limits_of,
    widest_floating,
    without_warnings,
)
from xpnet.arrays.ranges import are_finite, dtype_before_cast, narrowed
from xpnet.networks.dense import Dense
from xpnet.networks.input_range import InputRange, expected_range
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import (
    Scale,
    Standardize,
    Step,
    map_arrays,
)

__all__ = ["can_fold", "fold_preprocessing", "prepare", "rows_to_fold"]

# Means are folded for at least this many inputs, and up to this fraction of sqrt(n_in) standard
# deviations from 0: 2 for 64 inputs, 7 for 784.
_MIN_INPUTS = 64
_MAX_DEVIATIONS = 1 / 4
# Sigmoids become tanh if this fraction of the weights after them is in effect for trial inputs.
_MIN_EFFECT = 1 / 10
_N_TRIALS = 16
_LARGEST_BYTE = 255.0
_GOLDEN_RATIO = 0.6180339887498949


def prepare(network: Network, /) -> Network:
    """Return a network that computes the same function faster.

    The preprocessing is folded into the first weights and biases; the metadata declare that the
    inputs are in 0..255 if its first step was for bytes. The arrays of a NumPy network are copied
    and read-only: later changes to the given network have no effect. So its products may
    keep one more copy of a weight, in the memory order that is fastest. Hidden sigmoids of a NumPy
    network become tanh; the rest of (1 + tanh(x / 2)) / 2 goes into the weights and biases around
    them.

    Parameters
    ----------
    network : Network
        A network of any library. It is not changed.

    Returns
    -------
    Network
        An ordinary network: it can be saved, moved and prepared again.

    Raises
    ------
    TypeError
        If `network` is reproducible.

    Notes
    -----
    The results are not the same bits, but stay within the error bounds derived for the given
    network. These allow for a factor in the weights, and for means that are small against the
    deviations of the inputs: up to sqrt(n_in) / 4 of them, for at least 64 inputs. A row that
    nearly equals the mean everywhere has almost no error in the given network, whose bound may then
    be exceeded, but not the bound of the prepared network.

    A sigmoid computed by tanh is accurate to about one unit in the last place of 1, not of its own
    value. This matters where nearly all sigmoids of a layer are close to 0, so trial inputs are
    computed: between 0 and 1, of mean 0 and variance 1, and 255 times both. The sigmoids are kept
    unless a tenth of the weights after them, by size, is in effect for each unit. For inputs far
    from all of these, the bound of the given network may be exceeded as well.

    A preprocessing step is kept if it would move a weight out of the range of normal numbers, and
    where a sigmoid is kept: the trial then gives the same result when the network is prepared
    again. In float16, both are kept.

    The prepared network casts its inputs first. Numbers beyond the range of its dtype, which the
    preprocessing of the given network would scale before the cast, raise an error in NumPy and are
    infinite in other libraries.

    Examples
    --------
    >>> import xpnet
    >>> xpnet.prepare(xpnet.load("sample"))
    Network(784 -> 50 tanh -> 100 tanh -> 10 identity; logits; float32, numpy)
    """
    if network.is_reproducible:
        msg = "`network` must be ordinary; got a reproducible one: prepare what it was made of"
        raise TypeError(msg)
    if network.library == "numpy":
        network = _with_tanh(network)
        if any(layer.activation == "sigmoid" for layer in network.layers[:-1]):
            return network.map_arrays(constant)
    prepared = fold_preprocessing(network)
    is_folded = bool(network.preprocessing) and not prepared.preprocessing
    if is_folded and round(expected_range(network)[1] or 0.0) == _LARGEST_BYTE:
        # Images in 0..1 still give a warning.
        metadata = {**network.metadata, "input_range": InputRange.BYTES.value}
        prepared = replace(prepared, metadata=metadata)
    return prepared


def fold_preprocessing(network: Network, /) -> Network:
    """Return the network with its preprocessing folded into the first layer, and constant arrays.

    The last step is folded first; if one must be kept, so are all before it. In float16, all are
    kept.

    Subtracting a mean from the inputs keeps the terms of a sum small; subtracting it from the bias
    does not: the terms, and their roundings, are as large as inputs and means. The roundings of n
    terms add up like sqrt(n), while the error bounds of the given network grow like n. This leaves
    room for means up to sqrt(n) deviations from 0. A quarter of it is used, and none for fewer than
    64 inputs, which may all be near their means at once. For 784 columns of random numbers at that
    limit, or that all hold the same number, up to 0.3 of the bound was seen.

    A whitening step does not contain the deviations. But for inputs with the covariance ``C``, the
    inverse of ``matrix @ matrix.T``, no variance is below ``a[i]**2 / (a @ inv(C) @ a)``, for any a
    (Cauchy and Schwarz). With the mean for a, and with a unit vector, it follows that the mean of
    input i is at most ``|mean @ matrix|`` and ``|mean[i]| |matrix[i, :]|`` deviations from 0.
    """
    first, *others = network.layers
    steps, dtype, xp = network.preprocessing, network.dtype, array_namespace(first.weight)
    if not steps or limits_of(dtype, xp).bits < 32:
        return network.map_arrays(constant)
    wide = widest_floating(first.weight, xp)
    with current_device(first.weight), without_warnings():
        weight, bias = cast(first.weight, wide, xp), cast(first.bias, wide, xp)
        while steps:
            step = map_arrays(steps[-1], lambda x: cast(x, wide, xp))
            changed = _fold_step(step, weight, bias, xp)
            if changed is None or not _are_normal(*changed, step, weight, xp.finfo(dtype)):
                break
            (weight, bias), steps = changed, steps[:-1]
        if len(steps) < len(network.preprocessing):
            first = replace(first, weight=cast(weight, dtype, xp), bias=cast(bias, dtype, xp))
            network = replace(network, layers=(first, *others), preprocessing=steps)
    return network.map_arrays(constant)


def can_fold(network: Network) -> bool:
    """Return whether a NumPy network has preprocessing that may be folded for many rows.

    No step may overflow for numbers whose squares are finite: see `rows_to_fold`.
    """
    if not network.preprocessing or network.is_reproducible:
        return False
    xp = array_namespace(network.layers[0].weight)
    most = float(limits_of(network.dtype, xp).max)
    with without_warnings():
        sizes = xp.full(network.n_in, math.sqrt(most))
        for step in network.preprocessing:
            sizes = step.largest(sizes)
    return bool(xp.max(sizes) < most / 2.0)


def rows_to_fold(network: Network, folded: Network, rows: Any) -> Any | None:
    """Return NumPy rows for a folded network, or None if they need the steps of the given one.

    Rows of a wider dtype than the network's must be preprocessed before they are cast. The folded
    network casts first: this loses no digits before a scaling, but does before a mean is
    subtracted. Nor does it notice numbers that overflow in a step.
    """
    dtype, steps, xp = network.dtype, network.preprocessing, array_namespace(rows)
    factors = [step.factor for step in steps if isinstance(step, Scale)]
    is_scaled = len(factors) == len(steps)
    if dtype_before_cast(rows.dtype, dtype, xp) != dtype:
        rows = narrowed(rows, dtype) if is_scaled and not folded.preprocessing else None
        if rows is None:
            return None
    shrinks = is_scaled and all(abs(factor) <= 1.0 for factor in factors)
    is_bounded = shrinks or rows.dtype.kind != "f" or rows.itemsize < dtype.itemsize
    return rows if is_bounded or are_finite(rows) else None


def _fold_step(step: Step, weight: Any, bias: Any, xp: Any) -> tuple[Any, Any] | None:
    """Return weight and bias with a step folded in, or None if its means are too far from 0."""
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
    most = _MAX_DEVIATIONS * math.sqrt(n_in) if n_in >= _MIN_INPUTS else 0.0
    return (changed, bias + origin @ weight) if float(distance) <= most else None


def _are_normal(weight: Any, bias: Any, step: Step, before: Any, limits: Any) -> bool:
    """Return whether all parameters are normal numbers or zero."""
    xp = array_namespace(weight)
    sizes = xp.abs(weight)
    if isinstance(step, Scale | Standardize):
        is_number = before != 0.0
    else:  # a sum that cancels is zero except for its rounding
        is_number = sizes > float(xp.finfo(weight.dtype).eps) * xp.max(sizes, axis=0)
    largest = float(xp.max(sizes))
    smallest = float(xp.min(xp.where(is_number, sizes, largest)))
    return (
        smallest >= float(limits.smallest_normal) * (largest > 0.0)
        and largest <= float(limits.max)
        and float(xp.max(xp.abs(bias))) <= float(limits.max)
    )


def _with_tanh(network: Network) -> Network:
    """Return the network with tanh instead of hidden sigmoids, where it is accurate enough."""
    layers = list(network.layers)
    xp = array_namespace(layers[0].weight)
    if limits_of(network.dtype, xp).bits < 32:
        return network
    for i, (layer, following) in enumerate(pairwise(network.layers)):
        if layer.activation == "sigmoid" and _is_active(network.layers[: i + 1], following.weight):
            half = replace(layers[i], weight=0.5 * layers[i].weight, bias=0.5 * layers[i].bias)
            layers[i] = replace(half, activation="tanh")
            weight = 0.5 * following.weight
            total = xp.sum(xp.astype(weight, xp.float64), axis=0)
            bias = xp.astype(xp.astype(following.bias, xp.float64) + total, following.bias.dtype)
            layers[i + 1] = replace(following, weight=weight, bias=bias)
    return replace(network, layers=tuple(layers))


def _is_active(layers: Sequence[Dense], weight: Any) -> bool:
    """Return whether enough of the weights after these layers is in effect for trial inputs."""
    xp = array_namespace(weight)
    with without_warnings():
        # The fractional parts of multiples of the golden ratio are evenly spread over 0..1.
        shape = (_N_TRIALS, layers[0].n_in)
        places = xp.arange(1, math.prod(shape) + 1, dtype=xp.float64, device=device_of(weight))
        even = xp.reshape((places * _GOLDEN_RATIO) % 1.0, shape)
        inputs = xp.concat((even, math.sqrt(12.0) * (even - 0.5)))
        inputs = xp.astype(xp.concat((inputs, _LARGEST_BYTE * inputs)), weight.dtype)
        sizes = xp.abs(weight)
        in_effect = Network(layers)(inputs) @ sizes
        return bool(xp.all(in_effect >= _MIN_EFFECT * xp.sum(sizes, axis=0)))
