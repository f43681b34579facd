"""Error bounds of preprocessed inputs: casts, and the steps before the first layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import dtype_name
from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten
from xpnet.parity.bounds.error_terms import Floats
from xpnet.parity.bounds.rounding import FloatFormat, format_before_cast

__all__ = ["cast_error", "error_before_cast", "relative_input_error", "step_error"]


def relative_input_error(
    steps: Sequence[Step], rows: NDArray[Any], precision: FloatFormat
) -> float | None:
    """Return the relative error of preprocessed rows; None if it varies from value to value.

    The factor of a step is rounded, and the product; both at once if the factor is folded into
    the weights. The error varies if something is subtracted, or an intermediate number is not
    normal.
    """
    scales = [abs(step.factor) for step in steps if isinstance(step, Scale)]
    if len(scales) < len(steps):
        return None
    # The smallest and largest nonzero magnitude after every step.
    high = max(float(np.max(rows, initial=1)), -float(np.min(rows, initial=0)))
    is_integer = rows.dtype.kind in "biu"
    low = 1.0 if is_integer else float(np.min(np.abs(rows) + (rows == 0.0), initial=1.0))
    numbers = [low, high]
    for factor in scales:
        low, high = low * factor, high * factor
        numbers += [factor, low, high]
    if not all(precision.normal <= number <= precision.largest for number in numbers):
        return None
    return float(precision.worst(2 * len(scales) + (not _is_exact(rows, precision))))


def cast_error(rows: NDArray[Any], precision: FloatFormat) -> Floats:
    """Return the error of a cast to the precision: inf for overflow, arbitrary if not finite."""
    x = _without_infinities(rows.astype(np.float64))
    relative = 0.0 if _is_exact(rows, precision) else precision.unit
    return _rounded(x, np.abs(x) * relative, precision)


def step_error(step: Step, x: Floats, error: Floats, precision: FloatFormat) -> Floats:
    """Return the error of a step's results for inputs x with the given error."""
    if isinstance(step, Whiten):  # as if all rounding errors had the same sign
        centred = Standardize(step.mean)
        error = step_error(centred, x, error, precision)
        sizes, n_in = np.abs(step.matrix), len(step.matrix)
        terms = (np.abs(_without_infinities(centred.compute(x, np))) + error) @ sizes
        lost = n_in * precision.floor * (1.0 + sizes.max())
        return error @ sizes + float(precision.worst(n_in + 3)) * terms + lost
    x = _without_infinities(x)
    if isinstance(step, Scale):
        y, size = x * step.factor, abs(step.factor)
        if size > precision.largest:
            return np.where(x != 0.0, np.inf, error)
        # A subnormal factor may have no correct digit, or be replaced by zero.
        share = float(precision.worst(2)) if size >= precision.normal else 2.0
        return _rounded(y, error * size * (1.0 + share) + np.abs(y) * share, precision)
    y = x - step.mean
    if isinstance(step.mean, float):  # rounded to the precision, in which arrays are already
        error = error + abs(step.mean) * precision.unit + precision.floor
    error = _rounded(y, (error + np.abs(y) * precision.unit) * (1.0 + precision.unit), precision)
    y, sizes = y / step.scale, np.abs(step.scale)
    shares = np.where(sizes <= precision.largest, float(precision.worst(2)), 2.0)
    error = error / sizes * (1.0 + shares) + np.abs(y) * shares
    # A subnormal divisor may be replaced by zero.
    return _rounded(y, np.where(sizes < precision.normal, np.inf, error), precision)


def error_before_cast(
    steps: Sequence[Step], rows: NDArray[Any], precision: FloatFormat
) -> Floats | None:
    """Return the error of rows that are preprocessed before the cast; None if after it."""
    wide = format_before_cast(rows.dtype, precision)
    if wide is None:
        return None
    x, error = rows.astype(np.float64), cast_error(rows, wide)
    for step in steps:
        error = step_error(step, x, error, wide)
        x = step.compute(x, np)
    x = _without_infinities(x)
    return _rounded(x, error + (np.abs(x) + error) * precision.unit, precision)


def _without_infinities(x: Floats) -> Floats:
    return np.where(np.isfinite(x), x, 1.0)


def _rounded(y: Floats, error: Floats, precision: FloatFormat) -> Floats:
    """Return the errors of numbers y, including underflow to zero and overflow."""
    is_lost = (np.abs(y) < precision.normal) & ((y != 0.0) | (error > 0.0))
    error = error + np.where(is_lost, precision.floor, 0.0)
    return np.where(np.abs(y) + error <= precision.largest, error, np.inf)


def _is_exact(rows: Any, precision: FloatFormat) -> bool:
    """Return whether the dtype of the rows is cast to the precision without rounding."""
    name = dtype_name(rows.dtype)
    exact = {"bool", "uint8", "int8", precision.name}
    if precision.unit < 2.0**-11:
        exact |= {"uint16", "int16", "float16", "bfloat16"}
    if precision.name == "float64":
        exact |= {"uint32", "int32", "float32"}
    return name in exact
