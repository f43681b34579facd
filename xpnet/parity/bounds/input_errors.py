"""Preprocessed inputs with their errors: one rule maps both through every step."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import dtype_name
from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten
from xpnet.parity.bounds.rounding import FORMATS, FloatFormat, Floats, finite, format_before_cast

__all__ = ["inputs_with_errors"]


def inputs_with_errors(
    steps: Iterable[Step], rows: NDArray[Any], precision: FloatFormat, factor: float
) -> tuple[Floats, Floats, Floats | None]:
    """Return preprocessed rows, their errors, and the deviations of an independent part.

    Rows are cast to the format in which they are preprocessed, each operation of a step is rounded
    in it, and a cast to the precision of the network ends it. Errors are inf for overflow, and
    arbitrary where a number is not finite. The independent part, which the sums of `Whiten` leave,
    is to be added `factor` times; it is None if there is none, as in the worst case, with an
    infinite factor.
    """
    form, given = format_before_cast(rows.dtype, precision), FORMATS.get(dtype_name(rows.dtype))
    if precision.name != "float16":  # arrays of steps may be flushed when they are read
        form = replace(form, floor=precision.floor)
    x, spread = rows.astype(np.float64), None
    error = _flushed(x, given) if given else np.zeros_like(x)
    error = _rounded(x, error, form, 0 if form.holds(rows.dtype) else 1)
    for step in steps:
        if not isinstance(step, Scale):
            error = error + _flushed(step.mean, form)
            if isinstance(step.mean, float):  # rounded to the format, in which arrays are already
                error += abs(step.mean) * form.unit
            error = _rounded(x - step.mean, error, form, 1)
        if isinstance(step, Whiten):
            error = error if spread is None else error + factor * spread
            x, error, spread = _whitened(step, x, error, form, factor)
        else:
            x, error, size = _scaled(step, x, error, form)
            spread = None if spread is None else spread * size
    return x, _rounded(x, error, precision, 0 if form.name == precision.name else 1), spread


def _scaled(
    step: Scale | Standardize, x: Floats, error: Floats, form: FloatFormat
) -> tuple[Floats, Floats, Any]:
    """Return products or quotients, their errors, and the factor of earlier errors."""
    y, number = step.compute(x, np), step.factor if isinstance(step, Scale) else step.scale
    size = np.abs(number)
    if isinstance(step, Scale):  # rounded, to zero if it is subnormal
        to_zero, to_infinity = size < form.normal, size > form.largest
    else:  # the inverse, in the format of the computation, may be a factor, and zero if subnormal
        to_zero = size > min(form.largest, 1.0 / FORMATS[form.name].floor)
        to_infinity, size = size < max(form.normal, form.floor), 1.0 / size
    error = np.where(to_infinity, np.inf, error * size + finite(np.abs(y)) * to_zero)
    return y, _rounded(y, error, form, 2), size


def _whitened(
    step: Whiten, x: Floats, error: Floats, form: FloatFormat, factor: float
) -> tuple[Floats, Floats, Floats | None]:
    """Return the results of a step, their errors, and the deviations of an independent part.

    `error` is that of the differences from the mean.
    """
    # n additions, and products and numbers of the matrix as 3: nothing is folded into them.
    y, sizes, n_roundings = step.compute(x, np), np.abs(step.matrix), len(step.matrix) + 3
    x = finite(np.abs(x - step.mean))
    terms, is_live = (x + error) @ sizes, np.max(x + error, axis=1, keepdims=True) > 0.0
    # Inputs, numbers of the matrix, products and sums near zero may be replaced by zero.
    n_lost = np.sum(x, axis=1, keepdims=True) + np.max(np.sum(sizes, axis=0)) + n_roundings
    error = error @ sizes + form.floor * n_lost * is_live
    if math.isinf(factor):
        return y, form.limited(error + form.worst(n_roundings) * terms, terms), None
    largest_sum = 0.5 * (terms + finite(np.abs(y)))
    spread = largest_sum * form.spread(n_roundings, factor)
    return y, form.limited(error, largest_sum + factor * spread), spread


def _flushed(x: Any, form: FloatFormat) -> Floats:
    """Return the errors of numbers of a format of which subnormal ones may be read as zero."""
    sizes = finite(np.abs(x))
    return sizes * (sizes < form.floor)


def _rounded(y: Floats, error: Floats, form: FloatFormat, n_roundings: int) -> Floats:
    """Return the errors of numbers y after some roundings, with underflow and overflow."""
    sizes = finite(np.abs(y))
    if n_roundings:
        error = error + (sizes + error) * form.worst(n_roundings)
    error = error + form.floor * ((sizes < form.normal) & ((sizes > 0.0) | (error > 0.0)))
    return form.limited(error, sizes)
