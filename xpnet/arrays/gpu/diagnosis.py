"""Diagnosis of an unusable GPU.

CuPy's own errors are misleading: without a driver every array raises "driver version is
insufficient", two wheels at once raise an internal error, and missing CUDA libraries show at the
first matrix product. `diagnose` checks in the order of the dependencies, so that the first cause
found is the one to fix.

Importing this module does not import CuPy, and a diagnosis opens no context on the device unless
``check=True``.
"""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from xpnet.arrays.device_errors import Diagnosis
from xpnet.arrays.gpu.gpu_errors import cause_of, diagnosis_of
from xpnet.arrays.gpu.gpu_facts import (
    CUDA13_LIBRARIES,
    WHEELS,
    compiler_options,
    compute_capability,
    driver_number,
    import_cupy,
    installed,
    library_folders,
    numpy_range,
    one_line,
    result_or_error,
    result_or_none,
    version_text,
    wheel_facts,
)

__all__ = ["diagnose"]

# CUDA encodes version 12.4 as 12040. A driver supports all minor versions of its major version.
_CUDA12, _CUDA13 = 12000, 13000
_OLDEST_OF_CUDA12 = 50  # compute capability 5.0
# Values of cudaError_t.
_INSUFFICIENT_DRIVER, _NO_DEVICE = 35, 100


def diagnose(index: int = 0, *, check: bool = False) -> Diagnosis:
    """Return a `Diagnosis`: GPU `index` (from 0) is usable, or the first cause found and its fix.

    Nothing is raised, warned or printed. With `check`, a small product on the GPU is compared with
    the host's; the first call takes seconds, to open a context and to compile.
    """
    cause = (
        _in_installation()
        or _in_driver(index)
        or _in_libraries()
        or _in_device(index)
        or _in_tf32()
    )
    if cause is not None or not check:
        return cause or diagnosis_of("usable", index=index)
    error = result_or_error(lambda: _product_error(index))
    if isinstance(error, Exception):
        return cause_of(error, index)
    # `error <= 1` is false for NaN, which is wrong as well.
    code = "usable" if error <= 1 else "wrong-product"
    return replace(diagnosis_of(code, index=index, excess=error), product_error=error)


def _in_installation() -> Diagnosis | None:
    import importlib.util

    wheels = installed(WHEELS)
    # Before the import, whose error depends on which of two wheels was installed last.
    if len(wheels) > 1:
        return diagnosis_of("two-wheels", wheels=" and ".join(wheels), names=" ".join(wheels))
    error = result_or_error(import_cupy)
    if not isinstance(error, Exception):
        return None
    module = sys.modules.get("cupy") if isinstance(error, AttributeError) else None
    file = getattr(module, "__file__", None)
    if not file:  # a file cupy.py may be found before the package CuPy
        spec = result_or_none(lambda: importlib.util.find_spec("cupy"))
        file = spec.origin if spec and Path(spec.origin or "").name == "cupy.py" else None
    if file:
        return diagnosis_of("shadowed", file=one_line(file))
    is_absent = isinstance(error, ModuleNotFoundError) and error.name == "cupy"
    if module is not None or is_absent:
        if not wheels:
            return diagnosis_of("no-wheel" if sys.platform == "darwin" else "not-installed")
        error = FileNotFoundError("its files are gone")
    return _in_import(error)


def _in_import(error: Exception) -> Diagnosis:
    """Return the cause of a failed import of an installed CuPy."""
    import numpy as np

    if isinstance(error, OSError) and error.filename:  # the import creates this folder
        return cause_of(error)
    facts = wheel_facts()
    # CuPy wraps the error in a page of advice; the reason is its cause.
    facts["error"] = one_line(error.__cause__ or error)
    needed = numpy_range(facts["wheel"])
    if needed and not _is_within(np.__version__, needed):
        return diagnosis_of("numpy-unsupported", range=needed, numpy=np.__version__, **facts)
    return diagnosis_of("broken-install", **facts)


def _is_within(version: str, versions: str) -> bool:
    """Return whether a version is within a range such as ``<2.6,>=2.0``."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"[0-9]+", text)[:3]))

    bounds = re.findall(r"(<|>=)([0-9.]+)", versions)
    return all((numbers(version) < numbers(bound)) == (sign == "<") for sign, bound in bounds)


def _in_driver(index: int) -> Diagnosis | None:
    import cupy

    runtime = cupy.cuda.runtime
    n_devices = result_or_error(runtime.getDeviceCount)
    if isinstance(n_devices, Exception):
        status = getattr(n_devices, "status", None)
        if status == _INSUFFICIENT_DRIVER:
            return _insufficient_driver(runtime, n_devices)
        if status != _NO_DEVICE:
            return cause_of(n_devices, index)
        n_devices = 0
    if n_devices == 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return diagnosis_of("no-device")
        return diagnosis_of("hidden-device", visible=repr(one_line(visible)))
    if not 0 <= index < n_devices:
        last = n_devices - 1
        return diagnosis_of("no-such-device", index=index, n_devices=n_devices, last=last)
    return None


def _insufficient_driver(runtime: Any, error: Exception) -> Diagnosis:
    """Distinguish no driver from an old one: CUDA raises error 35 for both."""
    driver, needed = result_or_error(runtime.driverGetVersion), runtime.runtimeGetVersion()
    if driver == 0 or isinstance(driver, Exception):
        number = driver_number()
        return diagnosis_of("no-driver-library" if number else "no-driver", number=number)
    if driver // 1000 >= needed // 1000:
        return cause_of(error)
    facts: dict[str, Any] = {"driver": version_text(driver), "runtime": version_text(needed)}
    or_swap = f"; or {_swap()}" if needed >= _CUDA13 > driver >= _CUDA12 else ""
    return diagnosis_of(
        "driver-too-old", major=needed // 1000, or_swap=or_swap, **facts, **wheel_facts()
    )


def _swap() -> str:
    """Return the commands that replace CUDA 13 by 12, including CUDA13_LIBRARIES."""
    names = " ".join((wheel_facts()["wheel"], *CUDA13_LIBRARIES))
    return f'pip uninstall -y {names}, then pip install "cupy-cuda12x[ctk]"'


def _in_libraries() -> Diagnosis | None:
    import cupy

    # CuPy loads these at first use; cudart is built in.
    loaded = {
        "cuBLAS": result_or_error(lambda: cupy.cuda.cublas),
        "NVRTC": result_or_error(cupy.cuda.nvrtc.getVersion),
    }
    failed = [name for name, outcome in loaded.items() if isinstance(outcome, Exception)]
    if failed:
        facts = wheel_facts()
        folders = library_folders(failed, cupy.cuda.runtime.runtimeGetVersion() // 1000)
        add = f"add {folders}, outside site-packages, to LD_LIBRARY_PATH, or "
        # Of several long folders, a part would help nobody.
        facts["add_or"] = add if folders and folders == one_line(folders) else ""
        code = "libraries-mixed" if facts["strangers"] else "libraries-missing"
        return diagnosis_of(code, libraries=", ".join(failed), **facts)
    if type(result_or_error(compiler_options)) is RuntimeError:
        return diagnosis_of("headers-missing", **wheel_facts())
    return None


def _in_device(index: int) -> Diagnosis | None:
    import cupy

    capability = result_or_error(lambda: compute_capability(index))
    if isinstance(capability, Exception):
        return cause_of(capability, index)
    oldest = min(result_or_none(cupy.cuda.nvrtc.getSupportedArchs) or (0,))
    if capability >= oldest:
        return None
    facts = wheel_facts()
    can_swap = capability >= _OLDEST_OF_CUDA12 and facts["extra"] == "cuda13"
    facts["or_swap"] = f", or {_swap()}" if can_swap else ""
    numbers = {"capability": capability / 10, "oldest": oldest / 10}
    return diagnosis_of("device-too-old", index=index, **numbers, **facts)


def _in_tf32() -> Diagnosis | None:
    value = os.environ.get("CUPY_TF32", "0")
    return None if value == "0" else diagnosis_of("tf32", value=one_line(value))


def _product_error(index: int) -> float:
    """Return the largest error of the GPU's x @ weight + bias, in units of its rounding bound.

    The bound on the distance from the value in float64 is gamma (abs(x) @ abs(weight) + abs(bias)),
    where gamma = n u / (1 - n u), u = 2**-24 and n is the number of terms, for any order of
    summation.
    """
    import cupy
    import numpy as np

    n_in = 64
    draw = np.random.default_rng(0).standard_normal
    x, weight, bias = (draw(shape, dtype=np.float32) for shape in ((32, n_in), (n_in, 16), 16))
    with cupy.cuda.Device(index):
        on_device = cupy.asarray(x) @ cupy.asarray(weight) + cupy.asarray(bias)
        # This reduction compiles CUB, which fails with the headers of another CUDA (cupy#9719).
        (on_device > 0).any()
        computed = cupy.asnumpy(on_device).astype(np.float64)
    # The float32 values are exact in float64, in which the host computes the reference.
    exact = x.astype(np.float64) @ weight.astype(np.float64) + bias
    rounding = (n_in + 1) * 2.0**-24
    gamma = rounding / (1 - rounding)
    bound = gamma * (abs(x) @ abs(weight) + abs(bias))
    return float(np.max(abs(computed - exact) / bound))
