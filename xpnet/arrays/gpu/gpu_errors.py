"""Causes of an unusable GPU, and of errors of CuPy: a code, a sentence and a fix for each."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from xpnet.arrays.device_errors import Diagnosis
from xpnet.arrays.gpu.gpu_facts import (
    free_bytes,
    header_folder,
    header_version,
    nvrtc_version,
    one_line,
    result_or_none,
    wheel_facts,
)

__all__ = ["CAUSES", "cause_of", "code_of", "diagnosis_of", "is_from_cupy"]

_INSTALL = 'pip install "cupy-cuda13x[ctk]", or "cupy-cuda12x[ctk]" for a driver older than 580'

# code: (cause, fix). A new cause is a new row here, and a check in `diagnose` or `code_of`.
CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "usable": ("GPU {index} is usable", ""),
    "no-wheel": (
        "CuPy is not installed, and there is no CuPy wheel for macOS",
        "use --device cpu, or a Linux or Windows machine with an NVIDIA GPU",
    ),
    "not-installed": ("CuPy is not installed", _INSTALL),
    "two-wheels": (
        "{wheels} overwrite each other's files",
        f"pip uninstall -y {{names}}, then {_INSTALL}",
    ),
    "shadowed": ("{file} is imported instead of CuPy", "rename this file, or leave its folder"),
    "numpy-unsupported": (
        "{wheel} supports NumPy {range} and cannot be imported with {numpy} ({error})",
        'pip install "numpy{range}"',
    ),
    "broken-install": (
        "CuPy is installed but cannot be imported ({error})",
        'pip uninstall -y {wheel}, then pip install "cupy-{extra}x[ctk]"',
    ),
    "stub-library": (
        "the driver library is a stub, made for linking only",
        "remove the folder named stubs from LD_LIBRARY_PATH",
    ),
    "no-driver": (
        "no NVIDIA driver was found",
        "install one from nvidia.com/drivers (WSL: in Windows; container: run it with --gpus all)",
    ),
    "no-driver-library": (
        "the NVIDIA driver {number} is in the kernel, but its library libcuda cannot be found",
        "install that library (container: set NVIDIA_DRIVER_CAPABILITIES=compute,utility)",
    ),
    "driver-too-old": (
        "the NVIDIA driver supports CUDA {driver}, too old for CUDA {runtime} of {wheel}",
        "update the driver to one for CUDA {major}.0 or newer{or_swap}",
    ),
    "driver-mismatch": (
        "the NVIDIA driver in the kernel and its library have different versions (error 803)",
        "restart the machine; in a container, remove its own NVIDIA driver libraries",
    ),
    "not-ready": (
        "the GPUs are not ready yet (error 802)",
        "start their fabric manager: sudo systemctl start nvidia-fabricmanager",
    ),
    "no-device": (
        "the NVIDIA driver finds no GPU",
        "check that nvidia-smi -L lists one (container: run it with --gpus all)",
    ),
    "hidden-device": (
        "CUDA_VISIBLE_DEVICES={visible} hides all GPUs",
        "unset CUDA_VISIBLE_DEVICES, or set it to a GPU that nvidia-smi -L lists",
    ),
    "no-such-device": (
        "no GPU {index}: {n_devices} visible, counted from 0",
        "choose gpu:{last} or lower; CUDA_VISIBLE_DEVICES may hide others",
    ),
    "libraries-missing": (
        "{libraries} cannot be loaded, but {wheel} needs them",
        '{add_or}pip install "cupy-{extra}x[ctk]"',
    ),
    "libraries-mixed": (
        "{wheel} finds the libraries of CUDA 13 before its own ({libraries} cannot be loaded)",
        'pip uninstall -y {strangers}, then pip install "cupy-cuda12x[ctk]"',
    ),
    "headers-missing": (
        "the CUDA headers cannot be found, but {wheel} needs them to compile",
        'pip install "cupy-{extra}x[ctk]", or set CUDA_PATH to a toolkit that has them',
    ),
    "headers-mixed": (
        "NVRTC of CUDA {nvrtc} cannot compile the headers of CUDA {headers} in {folder}",
        '{uninstall}pip install "cupy-{extra}x[ctk]" and unset CUDA_PATH, for both of one version',
    ),
    "device-too-old": (
        "GPU {index} has compute capability {capability}; {wheel} has NVRTC for {oldest} and newer",
        "use a newer GPU{or_swap}",
    ),
    "tf32": (
        "CUPY_TF32={value} would round the factors of float32 products to 10 bits, silently",
        "unset CUPY_TF32",
    ),
    "device-busy": (
        "GPU {index} is busy: another program has exclusive use of it, or computing is disabled",
        "end that program (nvidia-smi lists it), or run nvidia-smi -i {index} -c DEFAULT as root",
    ),
    "out-of-memory": (
        "GPU {index} has no memory left ({error})",
        "end other programs on it (nvidia-smi lists them), or choose another GPU",
    ),
    "no-kernel": (
        "the CUDA libraries have no code for GPU {index} ({error})",
        'pip install --upgrade --upgrade-strategy eager "cupy-{extra}x[ctk]", for newer GPUs',
    ),
    "memory-fault": (
        "the memory of GPU {index} has an uncorrectable error ({error})",
        "reset it: nvidia-smi -r -i {index} as root, or restart the machine",
    ),
    "cache-unwritable": (
        "CuPy cannot write the files of a compiled kernel ({error})",
        "set CUPY_CACHE_DIR and TMPDIR to writable folders with free space",
    ),
    "wrong-product": (
        "GPU {index} computes x @ weight + bias wrongly: the error is {excess:.3g} times its bound",
        "check nvidia-smi -q for memory errors and update the driver; until then use --device cpu",
    ),
    "cuda-error": (
        "CUDA error: {error}",
        "run nvidia-smi; if it fails too, restart the machine or reinstall the driver",
    ),
}
# Values of cudaError_t and CUresult, which agree in these, and of cublasStatus_t.
_CUDA_CODES: Final[dict[int | None, str]] = {
    2: "out-of-memory",
    34: "stub-library",
    46: "device-busy",
    209: "no-kernel",
    214: "memory-fault",
    802: "not-ready",
    803: "driver-mismatch",
}
_CODES: Final[dict[str, dict[int | None, str]]] = {
    "CUDARuntimeError": _CUDA_CODES,
    "CUDADriverError": _CUDA_CODES,
    "CUBLASError": {3: "out-of-memory", 8: "no-kernel"},
    "OutOfMemoryError": {None: "out-of-memory"},
}
# NVRTC's message: the file, the line and the error.
_FIRST_ERROR = re.compile(r"^(.*)\([0-9]+\): (?:catastrophic )?error", re.MULTILINE)
_NOT_INITIALIZED = "CUBLASError", 1
# Opening cuBLAS takes its kernels and a workspace of at most 32 MiB: estimated, with a margin.
_CUBLAS_BYTES = 2**29


def diagnosis_of(code: str, **facts: object) -> Diagnosis:
    """Return the diagnosis of a code, with the facts inserted."""
    cause, fix = CAUSES[code]
    return Diagnosis(code, cause.format(**facts), fix.format(**facts))


def is_from_cupy(error: BaseException) -> bool:
    """Return whether CuPy raised an error, or the system did (a full disk) in a call by CuPy."""
    if not isinstance(error, OSError):
        return type(error).__module__.startswith("cupy")
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    packages = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames]
    return [name for name in packages if name in {"cupy", "xpnet"}][-1:] == ["cupy"]


def code_of(error: BaseException, index: int | None = None) -> str:
    """Return the code of the cause of an error of CuPy on a GPU, the current one by default."""
    name, status = type(error).__name__, getattr(error, "status", None)
    if isinstance(error, OSError) and error.errno is not None:  # none if a library cannot be loaded
        return "cache-unwritable"
    if (name, status) == _NOT_INITIALIZED:
        # On a full GPU, cuBLAS cannot be opened (cupy#3935), nor its free memory be asked for in a
        # new context. There are other reasons where memory is free.
        free = result_or_none(lambda: free_bytes(index)) or 0
        return "cuda-error" if free > _CUBLAS_BYTES else "out-of-memory"
    if name == "CompileException" and _is_by_headers(error):
        return "headers-mixed"
    return _CODES.get(name, {}).get(status, "cuda-error")


def _is_by_headers(error: BaseException) -> bool:
    """Return whether a compilation failed in headers of another CUDA, not in the kernel."""
    found = _FIRST_ERROR.search(str(error))
    in_header = found is not None and Path(found[1]).suffix not in {"", ".cu"}
    return in_header and len({nvrtc_version(), header_version()} - {None}) > 1


def cause_of(error: Exception, index: int = 0) -> Diagnosis:
    """Return the cause of an error that CuPy raised on a GPU."""
    code, facts = code_of(error, index), wheel_facts()
    if code == "headers-mixed":
        strangers = facts["strangers"]
        facts["uninstall"] = f"pip uninstall -y {strangers}, then " if strangers else ""
        facts["folder"] = one_line(header_folder())
        facts |= {"nvrtc": str(nvrtc_version()), "headers": str(header_version())}
    return diagnosis_of(code, index=index, error=one_line(error), **facts)
