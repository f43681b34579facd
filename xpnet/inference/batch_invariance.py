"""Results that are the same bits whatever is computed with them: batch invariance.

A library picks another way through a matrix product for another number of rows, and OpenBLAS even
for another place among them: its kernels take 12, 4 or 1 rows at a time, each with an order of
summation of its own, and threads share the rows out. Only a row that is multiplied alone meets
the same instructions every time.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.inference.batches import default_batch_size
from xpnet.networks.network import Network, forward
from xpnet.networks.preprocessing import Whiten

__all__ = ["rows_at_a_time", "tiled"]

# NumPy's elementwise loops take up to 16 numbers at a time: whole groups of 16 rows leave no rest
# over for other instructions. Also, NumPy adds along a lone row in another order than along many.
_ROWS_TOGETHER = 16
# A row alone would waste nearly all of a GPU.
_ROWS_ON_GPU = 256
# OpenBLAS shares out a dot product of 10,000 numbers, and a product with 460,800 weights (measured
# with 0.3.31), among threads; and what a thread sums up depends on how many there are.
_LONGEST_SUM = 2**12
_MOST_WEIGHTS = 2**18
# Views of the parameters of networks that are in use: to make them takes longer than one row.
_ALONE: "WeakKeyDictionary[Network, Network]" = WeakKeyDictionary()


def tiled(
    network: Network, finish: Callable[[Network, Any, Any], Any], batch_size: int | None
) -> tuple[Callable[[Any], Any], int]:
    """Return what `finish` makes of rows and their outputs in tiles, and how many rows it takes.

    Parameters
    ----------
    network : Network
    finish : callable
        From the network, rows and their outputs to a result with a row for each of them.
    batch_size : None
        The tiles choose it.

    Raises
    ------
    ValueError
        If `batch_size` is given.
    """
    if batch_size is not None:
        msg = (
            "`batch_size` must be left out with batch_invariant=True, which chooses it;"
            f" got {batch_size}"
        )
        raise ValueError(msg)
    n_rows = rows_at_a_time(network)
    if network.library == "numpy":
        alone = _with_single_rows(network)
        return lambda rows: _padded(alone, finish, rows, _ROWS_TOGETHER), n_rows
    return lambda rows: _padded(network, finish, rows, n_rows), n_rows


def rows_at_a_time(network: Network) -> int:
    """Return how many rows are computed at a time."""
    if network.library == "numpy":
        # A quarter of what suits whole products is fastest for those of single rows.
        n_tiles = default_batch_size(network) // (4 * _ROWS_TOGETHER)
        return max(n_tiles, 1) * _ROWS_TOGETHER
    return _ROWS_ON_GPU if network.library == "cupy" else 1


def _padded(
    network: Network, finish: Callable[[Network, Any, Any], Any], rows: Any, size: int
) -> Any:
    """Return the results of rows, filled up with zeros to a multiple of `size`."""
    n_rows, xp = rows.shape[0], array_namespace(rows)
    n_missing = -n_rows % size
    if n_missing:
        zeros = xp.zeros((n_missing, network.n_in), dtype=rows.dtype, device=device_of(rows))
        rows = xp.concat((rows, zeros))
    if xp is np:
        rows = np.ascontiguousarray(rows)  # of another layout, NumPy multiplies by another loop
    return finish(network, rows, forward(network, rows))[:n_rows, ...]


def _with_single_rows(network: Network) -> Network:
    """Return a NumPy network that multiplies each row of a matrix alone."""
    if network in _ALONE:
        return _ALONE[network]
    layers = (replace(layer, weight=layer.weight.view(_Alone)) for layer in network.layers)
    steps = (
        replace(step, matrix=step.matrix.view(_Alone)) if isinstance(step, Whiten) else step
        for step in network.preprocessing
    )
    _ALONE[network] = alone = replace(network, layers=tuple(layers), preprocessing=tuple(steps))
    return alone


class _Alone(np.ndarray):
    """A weight by which each row is multiplied alone, by products too small to be shared out."""

    def __rmatmul__(self, rows: Any, /) -> Any:
        weight, alone = self.view(np.ndarray), rows[:, None, :]
        n_in = weight.shape[0]
        y, *rest = (
            _product(alone[..., k : k + _LONGEST_SUM], weight[k : k + _LONGEST_SUM])
            for k in range(0, n_in, _LONGEST_SUM)
        )
        for part in rest:
            y = y + part
        return y[:, 0, :]


def _product(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    n_in, n_out = weight.shape
    n_columns = _MOST_WEIGHTS // n_in
    if n_out <= n_columns:
        return x @ weight
    parts = [x @ weight[:, i : i + n_columns] for i in range(0, n_out, n_columns)]
    return np.concatenate(parts, axis=-1)
