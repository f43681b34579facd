"""Dependence of a row's outputs on the batch size and on its place in the batch."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import index
from typing import Any

import numpy as np

from xpnet.arrays.namespace import array_namespace, current_device
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batch_invariance import invariant_batches
from xpnet.inference.batches import as_rows, on_network_device
from xpnet.networks.execution import forward
from xpnet.networks.network import Network

__all__ = ["BatchSensitivity", "Movement", "batch_sensitivity"]

_MAX_SIZE = 1000
_MAX_PLACES = 256


@dataclass(frozen=True)
class Movement:
    """Differences between several computations of one row's outputs."""

    computations: int  # number of computations
    results: int  # number of results that differ bitwise
    largest_difference: float  # absolute, from the first result; 0 if all are the same
    largest_ulp: float  # the same in units in the last place of the first result


@dataclass(frozen=True)
class BatchSensitivity:
    """Dependence of the first row's outputs on the batch size and on its place.

    Attributes
    ----------
    sizes, places : Movement
        With the number of rows; and with the row's place among `n_in_tile` rows.
    invariant_sizes, invariant_places : Movement
        The same with ``batch_invariant=True``.
    n_in_tile : int
        Number of rows while the place changed.
    """

    sizes: Movement
    places: Movement
    invariant_sizes: Movement
    invariant_places: Movement
    n_in_tile: int

    @property
    def is_invariant(self) -> bool:
        """True if all computations with ``batch_invariant=True`` gave the same bits."""
        return self.invariant_sizes.results == self.invariant_places.results == 1

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain numbers by name."""
        return {**asdict(self), "is_invariant": self.is_invariant}


def batch_sensitivity(
    network: Network, images: Any, /, *, sizes: Sequence[int] | None = None
) -> BatchSensitivity:
    """Measure how the first image's outputs depend on the rest of its batch.

    Parameters
    ----------
    network : Network
    images : array of shape (n, n_in), (n, height, width) ...
        The first image is measured, the others fill its batches; at least one.
    sizes : sequence of int, optional
        Batch sizes, each from 1 to n; by default all up to 1,000.

    Returns
    -------
    BatchSensitivity

    Raises
    ------
    TypeError, ValueError
        As `xpnet.predict`; and if there is no image, or a size is not from 1 to n.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> batch_sensitivity(xpnet.load("sample"), images, sizes=[1, 7, 100]).is_invariant
    True
    """
    rows = on_network_device(network, as_rows(images, network.n_in))
    n_rows = rows.shape[0]
    if n_rows == 0:
        msg = "`images` must hold at least one image; got none"
        raise ValueError(msg)
    sizes = range(1, min(n_rows, _MAX_SIZE) + 1) if sizes is None else list(map(index, sizes))
    wrong = [size for size in sizes if not 1 <= size <= n_rows]
    if wrong or not sizes:
        found = wrong[0] if wrong else "none"
        msg = f"`sizes` must be from 1 to {n_rows}, the number of images; got {found}"
        raise ValueError(msg)
    with current_device(rows):
        compute, n_at_a_time = invariant_batches(network, lambda _network, _rows, y: y)

        def invariant(rows: Any) -> Any:
            """Return the outputs as with ``batch_invariant=True``."""
            starts = range(0, rows.shape[0], n_at_a_time)
            parts = [compute(rows[start : start + n_at_a_time, :]) for start in starts]
            return array_namespace(*parts).concat(parts)

        n_in_tile = min(n_rows, _MAX_PLACES)
        tile, places = rows[:n_in_tile, :], range(n_in_tile)
        return BatchSensitivity(
            _movement(forward(network, rows[:size, :])[0, :] for size in sizes),
            _movement(forward(network, _with_first_at(tile, i))[i, :] for i in places),
            _movement(invariant(rows[:size, :])[0, :] for size in sizes),
            _movement(invariant(_with_first_at(tile, i))[i, :] for i in places),
            n_in_tile,
        )


def _with_first_at(rows: Any, place: int) -> Any:
    """Return the rows with the first one moved to another place."""
    return array_namespace(rows).concat((rows[1 : place + 1, :], rows[:1, :], rows[place + 1 :, :]))


def _movement(outputs: Iterable[Any]) -> Movement:
    """Return the differences between computations; those of finite numbers are measured."""
    results = [to_numpy(y) for y in outputs]
    distinct = {y.tobytes(): y for y in results}
    y, first = np.stack(list(distinct.values())).astype(np.float64), results[0].astype(np.float64)
    is_finite = np.isfinite(first) & np.isfinite(y)
    difference = np.abs(np.where(is_finite, y, 0.0) - np.where(is_finite, first, 0.0))
    in_ulp = difference / np.where(is_finite, np.spacing(np.abs(results[0])), 1.0)
    return Movement(len(results), len(distinct), float(np.max(difference)), float(np.max(in_ulp)))
