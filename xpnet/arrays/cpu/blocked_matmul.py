"""Matrix products in blocks that OpenBLAS multiplies without packing.

OpenBLAS packs both matrices (copies them into its own order) before it multiplies them. On
processors with AVX-512 it multiplies matrices with fewer than a million multiplications without
packing, on one thread. So large products are cut into blocks of that size. Measured on such a
processor, with OpenBLAS 0.3.31, one thread, float32, in GFLOP/s: 1,000 rows by 784 x 50, whole 91,
in blocks 100; 100 rows by 784 x 1024, whole 89, in blocks 108, in blocks contiguous in memory 112;
4 rows by the latter, whole 18, in blocks 89 and 102.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import unpacked_limit

__all__ = ["affine", "affine_once", "constant", "depends_on_threads", "transposed_product"]

# Up to this width columns are not cut: longer rows of a block are faster.
_NARROW = 128
# A multiple of the vector registers' width, small enough to leave room for several rows.
_COLUMNS = 64
# Rows per step of the kernel; with fewer, the processor waits for the weights.
_ROWS = 4
# Up to this number of rows, blocks of a wide matrix are faster without a contiguous copy.
_FEW_ROWS = 256
# OpenBLAS 0.3.31 uses several threads for a vector times a matrix of 460,800 numbers, and for the
# dot product of vectors of 10,000 numbers (measured).
_MOST_FOR_A_VECTOR = 450_000
_LONGEST_SUM = 2**12
# Weights up to this size stay in the cache; in column-major order a row takes a quarter less time.
_SMALL = 2**16


def affine(weight: Any, bias: Any, /) -> Callable[[Any], Any]:
    """Return the function ``x -> x @ weight + bias`` in the fastest form for the library.

    It maps shape (..., n_in) to new arrays of shape (..., n_out). A read-only NumPy `weight` that
    owns its memory may be copied into blocks. Other arrays are not copied, so later changes to
    their values take effect.
    """
    if _can_be_cut(weight):
        return _Blocks(weight, bias, is_constant=_is_constant(weight)).apply

    def apply(x: Any) -> Any:
        y = x @ weight
        y += bias  # in place if the library supports it, which saves a pass through memory
        return y

    return apply


def affine_once(weight: Any, bias: Any, x: Any, /) -> Any:
    """Return ``x @ weight + bias`` for two-dimensional `x` and a weight that is used once."""
    n_rows, n_in = x.shape
    n_parts = _n_parts(x, n_rows * n_in * bias.shape[0], bias.shape[0])
    most = n_rows // n_parts
    size = n_rows if n_parts == 1 or most < _ROWS else _rows_in_block(n_rows, most)
    if size == n_rows:
        y = x @ weight
    else:
        n_whole = n_rows // size * size
        y = (x[:n_whole].reshape(-1, size, n_in) @ weight).reshape(n_whole, -1)
        if n_whole < n_rows:
            y = np.concatenate((y, x[n_whole:] @ weight))
    y += bias
    return y


def transposed_product(x: Any, y: Any, /) -> list[Any]:
    """Return ``x.T @ y`` for `x` of shape (n, n_in) and `y` of shape (n, n_out), in blocks.

    The list's shapes are (n_1, n_out), (n_2, n_out), ...; n_1 + n_2 + ... equals n_in.
    """
    n_in, n_out = x.shape[1], y.shape[1]
    n_parts = _n_parts(x, x.shape[0] * n_in * n_out, n_out)
    if n_parts == 1:
        return [x.T @ y]
    size = -(-n_in // n_parts)
    size += -size % _ROWS
    return [x[:, i : i + size].T @ y for i in range(0, n_in, size)]


def _n_parts(x: Any, n_multiplications: int, n_out: int) -> int:
    """Return the number of parts of a product, each small enough to be multiplied without packing.

    Wide products are not cut, so that BLAS can use all its threads.
    """
    most = unpacked_limit() if type(x) is np.ndarray and n_out <= _NARROW else 0
    return max(-(-n_multiplications // most), 1) if most else 1


def constant(x: Any, /) -> Any:
    """Return a read-only, C-ordered copy of a NumPy array; other arrays unchanged."""
    if not isinstance(x, np.ndarray):
        return x
    x = np.array(x, order="C")
    x.flags.writeable = False
    return x


def depends_on_threads(weight: Any, /) -> bool:
    """Return whether results of `affine` may depend on the number of BLAS threads.

    If BLAS divides a product among threads, the order of its sums depends on their number.
    """
    if not _can_be_cut(weight) or not unpacked_limit() or weight.size > _MOST_FOR_A_VECTOR:
        return True
    n_in, n_out = weight.shape
    return (n_out > _NARROW and not _is_constant(weight)) or (n_out == 1 and n_in > _LONGEST_SUM)


def _is_constant(weight: NDArray[Any]) -> bool:
    return weight.base is None and not weight.flags.writeable


def _can_be_cut(weight: Any) -> bool:
    """Return whether an array has a dtype and memory order that blocks can use."""
    return (
        type(weight) is np.ndarray
        and weight.dtype.char in "fd"
        and weight.strides[1] == weight.itemsize
        and weight.strides[0] >= weight.shape[1] * weight.itemsize
    )


class _Blocks:
    """A weight matrix whose products are computed in blocks, if BLAS multiplies small ones faster.

    The weight may be copied if `is_constant`. Without a bias, `bias` is None.
    """

    def __init__(
        self, weight: NDArray[Any], bias: NDArray[Any] | None, *, is_constant: bool
    ) -> None:
        self._weight, self._bias, self._is_constant = weight, bias, is_constant
        self._n_in, self._n_out = weight.shape
        self._n_weights = weight.size
        self._width = self._n_out if self._n_out <= _NARROW else _COLUMNS
        self._n_cut = self._n_out // self._width * self._width
        self._column_major = weight
        if is_constant and weight.size <= _SMALL:
            self._column_major = np.asfortranarray(weight)
        self._columns: NDArray[Any] | None = None
        self._parts: dict[int, list[_Blocks]] = {}

    def apply(self, x: NDArray[Any], /) -> NDArray[Any]:
        """Return x @ weight + bias."""
        n_rows, n_weights = len(x), self._n_weights
        if n_rows * n_weights <= _MOST_FOR_A_VECTOR:
            return self._plus_bias(x @ (self._weight if n_rows > 1 else self._column_major))
        most = unpacked_limit()
        if x.ndim != 2 or not most or n_rows == 1:
            return self._plus_bias(x @ self._weight)
        if self._n_out == 1:
            most = _MOST_FOR_A_VECTOR
        if n_rows * n_weights <= most:
            return self._plus_bias(x @ self._weight)
        most_rows = most // (self._n_in * self._width)
        if most_rows < min(_ROWS, n_rows):
            return self._in_parts(x, -(-self._n_in * self._width * _ROWS // most))
        if self._n_cut > self._width and n_rows > _FEW_ROWS and not self._is_constant:
            return self._plus_bias(x @ self._weight)
        size = _rows_in_block(n_rows, most_rows)
        n_whole = n_rows // size * size
        y = self._in_blocks(x[:n_whole], size)
        return y if n_whole == n_rows else np.concatenate((y, self.apply(x[n_whole:])))

    def _plus_bias(self, y: NDArray[Any]) -> NDArray[Any]:
        """Add the bias in place, and return the result."""
        if self._bias is not None:
            y += self._bias
        return y

    def _in_parts(self, x: NDArray[Any], n_parts: int) -> NDArray[Any]:
        """Return the sum of shorter products, the first with the bias."""
        length = -(-self._n_in // n_parts)
        starts = range(0, self._n_in, length)
        if n_parts not in self._parts:
            weights = [(self._weight[i : i + length], None if i else self._bias) for i in starts]
            self._parts[n_parts] = [
                _Blocks(*parts, is_constant=self._is_constant) for parts in weights
            ]
        y, *others = (
            part.apply(x[:, i : i + length])
            for i, part in zip(starts, self._parts[n_parts], strict=True)
        )
        for other in others:
            y += other
        return y

    def _in_blocks(self, x: NDArray[Any], n_rows: int) -> NDArray[Any]:
        """Return the result computed in blocks of `n_rows` rows, and of columns if it is wide."""
        rows = x.reshape(-1, n_rows, self._n_in)
        if self._width == self._n_out:
            return self._plus_bias(rows @ self._weight).reshape(-1, self._n_out)
        columns = self._columns  # of shape (n_blocks, n_in, width)
        if columns is None:
            cut = self._weight[:, : self._n_cut].reshape(self._n_in, -1, self._width)
            columns = cut.transpose(1, 0, 2)
            if self._is_constant:
                self._columns = columns = np.ascontiguousarray(columns)
        # All rows are multiplied by one block of weights before the next is read into the cache.
        y = (rows @ columns[:, None]).transpose(1, 2, 0, 3)
        y = y.reshape(*rows.shape[:2], self._n_cut)
        if self._n_cut < self._n_out:
            y = np.concatenate((y, rows @ self._weight[:, self._n_cut :]), axis=2)
        return self._plus_bias(y.reshape(-1, self._n_out))


def _rows_in_block(n_rows: int, most: int) -> int:
    """Return the number of rows of a block, if possible a divisor of `n_rows`."""
    if n_rows <= min(most, _ROWS):
        return n_rows
    most = min(most, n_rows) // _ROWS * _ROWS
    least = most // 2 + 1
    # Multiples of 12 are fastest for widths that are not a multiple of 16.
    preferred = [*range(most // 12 * 12, least, -12), *range(most, least, -_ROWS)]
    return next((n for n in preferred if n_rows % n == 0), most)
