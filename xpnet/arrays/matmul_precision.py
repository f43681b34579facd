"""With how many digits a GPU multiplies matrices of float32: a choice, never an accident."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import numpy as np

from xpnet.arrays.gpu.gpu_errors import DeviceError, Diagnosis
from xpnet.arrays.gpu.gpu_info import attempt, import_cupy

__all__ = ["MatmulPrecision", "compute_type", "is_precision_chosen", "matmul_precision"]

MatmulPrecision = Literal["float32", "tf32"]
# What CuPy calls them in `cupy._core`, and that the variable CUPY_TF32 decides.
_TO_BE_DECIDED, _DEFAULT, _TF32 = 0, 1, 7
_TYPES: dict[MatmulPrecision | None, int] = {
    None: _TO_BE_DECIDED,
    "float32": _DEFAULT,
    "tf32": _TF32,
}

# Of the blocks that are entered and not left, in this order: threads and generators may leave them
# in another one.
_chosen: list[tuple[object, MatmulPrecision]] = []


@contextmanager
def matmul_precision(precision: MatmulPrecision, /) -> Iterator[None]:
    """Choose how a GPU multiplies matrices of float32 inside a ``with`` block.

    Parameters
    ----------
    precision : {"float32", "tf32"}
        "tf32" rounds the factors to 10 bits after the point, which is several times as fast on
        cards of compute capability 8.0 and newer, and leaves some three digits of a product.
        "float32" does not, whatever the variable CUPY_TF32 says, which decides outside of any
        block; `xpnet.Device` refuses a GPU that would multiply in TF32 by that alone.

    Raises
    ------
    ValueError
        If `precision` is neither.
    DeviceError
        If the GPU has no TF32.

    Notes
    -----
    CuPy has one precision for the whole process, so all its threads multiply alike: as the block
    that was entered last and has not been left. On a CPU, and for other dtypes, nothing changes.
    The error bounds of `xpnet.parity` are those of float32, which TF32 exceeds by far: that is how
    they tell.

    Examples
    --------
    >>> with matmul_precision("tf32"):
    ...     is_precision_chosen()
    True
    """
    if precision not in get_args(MatmulPrecision):
        msg = f"`precision` must be float32 or tf32; got {precision!r}"
        raise ValueError(msg)
    choice = object(), precision
    _chosen.append(choice)
    try:
        _tell_cupy()
        yield
    finally:
        _chosen.remove(choice)
        _tell_cupy()


def is_precision_chosen() -> bool:
    """Tell whether somebody has chosen, so that CUPY_TF32 does not count."""
    return bool(_chosen)


def compute_type(x: Any, /) -> str:
    """Return how products of arrays like this one are computed, such as "float32, TF32"."""
    dtype = str(x.dtype).rpartition(".")[2]
    if dtype != "float32" or type(x).__module__.partition(".")[0] != "cupy":
        return dtype
    from cupy._core import get_compute_type

    return f"{dtype}, TF32" if get_compute_type(np.float32) == _TF32 else dtype


def _tell_cupy() -> None:
    """Let CuPy multiply as the last block has it."""
    if isinstance(attempt(import_cupy), Exception):  # `xpnet.Device` tells why
        return
    from cupy._core import set_compute_type
    from cupy.cuda.runtime import CUDARuntimeError

    precision = _chosen[-1][1] if _chosen else None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            set_compute_type(np.float32, _TYPES[precision])
    except CUDARuntimeError:  # no GPU
        return
    if caught:
        what = "the GPU has no TF32, which takes compute capability 8.0"
        raise DeviceError(Diagnosis("no-tf32", what, "leave --precision tf32 out"))
