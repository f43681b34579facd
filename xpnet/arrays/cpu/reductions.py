"""Speed of NumPy's reductions along the rows of an array."""

from typing import Any

import numpy as np

__all__ = ["has_slow_rows"]


def has_slow_rows(x: Any, xp: Any, axis: int) -> bool:
    """Return whether a reduction along `axis` is faster over the columns of a transposed copy.

    NumPy reduces rows one by one, which takes several times as long below about 64 columns.
    """
    return xp is np and x.ndim > 1 and axis in (-1, x.ndim - 1) and x.shape[-1] < 64
