"""Causes of errors that CuPy raises while it computes."""

import re
import traceback
from pathlib import Path
from typing import Final

from xpnet.arrays.gpu.gpu_errors import Diagnosis, describe
from xpnet.arrays.gpu.gpu_info import (
    CUDA13_LIBRARIES,
    WHEELS,
    extra_of,
    free_bytes,
    header_folder,
    header_version,
    installed,
    nvrtc_version,
    one_line,
    result_or_none,
)

__all__ = ["cause_of", "code_of", "is_from_cupy"]

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


def is_from_cupy(error: BaseException) -> bool:
    """Return whether CuPy raised an error, or the system did in a call by CuPy.

    For example, the disk may be full when CuPy saves a compiled kernel.
    """
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
    code, extra = code_of(error, index), extra_of(installed(WHEELS))
    facts = _header_facts(extra) if code == "headers-mixed" else {}
    return describe(code, index=index, error=one_line(error), extra=extra, **facts)


def _header_facts(extra: str) -> dict[str, object]:
    strangers = " ".join(installed(CUDA13_LIBRARIES)) if extra == "cuda12" else ""
    return {
        "nvrtc": nvrtc_version(),
        "headers": header_version(),
        "folder": one_line(header_folder()),
        "uninstall": f"pip uninstall -y {strangers}, then " if strangers else "",
    }
