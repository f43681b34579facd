"""What can be told about CuPy, the driver and the GPUs, on any machine."""

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
    "WHEELS",
    "attempt",
    "driver_number",
    "gpu_facts",
    "import_cupy",
    "installed",
    "numpy_range",
    "one_line",
    "peak_rate",
    "tf32_value",
    "told",
    "version_text",
]

# Every CuPy wheel for a Python that xpnet runs on: all of them install the one folder `cupy`.
WHEELS: Final = (
    *("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy-cuda111", "cupy-cuda110"),
    *("cupy-cuda102", "cupy-rocm-7-14", "cupy-rocm-7-1", "cupy-rocm-7-0", "cupy-rocm-5-0"),
    *("cupy-rocm-4-3", "amd-cupy"),
)
# CuPy 14 loads these, where present, even into its wheel for CUDA 12, which then lacks cuBLAS.
CUDA13_LIBRARIES: Final = ("nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime")
_CUDA12_LIBRARIES: Final = tuple(f"{name}-cu12" for name in CUDA13_LIBRARIES)
_OTHERS: Final = ("numpy", "array-api-compat", "cuda-pathfinder", "cuda-toolkit")

# The kernel's half of the driver tells its number here, on Linux.
_DRIVER_FILE = Path("/proc/driver/nvidia/version")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_PATH")
# A multiprocessor of NVIDIA's does so many float32 operations in a cycle.
_PER_CYCLE = 256
# Facts from outside are cut here, so that every sentence stays within 400 characters.
_LONGEST_FACT = 140

_T = TypeVar("_T")


def gpu_facts(checked: int | None = None) -> dict[str, object]:
    """Return what can be told about CuPy, the driver and the GPUs, on any machine.

    Parameters
    ----------
    checked : int, optional
        The number of the GPU whose free memory is wanted, too. That opens a context on it.

    Returns
    -------
    dict
        Plain values, ready for JSON; None is what cannot be told. ``devices`` has one dictionary
        per GPU, its memory in bytes.

    Examples
    --------
    >>> sorted(gpu_facts())[-3:]
    ['runtime_version', 'tf32', 'wheels']
    """
    cupy: Any = attempt(import_cupy)
    n_devices = told(lambda: int(cupy.cuda.runtime.getDeviceCount()))
    wheels = installed(WHEELS)
    names = (*wheels, *_OTHERS, *CUDA13_LIBRARIES, *_CUDA12_LIBRARIES)
    cublas_path = _library_path("cublas")
    return {
        "device_count": n_devices,
        "devices": [told(partial(_device_facts, cupy, i, checked)) for i in range(n_devices or 0)],
        "driver_version": told(lambda: version_text(cupy.cuda.runtime.driverGetVersion())),
        "driver_number": driver_number(),
        "runtime_version": told(lambda: version_text(cupy.cuda.runtime.runtimeGetVersion())),
        "cublas_version": _cublas_version(cublas_path),
        "nvrtc_version": told(lambda: ".".join(map(str, cupy.cuda.nvrtc.getVersion()))),
        "cublas_path": cublas_path,
        "nvrtc_path": _library_path("nvrtc"),
        "cupy_version": told(lambda: str(cupy.__version__)),
        "cupy_path": told(lambda: str(cupy.__path__[0])),
        "cupy_needs_numpy": numpy_range(wheels),
        "wheels": list(wheels),
        "distributions": {name: _editions(name)[0][0] for name in installed(names)},
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
        "free_bytes": told(lambda: _free_bytes(cupy, index)) if index == checked else None,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "pci_bus_id": told(lambda: str(cupy.cuda.runtime.deviceGetPCIBusId(index))),
    }


def _free_bytes(cupy: Any, index: int) -> int:
    with cupy.cuda.Device(index):
        return int(cupy.cuda.runtime.memGetInfo()[0])


def peak_rate(index: int) -> float | None:
    """Return float32 operations a second that a GPU does at most; None where that is not told."""

    def rate() -> float:
        from cupy.cuda import runtime

        attributes = runtime.cudaDevAttrMultiProcessorCount, runtime.cudaDevAttrClockRate
        n_processors, kilohertz = (runtime.deviceGetAttribute(each, index) for each in attributes)
        return float(n_processors * kilohertz * 1000 * _PER_CYCLE)

    return told(rate) or None


def driver_number() -> str | None:
    """Return the number of the driver that the kernel has loaded, such as 580.95.05."""
    line = told(lambda: _DRIVER_FILE.read_text(encoding="utf-8").partition("\n")[0])
    number = re.search(r"\b[0-9]{3,}(\.[0-9]+)+\b", line or "")
    return number and number[0]


def _library_path(name: str) -> str | None:
    """Return the file that CuPy loads a library from, by the loader that it asks itself."""
    import importlib

    def path() -> str:
        pathfinder = importlib.import_module("cuda.pathfinder")
        return str(pathfinder.load_nvidia_dynamic_lib(name).abs_path)

    return told(path)


def _cublas_version(path: str | None) -> str | None:
    """Return the version of the loaded cuBLAS; unlike CuPy's way, this opens no context."""
    import ctypes

    number = ctypes.c_int()

    def part(which: int) -> str:
        library = ctypes.CDLL(str(path))
        if library.cublasGetProperty(which, ctypes.byref(number)):
            raise ValueError(which)
        return str(number.value)

    # libraryPropertyType: 0 the major version, 1 the minor one, 2 the patch.
    return path and told(lambda: ".".join(map(part, range(3))))


def tf32_value() -> int | None:
    """Return CUPY_TF32 as CuPy reads it: above 0 is on; None is no number, and fails there."""
    return told(lambda: int(os.environ.get("CUPY_TF32", "0")))


def _tf32_text() -> str:
    value, text = tf32_value(), os.environ.get("CUPY_TF32")
    if value is None:
        return f"no whole number (CUPY_TF32={text})"
    return f"on (CUPY_TF32={text})" if value > 0 else "off"


def import_cupy() -> Any:
    """Import CuPy; an AttributeError tells that what was imported is not CuPy."""
    import cupy

    # Where only empty folders are left, `import cupy` succeeds and gives a module of nothing.
    cupy.cuda.runtime  # noqa: B018
    return cupy


def installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the distributions are installed, by their metadata."""
    return tuple(name for name in names if _editions(name))


def _editions(name: str) -> list[tuple[str, str]]:
    """Return the version and the folder of each installed edition; the first is imported."""
    import importlib.metadata

    def edition(found: importlib.metadata.Distribution) -> tuple[str, str]:
        return str(told(lambda: found.version)), os.path.realpath(str(found.locate_file("")))

    return list(dict.fromkeys(map(edition, importlib.metadata.distributions(name=name))))


def _duplicates(names: tuple[str, ...]) -> list[str]:
    """Return what is installed twice, in words."""
    sets = (WHEELS, *zip(CUDA13_LIBRARIES, _CUDA12_LIBRARIES, strict=True))
    rivals = [" and ".join(found) for found in map(installed, sets) if len(found) > 1]
    editions = {name: _editions(name) for name in names}
    return rivals + [
        f"{name} {' and '.join(f'{version} in {folder}' for version, folder in found)}"
        for name, found in editions.items()
        if len(found) > 1
    ]


def numpy_range(wheels: tuple[str, ...]) -> str | None:
    """Return the versions of NumPy that CuPy's wheel names, such as ``<2.6,>=2.0``."""
    import importlib.metadata

    required = told(lambda: importlib.metadata.requires(wheels[0])) or ()
    ranges = (re.fullmatch(r"numpy\s*\(?([<>=!~0-9.,\s]+)\)?", line) for line in required)
    return next((found[1].strip() for found in ranges if found), None)


def attempt(action: Callable[[], _T]) -> _T | Exception:
    """Return what `action` returns or raises; its warnings and its stderr are dropped."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return action()
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is the answer
        return error


def told(action: Callable[[], _T]) -> _T | None:
    """Return what `action` returns, or None if it raises."""
    outcome = attempt(action)
    return None if isinstance(outcome, Exception) else outcome


def version_text(number: int) -> str | None:
    """Write CUDA's number 12040 as 12.4; 0 means that there is none."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def one_line(text: object) -> str:
    """Return a text as one line, cut where it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_FACT else f"{line[:_LONGEST_FACT]}..."
