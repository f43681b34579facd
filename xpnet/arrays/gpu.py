"""Opening of an NVIDIA GPU by CuPy.

The frequent causes of an unusable GPU have a sentence and a fix of their own. For all others,
CuPy's own error is given; docs/how-to/gpu-not-found.md explains them.
"""

import contextlib
import io
import os
import warnings
from functools import cache
from typing import Any

from xpnet.arrays.device_errors import DeviceError, one_line

__all__ = ["cause_of", "cupy_config", "is_from_cupy", "open_gpu"]

# By the names of CuPy's errors: cuBLAS's can be imported only where it is installed.
_NO_DEVICE = ("CUDARuntimeError", 100)
_OUT_OF_MEMORY = {("CUDARuntimeError", 2), ("CUDADriverError", 2), ("CUBLASError", 3)}


def open_gpu(index: int) -> Any:
    """Return CuPy's device of a GPU, which becomes the current one; raise DeviceError if unusable.

    The first time in a process, a product is compared with the host's. The first time on a machine,
    this takes seconds, to compile.
    """
    try:
        import cupy

        error = _cause_in_driver(cupy.cuda.runtime, index)
        if error is None:
            _check_product(index)
            device = cupy.cuda.Device(index)
            device.use()
            return device
    except Exception as caught:
        raise cause_of(caught, index) from caught
    raise error


def _cause_in_driver(runtime: Any, index: int) -> DeviceError | None:
    """Return the error for a cause that is known before the GPU is opened."""
    if (tf32 := os.environ.get("CUPY_TF32", "0")) != "0":
        message = f"CUPY_TF32={one_line(tf32)} would round the factors of products to 10 bits"
        return DeviceError("tf32", message, "unset CUPY_TF32")
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:  # CuPy would report "driver version is insufficient"
        fix = "install one from nvidia.com/drivers (WSL: in Windows; container: --gpus all)"
        return DeviceError("no-driver", "no NVIDIA driver was found", fix)
    if driver // 1000 < needed // 1000:  # 12040 is CUDA 12.4
        has, needs = (f"CUDA {x // 1000}.{x % 1000 // 10}" for x in (driver, needed))
        message = f"the NVIDIA driver supports {has}, too old for {needs} of CuPy"
        fix = "update the driver, or install an older CuPy (docs/how-to/gpu-not-found.md)"
        return DeviceError("driver-too-old", message, fix)
    n_devices = runtime.getDeviceCount()
    if index >= n_devices:
        message = f"no GPU {index}: {n_devices} visible, counted from 0"
        fix = f"choose gpu:{n_devices - 1} or lower; CUDA_VISIBLE_DEVICES may hide others"
        return DeviceError("no-such-device", message, fix)
    return None


@cache
def _check_product(index: int) -> None:
    """Raise ArithmeticError if a GPU multiplies wrongly.

    With sums below 2^24, a product of integers is exact; some have more bits than TF32 keeps.
    """
    import cupy
    import numpy as np

    x = (np.arange(32 * 64, dtype=np.float32) * 4 + 1).reshape(32, 64)
    weight = np.arange(64 * 16, dtype=np.float32).reshape(64, 16) % 4
    with cupy.cuda.Device(index):
        product = cupy.asarray(x) @ cupy.asarray(weight)
        # This reduction compiles CUB, which fails with the headers of another CUDA (cupy#9719).
        (product > 0).any()
        computed = cupy.asnumpy(product)
    if not np.array_equal(computed, x @ weight):
        msg = "a product of integers is wrong"
        raise ArithmeticError(msg)


def is_from_cupy(error: BaseException) -> bool:
    """Return whether CuPy raised an error."""
    return type(error).__module__.startswith("cupy")


def cause_of(error: BaseException, index: int | str = 0) -> DeviceError:
    """Return the error for one that CuPy raised on a GPU, or on one such as "0 or 1"."""
    # For a failed import, CuPy raises a page of advice from the error.
    text = one_line(error.__cause__ or error) or type(error).__name__
    kind = type(error).__name__, getattr(error, "status", None)
    if isinstance(error, MemoryError) or kind in _OUT_OF_MEMORY:
        fix = "end other programs on it (nvidia-smi lists them), or choose another GPU"
        return DeviceError("out-of-memory", f"GPU {index} has no memory left ({text})", fix)
    if kind == _NO_DEVICE:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        is_set = "is not set" if visible is None else f"is {one_line(visible)!r}"
        message = f"the NVIDIA driver finds no GPU, and CUDA_VISIBLE_DEVICES {is_set}"
        fix = "check that nvidia-smi -L lists one that it does not hide (container: --gpus all)"
        return DeviceError("no-device", message, fix)
    message = f"GPU {index} is unusable: {text}"
    return DeviceError("unusable", message, "see docs/how-to/gpu-not-found.md")


def cupy_config() -> str | None:
    """Return the text of ``cupy.show_config()``; None if CuPy cannot be imported."""
    text = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(text):
        warnings.simplefilter("ignore")  # that there is no GPU
        with contextlib.suppress(Exception):  # `open_gpu` reports it
            import cupy

            cupy.show_config()
    return text.getvalue() or None
