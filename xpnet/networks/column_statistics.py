"""What the columns of training data are like: means, deviations and covariances.

They are computed in float64 where the device has it, over chunks of rows: whole numbers never
become one large floating-point copy. Deviations are taken from the mean, in a second pass, and in
units of the largest of them, so that no square overflows or vanishes.
"""

import math
from collections.abc import Iterator
from typing import Any

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    current_device,
    is_real,
    library_of,
    widest_floating,
    without_warnings,
)

__all__ = ["covariances", "deviations"]

# Numbers of a chunk: 4 MB of float64.
_CHUNK = 1 << 19


def deviations(x: Any, /) -> tuple[Any, Any]:
    """Return the mean of each column, and its standard deviation.

    Parameters
    ----------
    x : array of shape (n, ...)
        Real numbers, as rows of n_in columns.

    Returns
    -------
    mean, deviation : array of shape (n_in,)
        In float64 where the device has it, else float32. The deviation is the root of the mean
        square, and exactly 0 where all numbers of a column are equal.

    Raises
    ------
    TypeError
        If `x` is no array of real numbers in memory.
    ValueError
        If it has no rows or no columns, or a number or a sum is infinite or NaN.
    """
    columns = _Columns(x)
    xp, reach = columns.xp, columns.reach
    with current_device(columns.x), without_warnings():
        unit = xp.where(reach > 0.0, reach, 1.0)
        squares = sum(xp.sum(away * away, axis=0) for away in columns.away(unit))
        return columns.mean, unit * xp.sqrt(squares / columns.n_rows)


def covariances(x: Any, /) -> tuple[Any, float, Any]:
    """Return the mean of each column, and their covariances, in the square of a unit.

    Parameters
    ----------
    x : array of shape (n, ...)
        As for `deviations`.

    Returns
    -------
    mean : array of shape (n_in,)
    unit : float
    covariance : array of shape (n_in, n_in)
        The mean of each product of two deviations, divided by unit * unit.

    Raises
    ------
    TypeError, ValueError
        As `deviations`; and if all rows are equal.
    """
    columns = _Columns(x)
    with current_device(columns.x), without_warnings():
        unit = float(columns.xp.max(columns.reach))
        if unit == 0.0:
            msg = f"`x` must have rows that differ; got {columns.n_rows} equal ones"
            raise ValueError(msg)
        products = sum(away.T @ away for away in columns.away(unit))
        return columns.mean, unit, products / columns.n_rows


class _Columns:
    """The columns of an array.

    Attributes
    ----------
    xp : namespace
    n_rows : int
    mean : array of shape (n_in,)
    reach : array of shape (n_in,)
        How far a column goes from its first number.
    """

    def __init__(self, x: Any) -> None:
        self.x = x = as_array(x)
        self.xp = xp = array_namespace(x)
        _check(x, xp)
        self.n_rows = int(x.shape[0])
        with current_device(x), without_warnings():
            first = next(self._chunks(1))[0, :]
            total, self.reach = xp.zeros_like(first), xp.zeros_like(first)
            for chunk in self._chunks():
                # From the first row on: the mean of equal numbers is that number.
                away = chunk - first
                total = total + xp.sum(away, axis=0)
                self.reach = xp.maximum(self.reach, xp.max(xp.abs(away), axis=0))
            self.mean = first + total / self.n_rows
            n_wrong = int(xp.count_nonzero(~xp.isfinite(self.mean + self.reach)))
        if n_wrong:
            msg = f"`x` must hold finite numbers of a finite sum; got others in {n_wrong} columns"
            raise ValueError(msg)

    def _chunks(self, length: int | None = None) -> Iterator[Any]:
        xp, x = self.xp, self.x
        dtype = widest_floating(x, xp)
        length = length or max(1, _CHUNK // math.prod(x.shape[1:]))
        for start in range(0, self.n_rows, length):
            chunk = xp.astype(x[start : min(start + length, self.n_rows), ...], dtype)
            yield xp.reshape(chunk, (chunk.shape[0], -1))

    def away(self, unit: Any) -> Iterator[Any]:
        """Yield how far the rows are from the mean, in a unit, chunk by chunk."""
        return ((chunk - self.mean) / unit for chunk in self._chunks())


def _check(x: Any, xp: Any) -> None:
    if library_of(x) == "dask":
        msg = "`x` must be in memory; got a dask array: give x.compute(), or some of its rows"
        raise TypeError(msg)
    if not is_real(x, xp):
        msg = f"`x` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    if x.ndim < 2 or 0 in x.shape:
        msg = f"`x` must have the shape (n, ...), with rows and columns; got {tuple(x.shape)}"
        raise ValueError(msg)
