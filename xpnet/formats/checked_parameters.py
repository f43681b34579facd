"""Arrays out of a file as parameters of a network: of one floating dtype, finite, native."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_parameters", "check_finite", "check_floating", "count_nonfinite"]

_FLOATING = ("float16", "float32", "float64")
# Numbers that a core's caches hold while they are looked at.
_BLOCK = 1 << 17


def as_parameters(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays in the widest of their floating dtypes and the byte order of this machine.

    Whole numbers become floating ones if none of them changes; of nothing but whole numbers,
    float32.

    Raises
    ------
    TypeError
        If an array does not hold real numbers, or whole ones that the dtype has not.
    """
    check_floating({name: x for name, x in arrays.items() if x.dtype.kind not in "iu"})
    floating = [x.dtype.newbyteorder("=") for x in arrays.values() if x.dtype.kind == "f"]
    dtype = np.result_type(*floating) if floating else np.dtype(np.float32)
    return {name: _converted(name, array, dtype) for name, array in arrays.items()}


def _converted(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        result = array.astype(dtype, order="C", copy=False)
    if array.dtype.kind in "iu" and not _same_whole_numbers(array, result):
        msg = f"{name} must hold numbers that {dtype} has; got larger ones, of {array.dtype}"
        raise TypeError(msg)
    return result


def _same_whole_numbers(array: NDArray[Any], result: NDArray[Any]) -> bool:
    # Up to here the dtype has them all. Of the others, Python's comparison is exact; NumPy would
    # convert both to float64.
    limit = 2 ** (np.finfo(result.dtype).nmant + 1)
    is_large = (array > limit) | (array < -limit)
    large = zip(array[is_large].tolist(), result[is_large].tolist(), strict=True)
    return all(a == b for a, b in large)


def check_floating(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays of dtypes that no network computes in on the host.

    Raises
    ------
    TypeError
        If one is neither float16, float32 nor float64; it names the array.
    """
    for name, array in arrays.items():
        if array.dtype.name not in _FLOATING:
            msg = f"{name} must be float16, float32 or float64; got {array.dtype}"
            raise TypeError(msg)


def check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse NaN and infinities, which no network should have; other dtypes have none.

    Raises
    ------
    ValueError
        If an array holds one; it names the array and says how many.
    """
    for name, array in arrays.items():
        n_wrong = count_nonfinite(array) if array.dtype.kind == "f" else 0
        if n_wrong:
            msg = f"{name} must be finite; got {n_wrong} values that are infinite or NaN"
            raise ValueError(msg)


def count_nonfinite(array: NDArray[Any]) -> int:
    """Return how many floating numbers are infinite or NaN."""
    return sum(map(_count_in_block, _blocks(array)))


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    numbers = array.ravel(order="K")  # which copies neither rows nor columns
    for start in range(0, numbers.size, _BLOCK):
        yield numbers[start : start + _BLOCK]


def _count_in_block(block: NDArray[Any]) -> int:
    # A sum of squares is finite only if all are, and is taken in one pass over the memory. It
    # may overflow, too: then they are looked at one by one. float16 has no fast product.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if block.dtype.itemsize > 2 and np.isfinite(np.dot(block, block)):
            return 0
    return block.size - int(np.count_nonzero(np.isfinite(block)))
