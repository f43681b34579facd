"""Information about CuPy, the driver and the GPUs."""

import contextlib
import io
import os
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

__all__ = [
    "CUDA13_LIBRARIES",
    "FIRST_WITH_TF32",
    "WHEELS",
    "compute_capability",
    "driver_number",
    "gpu_facts",
    "import_cupy",
    "installed",
    "numpy_range",
    "one_line",
    "peak_rate",
    "result_or_error",
    "result_or_none",
    "tf32_value",
    "version_text",
]

# All CuPy wheels for supported Python versions; each of them installs the folder `cupy`.
WHEELS: Final = (
    *("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy-cuda111", "cupy-cuda110"),
    *("cupy-cuda102", "cupy-rocm-7-14", "cupy-rocm-7-1", "cupy-rocm-7-0", "cupy-rocm-5-0"),
    *("cupy-rocm-4-3", "amd-cupy"),
)
# CuPy 14 prefers these even in its wheel for CUDA 12, which then lacks cuBLAS.
CUDA13_LIBRARIES: Final = ("nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime")
_CUDA12_LIBRARIES: Final = tuple(f"{name}-cu12" for name in CUDA13_LIBRARIES)
_OTHERS: Final = ("numpy", "array-api-compat", "cuda-pathfinder", "cuda-toolkit")

# The version of the driver's kernel module, on Linux.
_DRIVER_FILE = Path("/proc/driver/nvidia/version")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_PATH")
FIRST_WITH_TF32: Final = 80  # compute capability 8.0
_PER_CYCLE = 256  # float32 operations per cycle of an NVIDIA multiprocessor
# External strings are cut to this length, so that a message has at most 400 characters.
_LONGEST_FACT = 140

_T = TypeVar("_T")


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
        "nvrtc_version": result_or_none(lambda: ".".join(map(str, cupy.cuda.nvrtc.getVersion()))),
        "cublas_path": cublas_path,
        "nvrtc_path": _library_path("nvrtc"),
        "cupy_version": result_or_none(lambda: str(cupy.__version__)),
        "cupy_path": result_or_none(lambda: str(cupy.__path__[0])),
        "cupy_needs_numpy": numpy_range(wheels),
        "wheels": list(wheels),
        "distributions": {name: _editions(name)[0][0] for name in installed(names)},
        "duplicates": _duplicates(names),
        "tf32": _tf32_text(),
        **{name: os.environ.get(name) for name in _VARIABLES},
    }


def _device_facts(cupy: Any, index: int, checked: int | None) -> dict[str, object]:
    def free_bytes() -> int:
        with cupy.cuda.Device(index):
            return int(cupy.cuda.runtime.memGetInfo()[0])

    properties = cupy.cuda.runtime.getDeviceProperties(index)
    return {
        "index": index,
        "name": properties["name"].decode(),
        "memory_bytes": int(properties["totalGlobalMem"]),
        "free_bytes": result_or_none(free_bytes) if index == checked else None,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "pci_bus_id": result_or_none(lambda: str(cupy.cuda.runtime.deviceGetPCIBusId(index))),
    }


def compute_capability(index: int) -> int:
    """Return the compute capability times 10: 86 for 8.6."""
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(index)
    return int(properties["major"] * 10 + properties["minor"])


def peak_rate(index: int) -> float | None:
    """Return the peak float32 operations per second of a GPU; None if unknown."""

    def rate() -> float:
        from cupy.cuda import runtime

        attributes = runtime.cudaDevAttrMultiProcessorCount, runtime.cudaDevAttrClockRate
        n_processors, kilohertz = (runtime.deviceGetAttribute(each, index) for each in attributes)
        return float(n_processors * kilohertz * 1000 * _PER_CYCLE)

    return result_or_none(rate) or None


def driver_number() -> str | None:
    """Return the version of the loaded driver, such as 580.95.05, or None."""
    line = result_or_none(lambda: _DRIVER_FILE.read_text(encoding="utf-8").partition("\n")[0])
    number = re.search(r"\b[0-9]{3,}(\.[0-9]+)+\b", line or "")
    return number and number[0]


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


def tf32_value() -> int | None:
    """Return CUPY_TF32 as CuPy reads it (above 0: on); None if it is not an integer."""
    return result_or_none(lambda: int(os.environ.get("CUPY_TF32", "0")))


def _tf32_text() -> str:
    value, text = tf32_value(), os.environ.get("CUPY_TF32")
    if value is None:
        return f"not an integer (CUPY_TF32={text})"
    return f"on (CUPY_TF32={text})" if value > 0 else "off"


def import_cupy() -> Any:
    """Import CuPy; raise AttributeError if the module is not CuPy."""
    import cupy

    # If only empty folders are left, `import cupy` succeeds with an empty module.
    _ = cupy.cuda.runtime
    return cupy


def installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the installed distributions among `names`."""
    return tuple(name for name in names if _editions(name))


def _editions(name: str) -> list[tuple[str, str]]:
    """Return version and folder of each installation of a distribution, the imported one first."""
    import importlib.metadata

    def edition(found: importlib.metadata.Distribution) -> tuple[str, str]:
        folder = os.path.realpath(str(found.locate_file("")))
        return str(result_or_none(lambda: found.version)), folder

    return list(dict.fromkeys(map(edition, importlib.metadata.distributions(name=name))))


def _duplicates(names: tuple[str, ...]) -> list[str]:
    """Return a description of each distribution or library that is installed twice."""
    sets = (WHEELS, *zip(CUDA13_LIBRARIES, _CUDA12_LIBRARIES, strict=True))
    rivals = [" and ".join(found) for found in map(installed, sets) if len(found) > 1]
    editions = {name: _editions(name) for name in names}
    return rivals + [
        f"{name} {' and '.join(f'{version} in {folder}' for version, folder in found)}"
        for name, found in editions.items()
        if len(found) > 1
    ]


def numpy_range(wheels: tuple[str, ...]) -> str | None:
    """Return the NumPy versions that CuPy's wheel requires, such as ``<2.6,>=2.0``."""
    import importlib.metadata

    required = result_or_none(lambda: importlib.metadata.requires(wheels[0])) or ()
    ranges = (re.fullmatch(r"numpy\s*\(?([<>=!~0-9.,\s]+)\)?", line) for line in required)
    return next((found[1].strip() for found in ranges if found), None)


def result_or_error(action: Callable[[], _T]) -> _T | Exception:
    """Return the result of `action`, or its exception; suppress its warnings and stderr."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return action()
    except Exception as error:  # noqa: BLE001 (a broken installation can raise anything)
        return error


def result_or_none(action: Callable[[], _T]) -> _T | None:
    """Return the result of `action`, or None if it raises."""
    outcome = result_or_error(action)
    return None if isinstance(outcome, Exception) else outcome


def version_text(number: int) -> str | None:
    """Format CUDA's version number 12040 as 12.4; return None for 0."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def one_line(text: object) -> str:
    """Return a string as one line, cut to 140 characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_FACT else f"{line[:_LONGEST_FACT]}..."
