"""Means, standard deviations and covariances of the columns of training data.

They are computed over chunks of rows, so integers are never converted as a whole. Deviations from
the mean are summed in a second pass, in units of the largest: no square overflows or underflows.
"""

import math
from collections.abc import Iterator
from typing import Any

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    is_real,
    library_of,
    widest_floating,
    without_warnings,
)

__all__ = ["covariances", "standard_deviations"]

# Numbers in a chunk: 4 MB of float64.
_CHUNK = 1 << 19


def standard_deviations(x: Any, /) -> tuple[Any, Any]:
    """Return the mean and the standard deviation of each column, as for `Standardize.fit`.

    The deviation is the root of the mean square, and exactly 0 for a column of equal numbers.
    """
    columns = _Columns(x)
    xp, spread = columns.xp, columns.spread
    with without_warnings():
        unit = xp.where(spread > 0.0, spread, 1.0)
        squares = sum(xp.sum(chunk * chunk, axis=0) for chunk in columns.centered(unit))
        return columns.mean, unit * xp.sqrt(squares / columns.n_rows)


def covariances(x: Any, /) -> tuple[Any, float, Any]:
    """Return the mean of each column, a unit, and the covariances divided by ``unit * unit``."""
    columns = _Columns(x)
    with without_warnings():
        unit = float(columns.xp.max(columns.spread))
        if unit == 0.0:
            msg = f"`x` must have rows that differ; got {columns.n_rows} equal ones"
            raise ValueError(msg)
        products = sum(chunk.T @ chunk for chunk in columns.centered(unit))
        return columns.mean, unit, products / columns.n_rows


class _Columns:
    """The columns of an array: their means, and the largest distances from the first row."""

    def __init__(self, x: Any) -> None:
        self.x = x = as_array(x)
        self.xp = xp = array_namespace(x)
        if library_of(x) == "dask":
            msg = "`x` must be in memory; got a dask array: give x.compute(), or some of its rows"
            raise TypeError(msg)
        if not is_real(x, xp):
            msg = f"`x` must hold real numbers; got dtype {x.dtype}"
            raise TypeError(msg)
        if x.ndim < 2 or 0 in x.shape:
            msg = f"`x` must have the shape (n, ...), with rows and columns; got {tuple(x.shape)}"
            raise ValueError(msg)
        self.n_rows = int(x.shape[0])
        with without_warnings():
            first = next(self._chunks(1))[0, :]
            total, self.spread = xp.zeros_like(first), xp.zeros_like(first)
            for chunk in self._chunks():
                # Relative to the first row: the mean of equal numbers is exactly that number.
                distance = chunk - first
                total = total + xp.sum(distance, axis=0)
                self.spread = xp.maximum(self.spread, xp.max(xp.abs(distance), axis=0))
            self.mean = first + total / self.n_rows
            n_wrong = int(xp.count_nonzero(~xp.isfinite(self.mean + self.spread)))
        if n_wrong:
            msg = f"`x` must hold finite numbers with a finite sum; got others in {n_wrong} columns"
            raise ValueError(msg)

    def _chunks(self, length: int | None = None) -> Iterator[Any]:
        xp, x = self.xp, self.x
        dtype = widest_floating(x, xp)
        length = length or max(1, _CHUNK // math.prod(x.shape[1:]))
        for start in range(0, self.n_rows, length):
            chunk = xp.astype(x[start : min(start + length, self.n_rows), ...], dtype)
            yield xp.reshape(chunk, (chunk.shape[0], -1))

    def centered(self, unit: Any) -> Iterator[Any]:
        """Yield chunks of rows minus the mean, in a unit."""
        return ((chunk - self.mean) / unit for chunk in self._chunks())
