"""Matrix products, in blocks where OpenBLAS multiplies blocks faster.

OpenBLAS packs both matrices (copies them into its own order) before it multiplies them. With its
kernels for AVX-512, it multiplies matrices with up to a million multiplications without packing.
Where that pays (see `processors.rows_in_blocks`), weights that do not change are kept in blocks of
columns, and rows are multiplied by one block at a time.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import openblas_kernel
from xpnet.arrays.cpu.processors import rows_in_blocks
from xpnet.arrays.frozen import is_frozen

__all__ = ["FrozenAffine", "affine", "rows_on_one_thread"]

# Largest number of multiplications without packing.
_UNPACKED = 1_000_000
# Bytes in a row of a block (of a wide matrix), rows that a block should leave room for, and rows
# per step of the kernel.
_BLOCK_BYTES = 256
_LEAST_ROWS = 8
_STEP = 4
# Weights up to this size stay in the cache. If they have this many times more rows than columns,
# products of up to this many multiplications are faster in column-major order. On a Zen 4, one row
# takes 1.9 microseconds instead of 2.9 for 784 x 50, and 12 rows 1.0 instead of 1.3 for 300 x 10.
_SMALL, _TALL, _FEW_WORK = 2**16, 4, 2**18
# A matrix of equal rows is added to some number of narrow rows in half of the time of a row.
_NARROW, _FEWEST_ADDED, _MOST_ADDED = 2**8, 24, 2**10
# Larger weights have to be read from memory for each group of rows, and columns of zeros have to be
# multiplied: both pay for few rows only. Copies of the largest weights need too much memory.
_LARGE, _LARGEST = 2**21, 2**24
_MOST_PADDING = 1.07
_FEW_ROWS = 12
# These kernels of OpenBLAS 0.3.31 multiply on one thread up to these sizes (measured): a product, a
# vector times a matrix, and the dot product of two vectors.
_KERNELS = {"Haswell", "Sandybridge", "SkylakeX"}
_ONE_THREAD_PRODUCT = 2**18
_ONE_THREAD_VECTOR = 450_000
_ONE_THREAD_SUM = 2**12


def affine(weight: Any, bias: Any, /) -> Callable[[Any], Any]:
    """Return the function ``x -> x @ weight + bias`` in the fastest form for the library.

    It maps shape (n, n_in) to new arrays of shape (n, n_out). A NumPy `weight` that cannot change
    (see `xpnet.arrays.frozen`) may be copied. Other arrays are not, so later changes to their
    values take effect.
    """
    if is_frozen(weight) and _is_usual(weight):
        return FrozenAffine(weight, bias)

    def apply(x: Any) -> Any:
        y = x @ weight
        y += bias  # in place if the library supports it, which saves a pass through memory
        return y

    return apply


class FrozenAffine:
    """The function ``x -> x @ weight + bias`` for a frozen weight.

    The search for BLAS, and copies of the weight, wait until they are needed.
    """

    def __init__(self, weight: NDArray[Any], bias: NDArray[Any]) -> None:
        # A row is added to one row in a third of the time of a vector.
        self._weight, self._bias = weight, bias.reshape(1, -1)
        is_tall = weight.size <= _SMALL and len(weight) >= _TALL * weight.shape[1]
        self._few = max(_FEW_WORK // weight.size, 1) if is_tall else 0

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return ``x @ weight + bias``, a new array."""
        weight, multiply, bias = self.operands(len(x))
        y = x.dot(weight) if multiply is None else multiply(x)
        y += bias
        return y

    def operands(
        self, n_rows: int
    ) -> tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]] | None, NDArray[Any]]:
        """Return a matrix by which so many rows are multiplied, or a function that does; a bias."""
        bias = self._bias
        if bias.size <= _NARROW and _FEWEST_ADDED < n_rows <= _MOST_ADDED:
            bias = self._equal_rows[:n_rows]
        if n_rows <= self._few:
            return self._in_columns, None, bias
        fewest = max(_UNPACKED // self._weight.size, 1) + 1
        is_in_blocks = fewest <= n_rows <= self._most_in_blocks
        return self._weight, self._in_blocks if is_in_blocks else None, bias

    @functools.cached_property
    def _equal_rows(self) -> NDArray[Any]:
        return np.repeat(self._bias, _MOST_ADDED, axis=0)

    @functools.cached_property
    def _in_columns(self) -> NDArray[Any]:
        return np.asfortranarray(self._weight)

    @functools.cached_property
    def _most_in_blocks(self) -> int:
        """Number of rows up to which products in blocks are faster."""
        weight, (n_blocks, width) = self._weight, _shape_of_blocks(self._weight)
        if _LEAST_ROWS * len(weight) * width > _UNPACKED or weight.size > _LARGEST:
            return 0
        most, n_out = rows_in_blocks(), weight.shape[1]
        is_costly = weight.size > _LARGE or n_blocks * width > _MOST_PADDING * n_out
        return min(most, _FEW_ROWS) if is_costly else most

    @functools.cached_property
    def _in_blocks(self) -> Callable[[Any], Any]:
        return _in_blocks(self._weight)


def _shape_of_blocks(weight: NDArray[Any]) -> tuple[int, int]:
    """Return the number of blocks and their width: whole registers, unless there is one block."""
    n_in, n_out = weight.shape
    width = _BLOCK_BYTES // weight.itemsize
    if _LEAST_ROWS * n_in * width > _UNPACKED:
        width //= 2
    return (-(-n_out // width), width) if n_out >= 2 * width else (1, n_out)


def _in_blocks(weight: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return ``x -> x @ weight``, in blocks of rows and columns that the cache holds."""
    n_in, n_out = weight.shape
    n_blocks, width = _shape_of_blocks(weight)
    size = _UNPACKED // (n_in * width) // _STEP * _STEP
    padded = np.zeros((n_in, n_blocks * width), weight.dtype)
    padded[:, :n_out] = weight
    blocks = np.ascontiguousarray(padded.reshape(n_in, n_blocks, width).transpose(1, 0, 2))

    def multiply(x: NDArray[Any]) -> NDArray[Any]:
        n_rows = len(x)
        y = np.empty((n_rows, n_blocks, width), weight.dtype)
        n_cut = n_rows // size * size
        if n_cut:
            rows = x[:n_cut].reshape(-1, 1, size, n_in)
            results = y[:n_cut].reshape(-1, size, n_blocks, width).transpose(0, 2, 1, 3)
            np.matmul(rows, blocks, out=results)
        if n_cut < n_rows:
            np.matmul(x[n_cut:], blocks, out=y[n_cut:].transpose(1, 0, 2))
        return y.reshape(n_rows, -1)[:, :n_out]

    return multiply


def rows_on_one_thread(weight: Any, /) -> int:
    """Return the most rows for which BLAS uses one thread to multiply them by a weight.

    If it divides a product among threads, the order of its sums depends on their number.
    """
    if type(weight) is not np.ndarray or not _is_usual(weight) or openblas_kernel() not in _KERNELS:
        return 0
    n_in, n_out = weight.shape
    if weight.size > _ONE_THREAD_VECTOR or (n_out == 1 and n_in > _ONE_THREAD_SUM):
        return 0
    if n_out == 1:
        return _ONE_THREAD_VECTOR // weight.size
    return max(_ONE_THREAD_PRODUCT // weight.size, 1)


def _is_usual(weight: NDArray[Any]) -> bool:
    return weight.dtype.char in "fd" and weight.dtype.isnative
