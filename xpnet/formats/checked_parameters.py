"""Validation and conversion of arrays from a file: one floating dtype, finite, native order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_parameters", "check_finite", "check_floating", "n_nonfinite", "widen_bfloat16"]

_FLOATING = ("float16", "float32", "float64")
# Number of values that fit into the caches of a core.
_BLOCK_SIZE = 1 << 16


def as_parameters(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays in the widest of their floating dtypes and in native byte order.

    Integers become floating-point numbers if all values are exact; integers alone, float32. Raise
    TypeError if they are not exact in the dtype, or an array does not hold real numbers.
    """
    check_floating({name: x for name, x in arrays.items() if x.dtype.kind not in "iu"})
    floating = [x.dtype.newbyteorder("=") for x in arrays.values() if x.dtype.kind == "f"]
    dtype = np.result_type(*floating) if floating else np.dtype(np.float32)
    result = {}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            result[name] = array.astype(dtype, order="C", copy=False)
        if array.dtype.kind in "iu" and not _equal_integers(array, result[name]):
            msg = f"{name} must hold integers that are exact in {dtype}; got larger {array.dtype}"
            raise TypeError(msg)
    return result


def _equal_integers(integers: NDArray[Any], floats: NDArray[Any]) -> bool:
    # Smaller integers are exact. Larger ones are compared by Python, which is exact; NumPy would
    # convert both to float64.
    limit = 2 ** (np.finfo(floats.dtype).nmant + 1)
    is_large = (integers > limit) | (integers < -limit)
    large = zip(integers[is_large].tolist(), floats[is_large].tolist(), strict=True)
    return all(a == b for a, b in large)


def check_floating(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise TypeError, with the name of the array, unless all are float16, float32 or float64."""
    for name, array in arrays.items():
        if array.dtype.name not in _FLOATING:
            msg = f"{name} must be float16, float32 or float64; got {array.dtype}"
            raise TypeError(msg)


def check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError, with name and count, if an array holds NaN or infinity."""
    for name, array in arrays.items():
        count = n_nonfinite(array) if array.dtype.kind == "f" else 0
        if count:
            msg = f"{name} must be finite; got {count} values that are infinite or NaN"
            raise ValueError(msg)


def n_nonfinite(array: NDArray[Any]) -> int:
    """Return the number of floating-point values that are infinite or NaN."""
    numbers = array.ravel(order="K")  # copies neither C nor Fortran order
    blocks = (numbers[i : i + _BLOCK_SIZE] for i in range(0, numbers.size, _BLOCK_SIZE))
    return numbers.size - sum(int(np.count_nonzero(np.isfinite(block))) for block in blocks)


def widen_bfloat16(array: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the float32 numbers whose upper halves are given, as bfloat16 in little-endian."""
    return (array.astype("<u4") << 16).view("<f4")
