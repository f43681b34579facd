"""NumPy arrays that do not change, so that what is made of them once stays right.

A frozen array is read-only, owns its memory and is in C order. Arrays of other libraries, and of
NumPy's subclasses, cannot be frozen: their values may change, or are in a file.
"""

from typing import Any

import numpy as np

__all__ = ["freeze", "frozen", "is_frozen", "loaded", "writable"]


def frozen(x: Any, /) -> Any:
    """Return a frozen copy of a NumPy array, or itself if it is frozen; others unchanged."""
    if type(x) is not np.ndarray or is_frozen(x):
        return x
    return freeze(np.array(x, order="C"))


def freeze(x: Any, /) -> Any:
    """Freeze a new array, which nobody else holds, without a copy; return it."""
    if type(x) is np.ndarray:
        x.flags.writeable = False
    return x


def is_frozen(x: Any, /) -> bool:
    """Return whether an array is frozen."""
    is_plain = type(x) is np.ndarray and x.base is None
    return is_plain and x.flags.c_contiguous and not x.flags.writeable


def loaded(x: Any, /) -> Any:
    """Return a frozen copy of a read-only memory map, in memory; others unchanged."""
    is_map = isinstance(x, np.memmap) and x.mode == "r"
    return freeze(np.array(x, order="C", subok=False)) if is_map else x


def writable(x: Any, /) -> Any:
    """Return a writable copy of a read-only NumPy array; others unchanged."""
    return x.copy() if isinstance(x, np.ndarray) and not x.flags.writeable else x
