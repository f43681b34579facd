"""Looking for the cause, where there is no usable GPU.

CuPy alone does not tell. Without a driver every array raises "driver version is insufficient",
two wheels at once give a warning and an error from somewhere inside, and missing CUDA libraries
come to light at the first matrix product. `diagnose` asks in the order in which one thing needs
the other, so that the first cause found is the one to mend.

Importing this module imports no CuPy; looking for a cause opens no context on the device, except
with ``check=True``.
"""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from xpnet.arrays.causes import Diagnosis, describe

__all__ = ["diagnose", "gpu_facts"]

# CUDA writes version 12.4 as 12040. A driver serves the later minor versions of its major one.
_CUDA12, _CUDA13 = 12000, 13000
# cudaError_t: what CUDA answers when it is asked how many devices there are.
_CODE_OF_STATUS: Final = {
    34: "stub-library",
    35: "driver-too-old",
    100: "no-device",
    802: "not-ready",
    803: "driver-mismatch",
}

# Every CuPy wheel for a Python that xpnet runs on: all of them install the one folder `cupy`.
_WHEELS: Final = (
    *("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy-cuda111", "cupy-cuda110"),
    *("cupy-cuda102", "cupy-rocm-7-14", "cupy-rocm-7-1", "cupy-rocm-7-0", "cupy-rocm-5-0"),
    *("cupy-rocm-4-3", "amd-cupy"),
)
# CuPy 14 loads these, where present, even into its wheel for CUDA 12, which then lacks cuBLAS.
_CUDA13_LIBRARIES: Final = ("nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime")

# Facts from outside are cut here, so that every sentence stays within 400 characters.
_LONGEST_FACT = 140

_T = TypeVar("_T")


def diagnose(index: int = 0, *, check: bool = False) -> Diagnosis:
    """Say whether a GPU is usable, and if not, why not and how to mend it.

    Parameters
    ----------
    index : int, default 0
        The number of the GPU, counted from 0.
    check : bool, default False
        Whether to let the GPU compute a small product and to compare it with the host's. The
        first time this takes seconds: it opens a context and compiles.

    Returns
    -------
    Diagnosis
        The first cause found, in the order in which one thing needs the other.

    Notes
    -----
    Nothing is raised, warned or printed. The product is right if it is within
    ``gamma * (abs(x) @ abs(weight) + abs(bias))`` of its value in float64, where
    ``gamma = n u / (1 - n u)``, ``u = 2**-24`` and n is the number of terms: the rounding bound
    for any order of summation. With ``CUPY_TF32=1`` the factors have ten bits after the point,
    which adds ``2**-9 + 2**-20``.

    Examples
    --------
    >>> diagnose(-1).usable
    False
    """
    wheels = _installed(_WHEELS)
    cause = _in_installation(wheels) or _in_driver(wheels, index) or _in_libraries(wheels)
    if cause is None and check:
        cause = _in_product(index)
    return cause or describe("usable", index=index)


def gpu_facts() -> dict[str, object]:
    """Return what can be told about CuPy, the driver and the GPUs, on any machine.

    Returns
    -------
    dict
        Plain values, ready for JSON; None is what cannot be told. ``devices`` has one dictionary
        per GPU, its memory in bytes.

    Examples
    --------
    >>> sorted(gpu_facts())[:4]
    ['CUDA_VISIBLE_DEVICES', 'CUPY_TF32', 'cupy_version', 'device_count']
    """
    cupy: Any = _attempt(_import_cupy)
    n_devices = _told(lambda: int(cupy.cuda.runtime.getDeviceCount()))
    return {
        "cupy_version": _told(lambda: str(cupy.__version__)),
        "wheels": list(_installed(_WHEELS)),
        "driver_version": _told(lambda: _version(cupy.cuda.runtime.driverGetVersion())),
        "runtime_version": _told(lambda: _version(cupy.cuda.runtime.runtimeGetVersion())),
        "device_count": n_devices,
        "devices": [_told(partial(_device_facts, cupy, i)) for i in range(n_devices or 0)],
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "CUPY_TF32": os.environ.get("CUPY_TF32"),
    }


def _device_facts(cupy: Any, index: int) -> dict[str, object]:
    properties = cupy.cuda.runtime.getDeviceProperties(index)
    return {
        "name": properties["name"].decode(),
        "memory_bytes": int(properties["totalGlobalMem"]),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
    }


def _in_installation(wheels: tuple[str, ...]) -> Diagnosis | None:
    # Before the import: with two wheels, what the import says depends on which came last.
    if len(wheels) > 1:
        return describe("two-wheels", wheels=" and ".join(wheels), names=" ".join(wheels))
    error = _attempt(_import_cupy)
    if not isinstance(error, Exception):
        return None
    if not wheels and isinstance(error, ModuleNotFoundError):
        return describe("no-wheel" if sys.platform == "darwin" else "not-installed")
    names = wheels[0] if wheels else "cupy"
    # CuPy wraps the error in a page of advice; the reason is what it was raised from.
    reason = _one_line(error.__cause__ or error)
    return describe("broken-install", error=reason, names=names, extra=_extra(wheels))


def _in_driver(wheels: tuple[str, ...], index: int) -> Diagnosis | None:
    import cupy

    runtime = cupy.cuda.runtime
    n_devices = _attempt(runtime.getDeviceCount)
    if isinstance(n_devices, Exception):
        code = _CODE_OF_STATUS.get(getattr(n_devices, "status", 0), "cuda-error")
        if code == "driver-too-old":
            return _insufficient_driver(wheels, runtime, n_devices)
        if code != "no-device":
            return describe(code, error=_one_line(n_devices))
        n_devices = 0
    if n_devices == 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return describe("no-device")
        return describe("hidden-device", visible=repr(_one_line(visible)))
    if not 0 <= index < n_devices:
        last = n_devices - 1
        return describe("no-such-device", index=index, n_devices=n_devices, last=last)
    return None


def _insufficient_driver(wheels: tuple[str, ...], runtime: Any, error: Exception) -> Diagnosis:
    """Tell no driver from an old one: CUDA gives both the same error, 35."""
    driver, needed = _attempt(runtime.driverGetVersion), runtime.runtimeGetVersion()
    if driver == 0 or isinstance(driver, Exception):
        return describe("no-driver")
    if driver // 1000 >= needed // 1000:
        return describe("cuda-error", error=_one_line(error))
    wheel = _wheel(wheels)
    # The libraries must go too: see _CUDA13_LIBRARIES.
    names = " ".join((wheel, *_CUDA13_LIBRARIES))
    swap = f'; or pip uninstall -y {names}, then pip install "xpnet[cuda12]"'
    return describe(
        "driver-too-old",
        driver=_version(driver),
        runtime=_version(needed),
        wheel=wheel,
        major=needed // 1000,
        or_swap=swap if needed >= _CUDA13 > driver >= _CUDA12 else "",
    )


def _in_libraries(wheels: tuple[str, ...]) -> Diagnosis | None:
    import cupy

    # CuPy loads these at first use. It has cudart built in; of that it needs only the headers, and
    # only for kernels that mention float16.
    loaders: dict[str, Callable[[], object]] = {
        "cuBLAS": lambda: cupy.cuda.cublas,
        "NVRTC": cupy.cuda.nvrtc.getVersion,
    }
    failed = [name for name, load in loaders.items() if isinstance(_attempt(load), Exception)]
    if not failed:
        return None
    wheel, extra, libraries = _wheel(wheels), _extra(wheels), ", ".join(failed)
    strangers = " ".join(_installed(_CUDA13_LIBRARIES))
    if strangers and extra == "cuda12":
        return describe("libraries-mixed", wheel=wheel, libraries=libraries, strangers=strangers)
    return describe("libraries-missing", wheel=wheel, libraries=libraries, extra=extra)


def _in_product(index: int) -> Diagnosis | None:
    excess = _attempt(lambda: _excess(index))
    if isinstance(excess, Exception):
        return describe("cuda-error", error=_one_line(excess))
    # Not `excess > 1`: a NaN is wrong as well.
    return None if excess <= 1 else describe("wrong-product", index=index, excess=excess)


def _excess(index: int) -> float:
    """Return the GPU's largest error in x @ weight + bias, in units of its rounding bound."""
    import cupy
    import numpy as np

    n_in = 64
    draw = np.random.default_rng(0).standard_normal
    x, weight, bias = (draw(shape, dtype=np.float32) for shape in ((32, n_in), (n_in, 16), 16))
    with cupy.cuda.Device(index):
        on_device = cupy.asarray(x) @ cupy.asarray(weight) + cupy.asarray(bias)
        computed = cupy.asnumpy(on_device).astype(np.float64)
    # The drawn float32 values are exact in float64, where the host multiplies them again.
    exact = x.astype(np.float64) @ weight.astype(np.float64) + bias
    rounding = (n_in + 1) * 2.0**-24
    gamma = rounding / (1 - rounding)
    if os.environ.get("CUPY_TF32") == "1":
        gamma += 2.0**-9 + 2.0**-20
    bound = gamma * (abs(x) @ abs(weight) + abs(bias))
    return float(np.max(abs(computed - exact) / bound))


def _import_cupy() -> Any:
    import cupy

    # Where only empty folders are left, `import cupy` succeeds and gives a module of nothing.
    cupy.cuda.runtime  # noqa: B018
    return cupy


def _installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the distributions are installed, by their metadata."""
    import importlib.metadata

    def is_installed(name: str) -> bool:
        return not isinstance(
            _attempt(lambda: importlib.metadata.distribution(name)),
            importlib.metadata.PackageNotFoundError,
        )

    return tuple(name for name in names if is_installed(name))


def _attempt(action: Callable[[], _T]) -> _T | Exception:
    """Return what `action` returns or raises; its warnings and its stderr are dropped."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return action()
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is the answer
        return error


def _told(action: Callable[[], _T]) -> _T | None:
    outcome = _attempt(action)
    return None if isinstance(outcome, Exception) else outcome


def _wheel(wheels: tuple[str, ...]) -> str:
    return wheels[0] if wheels else "cupy"


def _extra(wheels: tuple[str, ...]) -> str:
    return "cuda12" if "cupy-cuda12x" in wheels else "cuda13"


def _version(number: int) -> str | None:
    """Write CUDA's number 12040 as 12.4; 0 means that there is none."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_FACT else f"{line[:_LONGEST_FACT]}..."
