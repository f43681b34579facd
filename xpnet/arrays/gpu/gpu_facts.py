"""Facts about CuPy, the driver and the GPUs."""

import contextlib
import io
import os
import re
import site
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

__all__ = [
    "CUDA13_LIBRARIES",
    "WHEELS",
    "compiler_options",
    "compute_capability",
    "driver_number",
    "free_bytes",
    "gpu_facts",
    "header_folder",
    "header_version",
    "import_cupy",
    "installed",
    "library_folders",
    "numpy_range",
    "nvrtc_version",
    "one_line",
    "result_or_error",
    "result_or_none",
    "version_text",
    "wheel_facts",
]

# All CuPy wheels for supported Python versions; each of them installs the folder `cupy`.
WHEELS: Final = (
    *("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy-cuda111", "cupy-cuda110"),
    *("cupy-cuda102", "cupy-rocm-7-14", "cupy-rocm-7-1", "cupy-rocm-7-0", "cupy-rocm-5-0"),
    *("cupy-rocm-4-3", "amd-cupy"),
)
# CuPy 14 prefers these even in its wheel for CUDA 12, which then lacks cuBLAS.
CUDA13_LIBRARIES: Final = ("nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime")

# The version of the driver's kernel module, on Linux.
_DRIVER_FILE = Path("/proc/driver/nvidia/version")
_VERSION_HEADER = "cuda_runtime_api.h"
_CUDA12_LIBRARIES: Final = tuple(f"{name}-cu12" for name in CUDA13_LIBRARIES)
_OTHERS: Final = ("numpy", "array-api-compat", "cuda-pathfinder", "cuda-toolkit")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_PATH")
# External strings are cut to this length, so that a message has at most 400 characters.
_LONGEST_FACT = 140

_T = TypeVar("_T")


def free_bytes(index: int | None = None) -> int:
    """Return the free memory of a GPU, by default the current one."""
    import cupy

    with cupy.cuda.Device(index):
        return int(cupy.cuda.runtime.memGetInfo()[0])


def compute_capability(index: int) -> int:
    """Return the compute capability times 10: 86 for 8.6."""
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(index)
    return int(properties["major"] * 10 + properties["minor"])


def driver_number() -> str | None:
    """Return the version of the loaded driver, such as 580.95.05, or None."""
    line = result_or_none(lambda: _DRIVER_FILE.read_text(encoding="utf-8").partition("\n")[0])
    number = re.search(r"\b[0-9]{3,}(\.[0-9]+)+\b", line or "")
    return number and number[0]


def library_folders(names: Iterable[str], major: int) -> str:
    """Return the folders outside site-packages with these libraries for a major version of CUDA.

    They come from ``pip install --target``, into a folder on ``sys.path``. CuPy searches only
    site-packages for them, and then the folders of the loader, which LD_LIBRARY_PATH lists. The
    result has its form; it is empty if one of the libraries was not found. cudart's folder leads
    CuPy to the headers.
    """
    searched = {*site.getsitepackages(), site.getusersitepackages()}
    roots = [Path(entry) for entry in sys.path if entry and entry not in searched]
    found = []
    for name in [*names, "cudart"]:
        pattern = f"nvidia/*/lib/lib{name.lower()}.so.{major}"
        files = [file for root in roots for file in sorted(root.glob(pattern))]
        if not files and name != "cudart":
            return ""
        found += [str(file.parent) for file in files[:1]]
    return os.pathsep.join(dict.fromkeys(found))


def nvrtc_version() -> str | None:
    """Return the version of CUDA's compiler that CuPy calls."""
    return result_or_none(lambda: ".".join(map(str, import_cupy().cuda.nvrtc.getVersion())))


def compiler_options() -> tuple[str, ...]:
    """Return CuPy's options for NVRTC; raise RuntimeError if it finds no CUDA headers."""
    import cupy

    # It may have another name in a later CuPy.
    options: tuple[str, ...] = cupy._core.core.assemble_cupy_compiler_options(())  # noqa: SLF001
    return options


def header_folder() -> str | None:
    """Return the folder of the CUDA headers, as NVRTC finds it."""
    options = result_or_none(compiler_options) or ()
    folders = [option.removeprefix("-I") for option in options if option.startswith("-I")]
    return next((folder for folder in folders if Path(folder, _VERSION_HEADER).is_file()), None)


def header_version() -> str | None:
    """Return the version of CUDA that the headers belong to."""
    folder = header_folder()
    text = folder and result_or_none(lambda: Path(folder, _VERSION_HEADER).read_text("utf-8"))
    number = re.search(r"^#define\s+CUDART_VERSION\s+([0-9]+)", text or "", re.MULTILINE)
    return number and version_text(int(number[1]))


def import_cupy() -> Any:
    """Import CuPy; raise AttributeError if the module is not CuPy."""
    import cupy

    # If only empty folders are left, `import cupy` succeeds with an empty module.
    _ = cupy.cuda.runtime
    return cupy


def installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the installed distributions among `names`."""
    return tuple(name for name in names if editions_of(name))


def editions_of(name: str) -> list[tuple[str, str]]:
    """Return version and folder of each installation of a distribution, the imported one first."""
    import importlib.metadata

    def edition(found: importlib.metadata.Distribution) -> tuple[str, str]:
        folder = os.path.realpath(str(found.locate_file("")))
        return str(result_or_none(lambda: found.version)), folder

    return list(dict.fromkeys(map(edition, importlib.metadata.distributions(name=name))))


def wheel_facts() -> dict[str, str]:
    """Return the name of CuPy's wheel, its CUDA ("cuda12" or "cuda13"), and libraries of another.

    CUDA13_LIBRARIES are of another CUDA for the wheel for CUDA 12.
    """
    wheels = installed(WHEELS)
    extra = "cuda12" if "cupy-cuda12x" in wheels else "cuda13"
    others = installed(CUDA13_LIBRARIES) if extra == "cuda12" else ()
    wheel = wheels[0] if wheels else "cupy"
    return {"wheel": wheel, "extra": extra, "strangers": " ".join(others)}


def numpy_range(wheel: str) -> str | None:
    """Return the NumPy versions that CuPy's wheel requires, such as ``<2.6,>=2.0``."""
    import importlib.metadata

    required = result_or_none(lambda: importlib.metadata.requires(wheel)) or ()
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
        "cupy_needs_numpy": numpy_range(wheel_facts()["wheel"]) if wheels else None,
        "wheels": list(wheels),
        "distributions": {name: editions_of(name)[0][0] for name in installed(names)},
        "duplicates": _duplicates(names),
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
