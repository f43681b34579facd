"""How far preprocessed inputs may be off: casts, and the steps before the first layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten
from xpnet.parity.bounds.error_terms import Array
from xpnet.parity.bounds.rounding import Precision, precision_before_cast

__all__ = ["cast_error", "error_before_cast", "relative_input_error", "step_error"]


def relative_input_error(
    steps: Sequence[Step], rows: NDArray[Any], precision: Precision
) -> float | None:
    """Return how far preprocessed rows may be off relative to themselves; None if that varies.

    A step's number is rounded, and its product, or both at once where they are folded into the
    weights. It varies where something is subtracted, or a number is not normal on its way.
    """
    scales = [abs(step.factor) for step in steps if isinstance(step, Scale)]
    if len(scales) < len(steps) or not _stay_normal(scales, rows, precision):
        return None
    return float(precision.worst(2 * len(scales) + (not _is_exact(rows, precision))))


def _stay_normal(scales: Sequence[float], rows: NDArray[Any], precision: Precision) -> bool:
    """Tell whether all inputs but zeros are normal numbers of the precision at every step."""
    high = max(float(np.max(rows, initial=1)), -float(np.min(rows, initial=0)))
    is_whole = rows.dtype.kind in "biu"
    low = 1.0 if is_whole else float(np.min(np.abs(rows) + (rows == 0.0), initial=1.0))
    numbers = [low, high]
    for factor in scales:
        low, high = low * factor, high * factor
        numbers += [factor, low, high]
    return all(precision.normal <= number <= precision.largest for number in numbers)


def cast_error(rows: NDArray[Any], precision: Precision) -> Array:
    """Return how far rows may be off that are cast to the precision; inf where they overflow.

    Of inputs that are NaN or infinite it returns some number.
    """
    x = _without_infinities(rows.astype(np.float64))
    relative = 0.0 if _is_exact(rows, precision) else precision.unit
    return _rounded(x, np.abs(x) * relative, precision)[1]


def step_error(step: Scale | Standardize, x: Array, error: Array, precision: Precision) -> Array:
    """Return how far the results of a step may be off for inputs x that are off by `error`."""
    x = _without_infinities(x)
    if isinstance(step, Scale):
        return _scaled(x, error, step.factor, precision)[1]
    return _divided(*_shifted(x, error, step.mean, precision), step.scale, precision)[1]


def error_before_cast(
    steps: Sequence[Step], rows: NDArray[Any], precision: Precision
) -> Array | None:
    """Return how far rows may be off that are preprocessed before the cast; None if after it."""
    wide = precision_before_cast(rows.dtype, precision)
    if wide is None:
        return None
    x, error = rows.astype(np.float64), cast_error(rows, wide)
    for step in steps:
        if isinstance(step, Whiten):
            centred = Standardize(step.mean)
            error = step_error(centred, x, error, wide)
            error = _multiplied(centred.compute(x, np), error, step.matrix, wide)
        else:
            error = step_error(step, x, error, wide)
        x = step.compute(x, np)
    x = _without_infinities(x)
    return _rounded(x, error + (np.abs(x) + error) * precision.unit, precision)[1]


def _multiplied(x: Array, error: Array, matrix: Array, precision: Precision) -> Array:
    """Return how far ``x @ matrix`` may be off, if all rounding errors go the same way."""
    n_in, sizes = matrix.shape[0], np.abs(matrix)
    terms = (np.abs(_without_infinities(x)) + error) @ sizes
    lost = n_in * precision.floor * (1.0 + sizes.max())
    return error @ sizes + float(precision.worst(n_in + 3)) * terms + lost


def _without_infinities(x: Array) -> Array:
    return np.where(np.isfinite(x), x, 1.0)


def _scaled(x: Array, error: Array, factor: float, precision: Precision) -> tuple[Array, Array]:
    y, size = x * factor, abs(factor)
    if size > precision.largest:
        return y, np.where(x != 0.0, np.inf, error)
    # A subnormal factor may have no correct digit, or be taken for zero.
    share = float(precision.worst(2)) if size >= precision.normal else 2.0
    return _rounded(y, error * size * (1.0 + share) + np.abs(y) * share, precision)


def _shifted(x: Array, error: Array, mean: Any, precision: Precision) -> tuple[Array, Array]:
    y = x - mean
    if isinstance(mean, float):  # arrays are numbers of the precision, which others become
        error = error + abs(mean) * precision.unit + precision.floor
    return _rounded(y, (error + np.abs(y) * precision.unit) * (1.0 + precision.unit), precision)


def _divided(x: Array, error: Array, scale: Any, precision: Precision) -> tuple[Array, Array]:
    y, size = x / scale, np.abs(scale)
    share = np.where(size <= precision.largest, float(precision.worst(2)), 2.0)
    error = error / size * (1.0 + share) + np.abs(y) * share
    # A subnormal divisor may be taken for zero.
    return _rounded(y, np.where(size < precision.normal, np.inf, error), precision)


def _rounded(y: Array, error: Array, precision: Precision) -> tuple[Array, Array]:
    """Return numbers and their errors, if subnormal ones may be lost and large ones overflow."""
    is_lost = (np.abs(y) < precision.normal) & ((y != 0.0) | (error > 0.0))
    error = error + np.where(is_lost, precision.floor, 0.0)
    return y, np.where(np.abs(y) + error <= precision.largest, error, np.inf)


def _is_exact(rows: Any, precision: Precision) -> bool:
    """Tell whether rows of this dtype are cast to the precision without rounding."""
    name = str(rows.dtype).rpartition(".")[2]
    exact = {"bool", "uint8", "int8", precision.name}
    if precision.unit < 2.0**-11:
        exact |= {"uint16", "int16", "float16", "bfloat16"}
    if precision.name == "float64":
        exact |= {"uint32", "int32", "float32"}
    return name in exact
