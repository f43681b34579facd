"""Checks of the parameters of a file, and conversion of bfloat16."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_parameters", "widen_bfloat16"]


def check_parameters(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that arrays are finite numbers of a floating-point dtype of NumPy.

    Raise TypeError or ValueError, with the name of the array.
    """
    for name, x in arrays.items():
        if x.dtype.name not in {"float16", "float32", "float64"}:
            msg = f"{name} must be float16, float32 or float64; got {x.dtype}"
            raise TypeError(msg)
        if not np.isfinite(x).all():
            msg = f"{name} must be finite; got NaN or infinity"
            raise ValueError(msg)


def widen_bfloat16(array: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the float32 numbers whose upper halves are given, as bfloat16 in little-endian."""
    return (array.astype("<u4") << 16).view("<f4")
