"""Fusion of bias and activation into one GPU kernel.

Each array operation reads its operands from GPU memory and writes its result back. CuPy can trace a
function of array operations and compile it to one kernel: a sigmoid with its bias is then one pass
through memory instead of nine.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["with_bias"]


def with_bias(
    activate: Callable[[Any, Any], Any], bias: Any, xp: Any
) -> Callable[[Any, Any], Any] | None:
    """Return ``(y, xp) -> activate(y + bias, xp)`` as one kernel.

    Return None if the library or the dtype does not support it. `activate` is an elementwise
    function that calls functions of `xp` only; `bias` has shape (n_out,).
    """
    # CuPy 14.0 does not trace bfloat16 (cupy#9630).
    if xp.__name__ != "array_api_compat.cupy" or bias.dtype.name == "bfloat16":
        return None
    import cupy

    def add_and_activate(y: Any, bias: Any) -> Any:
        return activate(y + bias, xp)

    fused = cupy.fuse(add_and_activate)
    return lambda y, _: fused(y, bias)
