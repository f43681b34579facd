"""Batch invariance: results whose bits do not depend on the rest of the batch.

A library chooses the algorithm of a matrix product by the number of rows, and OpenBLAS also by the
place of a row: its kernels take 12, 4 or 1 rows, each in its own order of summation, and threads
share the rows. Only a row that is multiplied separately always takes the same instructions.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.inference.batches import default_batch_size
from xpnet.networks.network import Network

__all__ = ["invariant_batches", "rows_at_a_time"]

# NumPy's elementwise loops take up to 16 numbers at a time: multiples of 16 rows leave no remainder
# for other instructions. NumPy also adds the numbers of a single row in another order.
_ROW_GROUP = 16
# A single row would waste nearly all of a GPU.
_ROWS_ON_GPU = 256
# OpenBLAS 0.3.31 divides a dot product of 10,000 numbers, and a product with 460,800 weights, among
# threads; the order of summation then depends on the number of threads.
_MAX_TERMS = 2**12
_MAX_WEIGHTS = 2**18
# Networks with views of the parameters: creating them takes longer than computing one row.
_ROWWISE_NETWORKS: "WeakKeyDictionary[Network, Network]" = WeakKeyDictionary()


def invariant_batches(
    network: Network, finish: Callable[[Network, Any, Any], Any]
) -> tuple[Callable[[Any], Any], int]:
    """Return the function from rows to their results (see `run`), and the rows in a batch.

    Rows are computed with zeros up to a multiple of 16 rows (NumPy), or of a batch.
    """
    size = n_rows = rows_at_a_time(network)
    if network.library == "numpy":
        network, size = _rowwise(network), _ROW_GROUP

    def compute(rows: Any) -> Any:
        n_given, xp = rows.shape[0], array_namespace(rows)
        n_missing = -n_given % size
        if n_missing:
            zeros = xp.zeros((n_missing, network.n_in), dtype=rows.dtype, device=device_of(rows))
            rows = xp.concat((rows, zeros))
        if xp is np:
            rows = np.ascontiguousarray(rows)  # NumPy multiplies other layouts by another loop
        return finish(network, rows, network(rows))[:n_given, ...]

    return compute, n_rows


def rows_at_a_time(network: Network) -> int:
    """Return the number of rows in a batch."""
    if network.library == "numpy":
        # For products of single rows, half of the usual batch is fastest.
        n_groups = default_batch_size(network) // (2 * _ROW_GROUP)
        return max(n_groups, 1) * _ROW_GROUP
    return _ROWS_ON_GPU if network.library == "cupy" else 1


def _rowwise(network: Network) -> Network:
    """Return a NumPy network that multiplies each row of a matrix separately."""
    if network in _ROWWISE_NETWORKS:
        return _ROWWISE_NETWORKS[network]
    rowwise = network.map_arrays(lambda x: x.view(_RowwiseWeight) if x.ndim == 2 else x)
    _ROWWISE_NETWORKS[network] = rowwise
    return rowwise


class _RowwiseWeight(np.ndarray):
    """A weight by which each row is multiplied separately, in products too small for threads."""

    def __rmatmul__(self, rows: Any, /) -> Any:
        weight, rows = self.view(np.ndarray), rows[:, None, :]
        y, *rest = (
            _multiply(rows[..., k : k + _MAX_TERMS], weight[k : k + _MAX_TERMS])
            for k in range(0, weight.shape[0], _MAX_TERMS)
        )
        for part in rest:
            y = y + part
        return y[:, 0, :]


def _multiply(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    n_in, n_out = weight.shape
    n_columns = _MAX_WEIGHTS // n_in
    if n_out <= n_columns:
        return x @ weight
    parts = [x @ weight[:, i : i + n_columns] for i in range(0, n_out, n_columns)]
    return np.concatenate(parts, axis=-1)
