"""Matrix products, in blocks where OpenBLAS multiplies blocks faster.

OpenBLAS packs both matrices (copies them into its own order) before it multiplies them. With its
kernels for AVX-512, it multiplies matrices with up to a million multiplications without packing.
Where that pays (see `processors.cuts`), weights that do not change are kept in blocks of columns,
and rows are multiplied by one block at a time.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import openblas_kernel
from xpnet.arrays.cpu.processors import cuts

__all__ = ["affine", "constant", "is_constant", "rows_on_one_thread"]

# Largest number of multiplications without packing.
_UNPACKED = 1_000_000
# Bytes in a row of a block (of a wide matrix), rows that a block should leave room for, and rows
# per step of the kernel.
_BLOCK_BYTES = 256
_LEAST_ROWS = 8
_STEP = 4
# Weights up to this size stay in the cache; in column-major order a row takes a quarter less time.
_SMALL = 2**16
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
    (see `constant`) may be copied. Other arrays are not, so later changes to their values take
    effect.
    """
    if not (is_constant(weight) and _is_usual(weight)):

        def multiply(x: Any) -> Any:
            y = x @ weight
            y += bias  # in place if the library supports it, which saves a pass through memory
            return y

        return multiply
    for_one_row = np.asfortranarray(weight) if weight.size <= _SMALL else weight
    fewest = _UNPACKED // weight.size + 1
    # The search for BLAS, and a copy in blocks, wait until they are needed.
    most = functools.cache(lambda: _most_rows(weight))
    in_blocks = functools.cache(lambda: _in_blocks(weight))

    def apply(x: Any) -> Any:
        n_rows = len(x)
        if n_rows == 1:
            y = x.dot(for_one_row)  # faster than @ for few rows
        elif fewest <= n_rows <= most():
            y = in_blocks()(x)
        else:
            y = x.dot(weight)
        y += bias
        return y

    return apply


def _most_rows(weight: NDArray[Any]) -> int:
    """Return the number of rows up to which products in blocks are faster."""
    n_blocks, width = _shape_of_blocks(weight)
    if _LEAST_ROWS * len(weight) * width > _UNPACKED or weight.size > _LARGEST:
        return 0
    most, n_out = cuts().block_rows, weight.shape[1]
    is_costly = weight.size > _LARGE or n_blocks * width > _MOST_PADDING * n_out
    return min(most, _FEW_ROWS) if is_costly else most


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


def constant(x: Any, /) -> Any:
    """Return a read-only, C-ordered copy of a NumPy array; other arrays unchanged."""
    if not isinstance(x, np.ndarray):
        return x
    x = np.array(x, order="C")
    x.flags.writeable = False
    return x


def is_constant(x: Any, /) -> bool:
    """Return whether an array is a read-only NumPy array that owns its memory."""
    return type(x) is np.ndarray and x.base is None and not x.flags.writeable


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
