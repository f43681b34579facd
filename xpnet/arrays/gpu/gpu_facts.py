"""Facts about CuPy, the driver and the GPUs, for a report."""

import os
from functools import partial
from typing import Any, Final

from xpnet.arrays.gpu.gpu_info import (
    CUDA13_LIBRARIES,
    WHEELS,
    driver_number,
    editions_of,
    free_bytes,
    header_folder,
    header_version,
    import_cupy,
    installed,
    numpy_range,
    nvrtc_version,
    result_or_error,
    result_or_none,
    tf32_value,
    version_text,
)

__all__ = ["gpu_facts"]

_CUDA12_LIBRARIES: Final = tuple(f"{name}-cu12" for name in CUDA13_LIBRARIES)
_OTHERS: Final = ("numpy", "array-api-compat", "cuda-pathfinder", "cuda-toolkit")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_PATH")


def gpu_facts(checked: int | None = None) -> dict[str, object]:
    """Return information about CuPy, the driver and the GPUs as plain values for JSON.

    Unknown values are None. ``devices`` has one dictionary per GPU, with memory sizes in bytes; the
    free memory of GPU `checked` is included, which opens a context on it.
    """
    cupy: Any = result_or_error(import_cupy)
    runtime: Any = result_or_none(lambda: cupy.cuda.runtime)
    n_devices = result_or_none(lambda: int(runtime.getDeviceCount()))
    wheels = installed(WHEELS)
    names = (*wheels, *_OTHERS, *CUDA13_LIBRARIES, *_CUDA12_LIBRARIES)
    cublas_path = _library_path("cublas")
    return {
        "device_count": n_devices,
        "devices": [
            result_or_none(partial(_device_facts, cupy, i, checked)) for i in range(n_devices or 0)
        ],
        "driver_version": result_or_none(lambda: version_text(runtime.driverGetVersion())),
        "driver_number": driver_number(),
        "runtime_version": result_or_none(lambda: version_text(runtime.runtimeGetVersion())),
        "cublas_version": _cublas_version(cublas_path),
        "nvrtc_version": nvrtc_version(),
        "headers_version": header_version(),
        "cublas_path": cublas_path,
        "nvrtc_path": _library_path("nvrtc"),
        "headers_path": header_folder(),
        "cupy_version": result_or_none(lambda: str(cupy.__version__)),
        "cupy_path": result_or_none(lambda: str(cupy.__path__[0])),
        "cupy_needs_numpy": numpy_range(wheels),
        "wheels": list(wheels),
        "distributions": {name: editions_of(name)[0][0] for name in installed(names)},
        "duplicates": _duplicates(names),
        "tf32": _tf32_text(),
        **{name: os.environ.get(name) for name in _VARIABLES},
    }


def _device_facts(cupy: Any, index: int, checked: int | None) -> dict[str, object]:
    properties = cupy.cuda.runtime.getDeviceProperties(index)
    return {
        "index": index,
        "name": properties["name"].decode(),
        "memory_bytes": int(properties["totalGlobalMem"]),
        "free_bytes": result_or_none(lambda: free_bytes(index)) if index == checked else None,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "pci_bus_id": result_or_none(lambda: str(cupy.cuda.runtime.deviceGetPCIBusId(index))),
    }


def _duplicates(names: tuple[str, ...]) -> list[str]:
    """Return a description of each distribution or library that is installed twice."""
    sets = (WHEELS, *zip(CUDA13_LIBRARIES, _CUDA12_LIBRARIES, strict=True))
    rivals = [" and ".join(found) for found in map(installed, sets) if len(found) > 1]
    editions = {name: editions_of(name) for name in names}
    return rivals + [
        f"{name} {' and '.join(f'{version} in {folder}' for version, folder in found)}"
        for name, found in editions.items()
        if len(found) > 1
    ]


def _library_path(name: str) -> str | None:
    """Return the path of a CUDA library, found by the loader that CuPy uses."""
    import importlib

    finder: Any = result_or_none(lambda: importlib.import_module("cuda.pathfinder"))
    return result_or_none(lambda: str(finder.load_nvidia_dynamic_lib(name).abs_path))


def _cublas_version(path: str | None) -> str | None:
    """Return the version of the loaded cuBLAS, without opening a context as CuPy does."""
    import ctypes

    number = ctypes.c_int()

    def part(which: int) -> str:
        library = ctypes.CDLL(str(path))
        if library.cublasGetProperty(which, ctypes.byref(number)):
            raise ValueError(which)
        return str(number.value)

    # libraryPropertyType: 0 is the major version, 1 the minor version, 2 the patch level.
    return path and result_or_none(lambda: ".".join(map(part, range(3))))


def _tf32_text() -> str:
    value, text = tf32_value(), os.environ.get("CUPY_TF32")
    if value is None:
        return f"not an integer (CUPY_TF32={text})"
    return f"on (CUPY_TF32={text})" if value > 0 else "off"
