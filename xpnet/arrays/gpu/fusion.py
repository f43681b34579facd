"""Several steps in one kernel of a GPU, traced from the one source.

Each array operation reads all its numbers from the GPU's memory and writes them back. CuPy can run
a function of array operations once on stand-ins that write down what is done, and make one kernel
of it: a sigmoid with its bias is then one pass through memory in place of nine.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["with_bias", "without_fusion"]

_is_on = True


def with_bias(
    activate: Callable[[Any, Any], Any], bias: Any, xp: Any
) -> Callable[[Any, Any], Any] | None:
    """Return ``(y, xp) -> activate(y + bias, xp)`` as one kernel, where the library can.

    Parameters
    ----------
    activate : callable
        Elementwise, of functions of `xp` alone.
    bias : array of shape (n_out,)
    xp : namespace

    Returns
    -------
    callable or None
        None where the library has no way, or not for this dtype.
    """
    # CuPy 14.0 does not trace bfloat16 (cupy#9630).
    if not _is_on or xp.__name__ != "array_api_compat.cupy" or bias.dtype.name == "bfloat16":
        return None
    import cupy

    def add_and_activate(y: Any, bias: Any) -> Any:
        return activate(y + bias, xp)

    fused = cupy.fuse(add_and_activate)
    return lambda y, _: fused(y, bias)


@contextmanager
def without_fusion() -> Iterator[None]:
    """Let networks that are first used inside a ``with`` block compute step by step."""
    global _is_on  # noqa: PLW0603 (to measure and to test what it changes)
    outer, _is_on = _is_on, False
    try:
        yield
    finally:
        _is_on = outer
