"""Largest deviations of NumPy arrays from expected values, in ULP and relative to bounds."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deviation", "deviation", "ulp"]


@dataclass(frozen=True)
class Deviation:
    """Largest deviations of an array from its expected values."""

    n_exceeding: int = 0  # number of values out of bound
    n_unbounded: int = 0  # number of values with an infinite bound, which are not compared
    # Largest absolute difference; inf if a value is NaN or infinite and the expected one is not,
    # or vice versa.
    difference: float = 0.0
    furthest: tuple[int, ...] = ()  # index of the largest difference
    share: float = 0.0  # largest difference as a share of its bound; out of bound above 1
    worst: tuple[int, ...] = ()  # index of the largest share


def deviation(
    found: NDArray[Any], expected: NDArray[Any], bound: NDArray[np.floating[Any]]
) -> Deviation:
    """Return the largest deviations of an array, by the bound of each difference.

    The three arrays have the same shape. Equal infinities, and NaN in both arrays, do not differ.
    A bound of inf accepts any value. Shares are computed in the dtype of the bounds.
    """
    if not found.size:
        return Deviation()
    n_unbounded = 0
    with np.errstate(all="ignore"):
        difference = np.asarray(np.abs(found - expected), bound.dtype)
        if not math.isfinite(float(np.max(difference))):
            is_same = (found == expected) | (np.isnan(found) & np.isnan(expected))
            difference = np.where(is_same, 0.0, np.where(difference >= 0.0, difference, np.inf))
        if math.isinf(float(np.max(bound))):
            is_unbounded = np.isinf(bound)
            n_unbounded = int(np.count_nonzero(is_unbounded))
            difference = np.where(is_unbounded, 0.0, difference)
        largest, furthest = _largest(difference)
        # With a bound of 0, no difference is a share of 0, and any other a large share.
        difference /= np.maximum(bound, np.finfo(bound.dtype).smallest_normal)
    share, worst = _largest(difference)
    n_exceeding = int(np.count_nonzero(difference > 1.0)) if share > 1.0 else 0
    return Deviation(n_exceeding, n_unbounded, largest, furthest, share, worst)


def ulp(values: Any, eps: float, smallest: float, largest: float) -> Any:
    """Return the unit in the last place of values in a floating-point format, in float64.

    `eps` is the distance from 1 to the next number, `smallest` the smallest normal number. Values
    below it have its unit, as if there were no subnormal numbers; NaN has it, too.
    """
    sizes = np.fmin(np.fmax(np.abs(values), smallest), largest)
    return np.ldexp(float(eps), np.frexp(sizes)[1] - 1)


def _largest(sizes: NDArray[Any]) -> tuple[float, tuple[int, ...]]:
    """Return the largest of nonnegative numbers and its index."""
    i = int(np.argmax(sizes))
    place = tuple(int(k) for k in np.unravel_index(i, sizes.shape))
    return float(sizes.flat[i]), place
