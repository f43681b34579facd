"""Choice of float32 or TF32 for matrix products on a GPU."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import numpy as np

from xpnet.arrays.device_errors import DeviceError, Diagnosis
from xpnet.arrays.gpu.gpu_facts import import_cupy, result_or_error
from xpnet.arrays.namespace import dtype_name

__all__ = ["MatmulPrecision", "compute_type", "is_precision_chosen", "matmul_precision"]

MatmulPrecision = Literal["float32", "tf32"]
# The values of CuPy's compute types in `cupy._core`; CUPY_TF32 applies to the first.
_TYPES: dict[MatmulPrecision | None, int] = {None: 0, "float32": 1, "tf32": 7}

# The open blocks in order of entry; threads and generators may exit them in a different order.
_chosen: list[tuple[object, MatmulPrecision]] = []


@contextmanager
def matmul_precision(precision: MatmulPrecision, /) -> Iterator[None]:
    """Choose the precision of float32 matrix products on a GPU inside a ``with`` block.

    CuPy has one precision for the whole process: the most recently entered open block applies to
    all threads. CPUs and other dtypes are not affected. The error bounds of `xpnet.parity` are for
    float32; TF32 exceeds them by far, so they detect it.

    Parameters
    ----------
    precision : {"float32", "tf32"}
        "tf32" rounds the factors to 10 bits after the point, which is several times as fast on
        cards of compute capability 8.0 and newer, and leaves about three correct digits.
        "float32" keeps all bits, for any value of the variable CUPY_TF32. The variable applies
        outside of all blocks; `xpnet.Device` rejects a GPU that would use TF32 only because of it.

    Raises
    ------
    ValueError
        If `precision` is not one of these.
    DeviceError
        If the GPU does not support TF32.

    Examples
    --------
    >>> import xpnet
    >>> network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    >>> with matmul_precision("tf32"):  # no effect on a CPU
    ...     xpnet.predict(network, images[:3])
    array([0, 1, 2])
    """
    if precision not in get_args(MatmulPrecision):
        msg = f"`precision` must be float32 or tf32; got {precision!r}"
        raise ValueError(msg)
    choice = object(), precision
    _chosen.append(choice)
    try:
        _apply_to_cupy()
        yield
    finally:
        _chosen.remove(choice)
        _apply_to_cupy()


def is_precision_chosen() -> bool:
    """Return whether a block is open, so that CUPY_TF32 has no effect."""
    return bool(_chosen)


def compute_type(x: Any, /) -> str:
    """Return the precision of products of arrays like `x`, such as "float32, TF32"."""
    dtype = dtype_name(x.dtype)
    if dtype != "float32" or type(x).__module__.partition(".")[0] != "cupy":
        return dtype
    from cupy._core import get_compute_type

    return f"{dtype}, TF32" if get_compute_type(np.float32) == _TYPES["tf32"] else dtype


def _apply_to_cupy() -> None:
    """Set CuPy's precision to that of the most recently entered open block."""
    if isinstance(result_or_error(import_cupy), Exception):  # `xpnet.Device` reports the cause
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
        what = "the GPU has no TF32, which needs compute capability 8.0"
        raise DeviceError(Diagnosis("no-tf32", what, "omit --precision tf32"))
