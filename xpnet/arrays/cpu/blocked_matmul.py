"""How a library multiplies matrices fastest, by the same call for all of them.

OpenBLAS copies both matrices into an order of its own before it multiplies them. Below a million
multiplications it can do without, on processors with AVX-512: it multiplies them as they lie, and
on one thread. So a large product is cut into blocks that are this small. Measured on such a
processor, with OpenBLAS 0.3.31, one thread, float32, in 10^9 operations a second: 1,000 rows by
784 x 50 at once 91, in blocks 100; 100 rows by 784 x 1024 at once 89, in blocks 108, and in blocks
that lie together in memory 112; 4 rows by the latter at once 18, in blocks 89 and 102.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.blas_threads import most_at_once

__all__ = ["affine", "constant", "may_be_shared_out", "times_once", "transposed_times"]

# Up to this width, columns are not cut: the longer rows of blocks are, the better.
_NARROW = 128
# A multiple of what the processor's registers hold, and few enough to leave room for several rows.
_COLUMNS = 64
# The processor takes as many rows at a time; with fewer in a block, it waits for the weights.
_ROWS = 4
# Blocks of a wide matrix that do not lie together in memory are faster up to so many rows.
_FEW_ROWS = 256
# OpenBLAS shares out a vector times 460,800 numbers among threads, and a vector times another one
# of 10,000 (measured with 0.3.31).
_MOST_FOR_A_VECTOR = 450_000
_LONGEST_SUM = 2**12
# Up to so many weights, which stay in the cache, a row takes a quarter less time by columns.
_SMALL = 2**16


def affine(weight: Any, bias: Any, /) -> Callable[[Any], Any]:
    """Return the function ``x -> x @ weight + bias``, in the way that is fastest for the library.

    Parameters
    ----------
    weight : array of shape (n_in, n_out)
        A NumPy array that owns its memory and is read-only may be copied into blocks. Any other
        one is not copied: what is written into it afterwards counts.
    bias : array of shape (n_out,)

    Returns
    -------
    callable
        From arrays of shape (..., n_in) to new arrays of shape (..., n_out).
    """
    if _is_cut(weight):
        return _Blocks(weight, bias, is_constant=_is_constant(weight)).apply

    def apply(x: Any) -> Any:
        y = x @ weight
        y += bias  # in place, where the library can: that saves a pass through memory
        return y

    return apply


def times_once(weight: Any, bias: Any, x: Any, /) -> Any:
    """Return ``x @ weight + bias``, of a weight that is another one each time.

    Parameters
    ----------
    weight : array of shape (n_in, n_out)
    bias : array of shape (n_out,)
    x : array of shape (n, n_in)
    """
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


def transposed_times(x: Any, y: Any, /) -> list[Any]:
    """Return ``x.T @ y`` in parts, which lie one below the other.

    Parameters
    ----------
    x : array of shape (n, n_in)
    y : array of shape (n, n_out)

    Returns
    -------
    list of array
        Of shapes (n_1, n_out), (n_2, n_out) ...; n_1 + n_2 + ... is n_in.
    """
    n_in, n_out = x.shape[1], y.shape[1]
    n_parts = _n_parts(x, x.shape[0] * n_in * n_out, n_out)
    if n_parts == 1:
        return [x.T @ y]
    size = -(-n_in // n_parts)
    size += -size % _ROWS
    return [x[:, i : i + size].T @ y for i in range(0, n_in, size)]


def _n_parts(x: Any, n_multiplications: int, n_out: int) -> int:
    """Return into how many parts a product is cut, so that BLAS multiplies them as they lie.

    Wide ones are not cut: all threads of BLAS share them out.
    """
    most = most_at_once() if type(x) is np.ndarray and n_out <= _NARROW else 0
    return max(-(-n_multiplications // most), 1) if most else 1


def constant(x: Any, /) -> Any:
    """Return an array to multiply with often: of NumPy, a read-only copy in the best order."""
    if not isinstance(x, np.ndarray):
        return x
    x = np.array(x, order="C")
    x.flags.writeable = False
    return x


def may_be_shared_out(weight: Any, /) -> bool:
    """Tell whether BLAS may share out products with a weight, by `affine`, among threads.

    What a thread sums up, and in which order, depends on how many there are.
    """
    if not _is_cut(weight) or not most_at_once() or weight.size > _MOST_FOR_A_VECTOR:
        return True
    n_in, n_out = weight.shape
    return (n_out > _NARROW and not _is_constant(weight)) or (n_out == 1 and n_in > _LONGEST_SUM)


def _is_constant(weight: NDArray[Any]) -> bool:
    return weight.base is None and not weight.flags.writeable


def _is_cut(weight: Any) -> bool:
    """Tell whether BLAS may have a way to multiply blocks of this kind of array, in this order."""
    return (
        type(weight) is np.ndarray
        and weight.dtype.char in "fd"
        and weight.strides[1] == weight.itemsize
        and weight.strides[0] >= weight.shape[1] * weight.itemsize
    )


class _Blocks:
    """A matrix that others are multiplied with in blocks, if BLAS multiplies small ones faster.

    Parameters
    ----------
    weight : array of shape (n_in, n_out)
    bias : array of shape (n_out,), or None
    is_constant : bool
        Whether it may be copied.
    """

    def __init__(
        self, weight: NDArray[Any], bias: NDArray[Any] | None, *, is_constant: bool
    ) -> None:
        self._weight, self._bias, self._is_constant = weight, bias, is_constant
        self._n_in, self._n_out = weight.shape
        self._n_weights = weight.size
        self._width = self._n_out if self._n_out <= _NARROW else _COLUMNS
        self._n_cut = self._n_out // self._width * self._width
        self._turned = weight
        if is_constant and weight.size <= _SMALL:
            self._turned = np.asfortranarray(weight)
        self._columns: NDArray[Any] | None = None
        self._parts: dict[int, list[_Blocks]] = {}

    def apply(self, x: NDArray[Any], /) -> NDArray[Any]:
        """Return x @ weight + bias."""
        n_rows, n_weights = len(x), self._n_weights
        if n_rows * n_weights <= _MOST_FOR_A_VECTOR:
            y = x @ (self._weight if n_rows > 1 else self._turned)
            if self._bias is not None:
                y += self._bias
            return y
        most = most_at_once()
        if x.ndim != 2 or not most or n_rows == 1:
            return self._at_once(x, self._weight)
        if self._n_out == 1:
            most = _MOST_FOR_A_VECTOR
        if n_rows * n_weights <= most:
            return self._at_once(x, self._weight)
        most_rows = most // (self._n_in * self._width)
        if most_rows < min(_ROWS, n_rows):
            return self._in_parts(x, -(-self._n_in * self._width * _ROWS // most))
        if self._n_cut > self._width and n_rows > _FEW_ROWS and not self._is_constant:
            return self._at_once(x, self._weight)
        size = _rows_in_block(n_rows, most_rows)
        n_whole = n_rows // size * size
        y = self._in_blocks(x[:n_whole], size)
        return y if n_whole == n_rows else np.concatenate((y, self.apply(x[n_whole:])))

    def _at_once(self, x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
        return _added(x @ weight, self._bias)

    def _in_parts(self, x: NDArray[Any], n_parts: int) -> NDArray[Any]:
        """Return the sum of shorter products, of which the first one has the bias."""
        length = -(-self._n_in // n_parts)
        starts = range(0, self._n_in, length)
        if n_parts not in self._parts:
            self._parts[n_parts] = [
                _Blocks(
                    self._weight[i : i + length],
                    None if i else self._bias,
                    is_constant=self._is_constant,
                )
                for i in starts
            ]
        y, *others = (
            part.apply(x[:, i : i + length])
            for i, part in zip(starts, self._parts[n_parts], strict=True)
        )
        for other in others:
            y += other
        return y

    def _in_blocks(self, x: NDArray[Any], n_rows: int) -> NDArray[Any]:
        """Return the result in blocks of so many rows; columns may be left over."""
        rows = x.reshape(-1, n_rows, self._n_in)
        if self._width == self._n_out:
            return self._at_once(rows, self._weight).reshape(-1, self._n_out)
        # All rows meet a block of weights before the next one, which is brought from farther away.
        y = (rows @ self._blocks()[:, None]).transpose(1, 2, 0, 3)
        y = y.reshape(*rows.shape[:2], self._n_cut)
        if self._n_cut < self._n_out:
            y = np.concatenate((y, rows @ self._weight[:, self._n_cut :]), axis=2)
        return _added(y.reshape(-1, self._n_out), self._bias)

    def _blocks(self) -> NDArray[Any]:
        """Return the weights in blocks of columns, of shape (n_blocks, n_in, width)."""
        if self._columns is not None:
            return self._columns
        cut = self._weight[:, : self._n_cut].reshape(self._n_in, -1, self._width)
        columns = cut.transpose(1, 0, 2)
        if self._is_constant:
            self._columns = columns = np.ascontiguousarray(columns)
        return columns


def _added(y: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    """Return new numbers with a bias added to them, in place."""
    if bias is not None:
        y += bias
    return y


def _rows_in_block(n_rows: int, most: int) -> int:
    """Return how many rows a block has at most: if possible, such that none are left over."""
    if n_rows <= min(most, _ROWS):
        return n_rows
    most = min(most, n_rows) // _ROWS * _ROWS
    least = most // 2 + 1
    # Multiples of 12 are the fastest ones of widths that are no multiple of 16.
    preferred = [*range(most // 12 * 12, least, -12), *range(most, least, -_ROWS)]
    return next((n for n in preferred if n_rows % n == 0), most)
