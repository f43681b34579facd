"""Inputs of any number of axes as rows: their checks, and the shape of the results."""

import math
from collections.abc import Callable
from typing import Any

from xpnet.arrays.namespace import array_namespace, as_array, current_device, is_real

__all__ = ["over_rows"]

_COMPAT = "array_api_compat."  # before the name of a wrapped library


def over_rows(compute: Callable[[Any, Any], Any], x: Any, weight: Any) -> Any:
    """Return ``compute(rows, xp)`` for the rows of `x`, in the shape (..., n_out).

    Raise TypeError or ValueError unless `x` fits the first `weight`; see `xpnet.forward`.
    """
    x = as_array(x)
    try:
        xp = array_namespace(x, weight)
    except TypeError as error:
        given, own = (array_namespace(y).__name__.removeprefix(_COMPAT) for y in (x, weight))
        remedy = f"give {own}.asarray(x), or use network.map_arrays({given}.asarray)"
        msg = f"{error}; {remedy}"
        raise TypeError(msg) from error
    if not is_real(x, xp):
        msg = f"`x` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    n_in = int(weight.shape[0])
    if x.ndim == 0 or x.shape[-1] != n_in:
        msg = f"`x` must have the shape (..., {n_in}); got {tuple(x.shape)}{_remedy(x, n_in)}"
        raise ValueError(msg)
    with current_device(x):
        if x.ndim == 2:
            return compute(x, xp)
        # NumPy multiplies more dimensions matrix by matrix, and CuPy float16 in float32.
        y = compute(xp.reshape(x, (-1, n_in)), xp)
        return xp.reshape(y, (*x.shape[:-1], y.shape[-1]))


def _remedy(x: Any, n_in: int) -> str:
    """Return a hint if the last axes of `x`, such as height and width, together hold a row."""
    shape = tuple(x.shape)
    for n_axes in range(len(shape), -1, -1):
        if math.prod(shape[n_axes:]) == n_in:
            return f". Reshape it to {(*shape[:n_axes], n_in)}"
    return ""
