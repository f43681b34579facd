"""Means, standard deviations and covariances of the columns of training data, on the host.

They are computed in float64 over chunks of rows, so integers are never converted as a whole.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array, library_of, without_warnings
from xpnet.arrays.transfer import is_numpy, to_numpy

__all__ = ["check_finite", "covariances", "standard_deviations"]

# Numbers in a chunk: 4 MB of float64.
_CHUNK = 1 << 19


def standard_deviations(x: Any, /) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation of each column; 1 for one of equal numbers."""
    x = _checked(x)
    mean = _mean(x)
    with without_warnings():
        squares = sum(np.sum((rows - mean) ** 2, axis=0) for rows in _chunks(x))
    is_equal = x.max(axis=0) == x.min(axis=0)
    return mean, np.where(is_equal, 1.0, np.sqrt(squares / len(x)))


def covariances(x: Any, /) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of each column, and the covariances, divided by n."""
    x = _checked(x)
    mean = _mean(x)
    centred = (rows - mean for rows in _chunks(x))
    with without_warnings():
        products: Any = sum(rows.T @ rows for rows in centred)
    covariance: NDArray[np.float64] = products / len(x)
    if not covariance.any():
        msg = f"`x` must have rows that differ; got {len(x)} equal ones"
        raise ValueError(msg)
    check_finite(covariance, "covariance")
    return mean, covariance


def _checked(x: Any) -> NDArray[Any]:
    """Return rows in host memory, after validation."""
    x = as_array(x)
    if library_of(x) == "dask":
        msg = "`x` must be in memory; got a dask array: give x.compute(), or some of its rows"
        raise TypeError(msg)
    x = to_numpy(x)
    if x.dtype.kind not in "biuf":
        msg = f"`x` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    if x.ndim < 2 or 0 in x.shape:
        msg = f"`x` must have the shape (n, ...), with rows and columns; got {x.shape}"
        raise ValueError(msg)
    return x.reshape(len(x), -1)


def _chunks(x: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    size = max(1, _CHUNK // x.shape[1])
    return (x[i : i + size].astype(np.float64) for i in range(0, len(x), size))


def _mean(x: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each column; raise ValueError unless all are finite."""
    # Relative to the first row: the mean of equal numbers is exactly that number.
    first = x[0].astype(np.float64)
    with without_warnings():
        mean = first + sum(np.sum(rows - first, axis=0) for rows in _chunks(x)) / len(x)
    if n_wrong := int(np.count_nonzero(~np.isfinite(mean))):
        msg = f"`x` must hold finite numbers with a finite sum; got others in {n_wrong} columns"
        raise ValueError(msg)
    return mean


def check_finite(x: Any, name: str) -> None:
    """Raise ValueError if a NumPy array, of a preprocessing step for example, is not finite."""
    if is_numpy(x) and not np.isfinite(x).all():
        msg = f"`{name}` must be finite; got NaN or infinity in {x.dtype}"
        raise ValueError(msg)
