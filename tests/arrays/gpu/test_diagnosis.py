"""Diagnosis of each cause, with a fake CuPy and, if installed, the real one on a fake driver."""

import importlib.metadata
import os
import pickle
import shutil
import site
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xpnet.arrays.gpu import gpu_facts as gpu_facts_module
from xpnet.arrays.gpu.diagnosis import diagnose
from xpnet.arrays.gpu.gpu_errors import CAUSES, DeviceError, Diagnosis, cause_of, diagnosis_of
from xpnet.arrays.gpu.gpu_facts import WHEELS, gpu_facts, installed, one_line


class CUDARuntimeError(RuntimeError):
    """CuPy's error of this name, which is recognized by its name and status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CUBLASError(CUDARuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):  # noqa: N818 (CuPy's name)
    pass


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


@dataclass
class Machine:
    """A machine with CuPy and two GPUs; each cause is this machine with one fault."""

    wheels: tuple[str, ...] = ("cupy-cuda13x",)
    libraries: tuple[str, ...] = ()
    again: dict[str, str] = field(default_factory=dict)  # versions installed a second time
    requires: tuple[str, ...] = ("numpy<99,>=2.0", "cuda-pathfinder==1.*")
    cupy_source: str = ""  # a package to import instead of the fake module
    cupy_file: str = "cupy/__init__.py"
    platform: str = "linux"
    kernel: str = ""  # version line of the driver in the kernel
    driver: int = 13000
    runtime: int = 13020
    error: CUDARuntimeError | None = None
    n_devices: int = 2
    capability: tuple[int, int] = (9, 0)
    missing: tuple[str, ...] = ()
    headers: Exception | Path | None = None  # the folder of the headers, or the error without one
    to_device: Callable[[Any], Any] = np.asarray
    environ: dict[str, str] = field(default_factory=dict)

    def cupy(self) -> Any:
        def get_device_properties(index: int) -> dict[str, Any]:
            major, minor = self.capability
            name = f"Fake {index}".encode()
            return {"name": name, "totalGlobalMem": 8 << 30, "major": major, "minor": minor}

        def assemble_cupy_compiler_options(options: tuple[str, ...]) -> tuple[str, ...]:
            if isinstance(self.headers, Exception):
                raise self.headers
            return options if self.headers is None else ("-std=c++17", f"-I{self.headers}")

        module: Any = ModuleType("cupy")
        module.__version__, module.__path__ = "14.2.0", ["/site/cupy"]
        module.asarray, module.asnumpy = self.to_device, np.asarray
        core = SimpleNamespace(assemble_cupy_compiler_options=assemble_cupy_compiler_options)
        vars(module)["_core"] = SimpleNamespace(core=core)
        module.cuda = FakeCuda(self.missing)
        count = (lambda: self.n_devices) if self.error is None else raising(self.error)
        module.cuda.runtime = SimpleNamespace(
            driverGetVersion=lambda: self.driver,
            runtimeGetVersion=lambda: self.runtime,
            getDeviceCount=count,
            getDeviceProperties=get_device_properties,
            deviceGetPCIBusId=lambda index: f"0000:0{index}:00.0",
            memGetInfo=lambda: (6 << 30, 8 << 30),
        )
        return module

    def distributions(self, name: str) -> list[Any]:
        first = {*self.wheels, *self.libraries} & {name}
        return [
            SimpleNamespace(version=version, locate_file=lambda _, folder=folder: folder)
            for version, folder in [
                *(("1.0", "/site") for _ in first),
                *((self.again[found], "/user") for found in self.again if found == name),
            ]
        ]


class FakeCuda:
    """The libraries that CuPy loads at first use: cuBLAS as an attribute, NVRTC by a call."""

    runtime: Any

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing
        self.nvrtc = SimpleNamespace(
            getVersion=lambda: self.load("NVRTC") and (13, 2),
            getSupportedArchs=lambda: (75, 90, 120),
        )

    @property
    def cublas(self) -> str:
        return self.load("cuBLAS")

    def load(self, name: str) -> str:
        if name in self.missing:
            raise ImportError(name)
        return name

    class Device:
        def __init__(self, index: int | None = None) -> None:
            self.index = index

        def __enter__(self) -> None:
            assert self.index in {None, 0, 1}

        def __exit__(self, *exception: object) -> None:
            pass


Become = Callable[[Machine], None]
VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_PATH")


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Become:
    """Return a function that simulates a machine in this process."""

    def become(machine: Machine) -> None:
        monkeypatch.setattr(importlib.metadata, "distributions", machine.distributions)
        monkeypatch.setattr(importlib.metadata, "requires", lambda _: list(machine.requires))
        monkeypatch.setattr(sys, "platform", machine.platform)
        kernel = tmp_path / "version"
        if machine.kernel:
            kernel.write_text(machine.kernel, encoding="utf-8")
        monkeypatch.setattr(gpu_facts_module, "_DRIVER_FILE", kernel)
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in machine.environ.items():
            monkeypatch.setenv(name, value)
        fake = machine.cupy() if machine.wheels else None  # None: the import finds no module
        monkeypatch.setitem(sys.modules, "cupy", fake)
        monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
        if machine.cupy_source:
            file = tmp_path / machine.cupy_file
            file.parent.mkdir(exist_ok=True)
            file.write_text(machine.cupy_source, encoding="utf-8")
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.delitem(sys.modules, "cupy")

    return become


def as_tf32(x: np.ndarray) -> np.ndarray:
    """Round to 10 bits after the point towards zero, as tensor cores do."""
    bits = x.view(np.uint32) & np.uint32(0xFFFFE000)
    return bits.view(np.float32)


BROKEN = """
import sys, warnings
print("noise", file=sys.stderr)
warnings.warn("noise")
try:
    raise ImportError("libfoo.so:\\n  no such file")
except ImportError as error:
    raise ImportError("a page of advice") from error
"""

INSUFFICIENT = CUDARuntimeError(35, "driver version is insufficient")
KERNEL = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release\n"
SWAP = (
    "pip uninstall -y cupy-cuda13x nvidia-cublas nvidia-cuda-nvrtc nvidia-cuda-runtime, then"
    ' pip install "cupy-cuda12x[ctk]"'
)
WHEEL = {"wheel": "cupy-cuda13x", "extra": "cuda13"}
TOO_OLD_DRIVER = WHEEL | {"runtime": "13.2", "major": 13}
TOO_OLD_GPU = WHEEL | {"oldest": 7.5}

# code, machine, and the facts in the sentence for GPU 1
CASES: list[tuple[str, Machine, dict[str, object]]] = [
    ("usable", Machine(), {}),
    ("no-wheel", Machine(wheels=(), platform="darwin"), {}),
    ("not-installed", Machine(wheels=()), {}),
    (
        "two-wheels",
        Machine(wheels=("cupy-cuda12x", "cupy-cuda13x"), cupy_source=BROKEN),
        {"wheels": "cupy-cuda13x and cupy-cuda12x", "names": "cupy-cuda13x cupy-cuda12x"},
    ),
    (
        "broken-install",
        Machine(wheels=("cupy-cuda12x",), cupy_source=BROKEN),
        {"error": "libfoo.so: no such file", "wheel": "cupy-cuda12x", "extra": "cuda12"},
    ),
    (
        "numpy-unsupported",
        Machine(cupy_source=BROKEN, requires=("numpy<2.0,>=1.26",)),
        WHEEL
        | {"range": "<2.0,>=1.26", "numpy": np.__version__, "error": "libfoo.so: no such file"},
    ),
    (
        "cache-unwritable",
        Machine(cupy_source="raise NotADirectoryError(20, 'Not a directory', '/dev/null/x')"),
        {"error": "[Errno 20] Not a directory: '/dev/null/x'"},
    ),
    ("stub-library", Machine(error=CUDARuntimeError(34, "stub")), {}),
    ("no-driver", Machine(driver=0, error=INSUFFICIENT), {}),
    (
        "no-driver-library",
        Machine(driver=0, error=INSUFFICIENT, kernel=KERNEL),
        {"number": "580.95.05"},
    ),
    (
        "driver-too-old",
        Machine(driver=12040, error=INSUFFICIENT),
        TOO_OLD_DRIVER | {"driver": "12.4", "or_swap": f"; or {SWAP}"},
    ),
    (
        "driver-too-old",  # for both extras: only a new driver helps
        Machine(driver=11040, error=INSUFFICIENT),
        TOO_OLD_DRIVER | {"driver": "11.4", "or_swap": ""},
    ),
    ("driver-mismatch", Machine(error=CUDARuntimeError(803, "mismatch")), {}),
    ("not-ready", Machine(error=CUDARuntimeError(802, "not ready")), {}),
    ("no-device", Machine(error=CUDARuntimeError(100, "no device")), {}),
    (
        "hidden-device",
        Machine(n_devices=0, environ={"CUDA_VISIBLE_DEVICES": ""}),
        {"visible": "''"},
    ),
    ("no-such-device", Machine(n_devices=1), {"n_devices": 1, "last": 0}),
    (
        "libraries-missing",
        Machine(missing=("cuBLAS", "NVRTC")),
        WHEEL | {"libraries": "cuBLAS, NVRTC", "add_or": ""},
    ),
    (
        "libraries-missing",  # the libraries of CUDA 13 belong to a wheel for CUDA 13
        Machine(missing=("NVRTC",), libraries=("nvidia-cublas",)),
        WHEEL | {"libraries": "NVRTC", "add_or": ""},
    ),
    (
        "libraries-mixed",
        Machine(wheels=("cupy-cuda12x",), missing=("cuBLAS",), libraries=("nvidia-cublas",)),
        {"wheel": "cupy-cuda12x", "libraries": "cuBLAS", "strangers": "nvidia-cublas"},
    ),
    ("headers-missing", Machine(headers=RuntimeError("Failed to find CUDA headers.")), WHEEL),
    (
        "device-too-old",
        Machine(capability=(7, 0)),
        TOO_OLD_GPU | {"capability": 7.0, "or_swap": f", or {SWAP}"},
    ),
    (
        "device-too-old",  # for CUDA 12 as well
        Machine(capability=(3, 7)),
        TOO_OLD_GPU | {"capability": 3.7, "or_swap": ""},
    ),
    ("tf32-unreadable", Machine(environ={"CUPY_TF32": "yes"}), {"value": "'yes'"}),
    ("tf32-unasked", Machine(environ={"CUPY_TF32": "1"}), {"value": 1}),
    ("device-busy", Machine(to_device=raising(CUDARuntimeError(46, "unavailable"))), {}),
    (
        "out-of-memory",
        Machine(to_device=raising(OutOfMemoryError("allocating 1,024 bytes"))),
        {"error": "allocating 1,024 bytes"},
    ),
    (
        "no-kernel",
        Machine(to_device=raising(CUBLASError(8, "CUBLAS_STATUS_ARCH_MISMATCH"))),
        WHEEL | {"error": "CUBLAS_STATUS_ARCH_MISMATCH"},
    ),
    (
        "memory-fault",
        Machine(to_device=raising(CUDARuntimeError(214, "cudaErrorECCUncorrectable"))),
        {"error": "cudaErrorECCUncorrectable"},
    ),
    (
        "wrong-product",
        Machine(to_device=lambda x: x * np.float32("nan")),
        {"excess": float("nan")},
    ),
    (
        "cuda-error",
        Machine(error=CUDARuntimeError(999, "unknown\nerror")),
        {"error": "unknown error"},
    ),
    (
        "cuda-error",  # a new driver is not reported as too old
        Machine(driver=13030, error=INSUFFICIENT),
        {"error": "driver version is insufficient"},
    ),
]


@pytest.mark.parametrize("code", CAUSES)
def test_every_row_of_the_table_has_a_case(code: str) -> None:
    # These have their own tests, because the names of files vary.
    assert code in {"shadowed", "headers-mixed", *(case[0] for case in CASES)}


@pytest.mark.parametrize(("code", "machine", "facts"), CASES)
def test_each_cause_has_its_code_and_facts(
    become: Become,
    capfd: pytest.CaptureFixture[str],
    code: str,
    machine: Machine,
    facts: dict[str, object],
) -> None:
    become(machine)
    diagnosis = diagnose(1, check=True)
    assert diagnosis.code == code
    assert str(diagnosis) == str(diagnosis_of(code, index=1, **facts))
    assert diagnosis.usable == (code == "usable") == (not diagnosis.fix)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (Machine(), "GPU 0 is usable"),
        (
            Machine(wheels=()),
            (
                'CuPy is not installed; pip install "cupy-cuda13x[ctk]", or "cupy-cuda12x[ctk]"'
                " for a driver older than 580"
            ),
        ),
        (
            Machine(driver=12040, error=INSUFFICIENT),
            (
                "the NVIDIA driver supports CUDA 12.4, too old for CUDA 13.2 of cupy-cuda13x;"
                f" update the driver to one for CUDA 13.0 or newer; or {SWAP}"
            ),
        ),
        (
            Machine(to_device=lambda x: x * np.float32("inf")),
            (
                "GPU 0 computes x @ weight + bias wrongly: the error is nan times its bound; check"
                " nvidia-smi -q for memory errors and update the driver; until then use --device"
                " cpu"
            ),
        ),
    ],
)
def test_a_sentence_is_cause_and_fix(become: Become, machine: Machine, sentence: str) -> None:
    become(machine)
    with np.errstate(invalid="ignore"):
        assert str(diagnose(check=True)) == sentence


def test_no_two_causes_share_a_sentence() -> None:
    messages = [message for message, _ in CAUSES.values()]
    assert len(set(messages)) == len(messages)
    fixes = [fix for _, fix in CAUSES.values()]
    assert len(set(fixes)) == len(fixes)


@pytest.mark.parametrize(
    "machine",
    [
        Machine(cupy_source=f"raise ImportError('{'long ' * 200}')"),
        Machine(error=CUDARuntimeError(999, "x\n" * 2000)),
        Machine(n_devices=0, environ={"CUDA_VISIBLE_DEVICES": "GPU-0123\n" * 99}),
        Machine(wheels=("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-rocm-7-14", "amd-cupy")),
        Machine(environ={"CUPY_TF32": "9" * 999}),
        Machine(environ={"CUPY_TF32": "long" * 999}),
        Machine(cupy_source=f"raise ImportError('{'long ' * 200}')", requires=("numpy<1",)),
    ],
)
def test_a_long_fact_leaves_a_short_line(become: Become, machine: Machine) -> None:
    become(machine)
    diagnosis = diagnose()
    assert len(str(diagnosis).splitlines()) == 1
    assert 100 < len(str(diagnosis)) <= 400
    assert diagnosis.fix in str(diagnosis)


def test_warnings_of_the_import_are_suppressed(become: Become) -> None:
    become(
        Machine(cupy_source="import warnings\nwarnings.warn('noise')\nclass cuda:\n  runtime = 0")
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facts = gpu_facts()
    assert caught == []
    assert facts["wheels"] == ["cupy-cuda13x"]


def test_the_product_is_checked_only_on_request(become: Become) -> None:
    become(Machine(to_device=lambda x: x + 1))
    assert diagnose().usable
    assert diagnose(check=True).code == "wrong-product"


@pytest.mark.parametrize("source", ["answer = 42", "import cupy as cp\nx = cp.arange(10)"])
def test_a_file_that_shadows_cupy_is_named(become: Become, tmp_path: Path, source: str) -> None:
    become(Machine(cupy_source=source, cupy_file="cupy.py"))
    diagnosis = diagnose()
    assert diagnosis.code == "shadowed"
    assert diagnosis.message == f"{one_line(tmp_path / 'cupy.py')} is imported instead of CuPy"
    assert diagnosis.fix == "rename this file, or leave its folder"


@pytest.mark.parametrize("leaves_folders", [False, True])
@pytest.mark.parametrize("wheels", [(), ("cupy-cuda13x",)])
def test_remains_of_an_uninstallation(
    become: Become,
    monkeypatch: pytest.MonkeyPatch,
    wheels: tuple[str, ...],
    *,
    leaves_folders: bool,
) -> None:
    become(Machine(wheels=wheels))
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy") if leaves_folders else None)
    diagnosis = diagnose()
    if wheels:
        assert diagnosis.message.endswith("cannot be imported (its files are gone)")
        assert diagnosis.fix.startswith("pip uninstall -y cupy-cuda13x, then pip install")
    else:
        assert diagnosis.code == "not-installed"


def test_a_missing_dependency_of_cupy(become: Become) -> None:
    become(Machine(cupy_source="import no_such_module"))
    assert "(No module named 'no_such_module')" in diagnose().message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CUDARuntimeError(2, "out of memory"), "out-of-memory"),
        (CUDARuntimeError(209, "no kernel image"), "no-kernel"),
        (CUBLASError(3, "ALLOC_FAILED"), "out-of-memory"),
        (CUBLASError(2, "another library's 2"), "cuda-error"),
        (MemoryError("the host's"), "cuda-error"),
        (PermissionError(13, "Permission denied", "/cache/1"), "cache-unwritable"),
        (OSError(28, "No space left on device"), "cache-unwritable"),  # in writing: no name
        (OSError("libfoo.so: cannot open"), "cuda-error"),
        (CompileException("incomplete type"), "cuda-error"),
        (CUDARuntimeError(719, "launch\nfailure"), "cuda-error"),
    ],
)
def test_an_error_in_the_product(become: Become, error: Exception, code: str) -> None:
    become(Machine(to_device=raising(error)))
    diagnosis = diagnose(check=True)
    assert diagnosis == cause_of(error)
    assert diagnosis.code == code
    assert diagnosis.product_error is None
    if code == "cuda-error":
        assert diagnosis.message == f"CUDA error: {' '.join(str(error).split())}"


@pytest.mark.parametrize(
    ("free", "code"),
    [(0, "out-of-memory"), (100 << 20, "out-of-memory"), (6 << 30, "cuda-error")],
)
def test_cublas_that_cannot_be_opened(become: Become, free: int, code: str) -> None:
    become(Machine(to_device=raising(CUBLASError(1, "CUBLAS_STATUS_NOT_INITIALIZED"))))
    runtime = sys.modules["cupy"].cuda.runtime
    runtime.memGetInfo = lambda: (free, 8 << 30)
    diagnosis = diagnose(1, check=True)
    assert diagnosis.code == code
    assert "CUBLAS_STATUS_NOT_INITIALIZED" in diagnosis.message
    runtime.memGetInfo = raising(CUDARuntimeError(999, "unknown"))
    assert diagnose(1, check=True).code == "out-of-memory"  # as memory for a context may be


@pytest.mark.parametrize(
    ("wheel", "libraries", "fix"),
    [
        ("cupy-cuda13x", ("nvidia-cuda-runtime",), 'pip install "cupy-cuda13x[ctk]" and unset'),
        (
            "cupy-cuda12x",
            ("nvidia-cuda-runtime-cu12",),
            'pip install "cupy-cuda12x[ctk]" and unset',
        ),
        (
            "cupy-cuda12x",
            ("nvidia-cuda-runtime",),
            'pip uninstall -y nvidia-cuda-runtime, then pip install "cupy-cuda12x[ctk]" and unset',
        ),
    ],
)
def test_headers_of_another_cuda(
    become: Become, tmp_path: Path, wheel: str, libraries: tuple[str, ...], fix: str
) -> None:
    header = tmp_path / "cuda_runtime_api.h"
    header.write_text("/* CUDART_VERSION 1 */\n#define CUDART_VERSION  12040\n", encoding="ascii")
    compiler = CompileException('storage.h(137): error: incomplete type "__nv_fp8_e8m0"')
    same = {"wheels": (wheel,), "libraries": libraries, "headers": tmp_path}
    become(Machine(**same, to_device=raising(compiler)))
    diagnosis = diagnose(check=True)
    assert diagnosis.code == "headers-mixed"
    found = f"NVRTC of CUDA 13.2 cannot compile the headers of CUDA 12.4 in {one_line(tmp_path)}"
    assert diagnosis.message == found
    assert diagnosis.fix.startswith(fix)
    assert diagnose().usable  # without an error, other headers are no cause: most can be compiled
    # Nor if the error is in the kernel itself, whose file CuPy names so.
    for file in ("/tmp/tmp8x/0a1b.cubin.cu", "default_program"):
        kernel = CompileException(f"a.h(1): warning: old\n{file}(7): error: no operator")
        become(Machine(**same, to_device=raising(kernel)))
        diagnosis = diagnose(check=True)
        assert diagnosis.code == "cuda-error"
        assert f"{file}(7): error: no operator" in diagnosis.message
    become(Machine(**same, to_device=raising(compiler)))
    facts = gpu_facts()
    assert (facts["headers_version"], facts["headers_path"]) == ("12.4", str(tmp_path))
    header.write_text("#define CUDART_VERSION 13020\n", encoding="ascii")
    assert diagnose(check=True).code == "cuda-error"


def test_the_check_computes_a_reduction(become: Become) -> None:
    # CuPy compiles it with CUB, which fails with some headers where a product does not.
    class Array(np.ndarray):
        def any(self, *_: object, **__: object) -> Any:
            raise CompileException

    become(Machine(to_device=lambda x: x.view(Array)))
    assert diagnose(check=True).code == "cuda-error"


def test_libraries_beside_site_packages(
    become: Become, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    become(Machine(missing=("cuBLAS", "NVRTC")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("target")
    assert diagnose().fix == 'pip install "cupy-cuda13x[ctk]"'
    folders = [Path("target", "nvidia", name, "lib") for name in ("cu13", "cublas")]
    for folder in folders:
        folder.mkdir(parents=True)
    for file in ("libcublas.so.12", "libnvrtc.so.13", "libcudart.so.13"):
        (folders[0] / file).touch()
    assert diagnose().fix == 'pip install "cupy-cuda13x[ctk]"'  # cuBLAS is of another version
    (folders[1] / "libcublas.so.13").touch()
    found = os.pathsep.join(map(str, reversed(folders)))
    add = f"add {found}, outside site-packages, to LD_LIBRARY_PATH"
    assert diagnose().fix == f'{add}, or pip install "cupy-cuda13x[ctk]"'
    searched = [*site.getsitepackages(), "target"]
    monkeypatch.setattr("site.getsitepackages", lambda: searched)
    assert diagnose().fix == 'pip install "cupy-cuda13x[ctk]"'  # found there, and cannot be loaded


def test_folders_too_long_for_a_message_are_left_out(become: Become, monkeypatch: Any) -> None:
    become(Machine(missing=("NVRTC",)))
    folders = f"/{'f' * 80}:/{'g' * 80}"
    monkeypatch.setattr("xpnet.arrays.gpu.diagnosis.library_folders", lambda *_: folders)
    assert diagnose().fix == 'pip install "cupy-cuda13x[ctk]"'


def test_the_error_of_the_product_in_units_of_its_bound(become: Become) -> None:
    become(Machine())
    assert diagnose().product_error is None
    error = diagnose(check=True).product_error
    assert error is not None
    assert 0 < error < 0.2
    become(Machine(to_device=lambda x: x + 1))
    assert diagnose(check=True).product_error > 1e4
    become(Machine(to_device=lambda x: x * np.float32("nan")))
    assert np.isnan(diagnose(check=True).product_error)


def test_tf32_is_wrong_unless_requested(become: Become) -> None:
    become(Machine(to_device=as_tf32))
    assert diagnose(check=True).code == "wrong-product"
    assert diagnose(check=True, tf32=True).usable
    become(Machine(to_device=as_tf32, environ={"CUPY_TF32": "1"}))
    assert diagnose(check=True).code == "tf32-unasked"
    assert diagnose(check=True, tf32=True).usable


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        ("0", "usable", "off"),
        ("-1", "usable", "off"),
        (" 2 ", "tf32-unasked", "on (CUPY_TF32= 2 )"),
        ("", "tf32-unreadable", "not an integer (CUPY_TF32=)"),
        ("1.0", "tf32-unreadable", "not an integer (CUPY_TF32=1.0)"),
    ],
)
def test_the_variable_is_parsed_like_in_cupy(
    become: Become, value: str, code: str, text: str
) -> None:
    become(Machine(environ={"CUPY_TF32": value}))
    assert (diagnose().code, gpu_facts()["tf32"]) == (code, text)
    assert diagnose(tf32=True).usable  # CuPy does not read it if a precision is chosen


def test_a_gpu_without_tf32_must_not_round(become: Become) -> None:
    become(Machine(capability=(7, 5), environ={"CUPY_TF32": "1"}))
    assert diagnose(check=True).usable
    become(Machine(capability=(7, 5), to_device=as_tf32))
    assert diagnose(check=True, tf32=True).code == "wrong-product"


def test_a_negative_index_is_no_device(become: Become) -> None:
    become(Machine())
    assert diagnose(-1).code == "no-such-device"


def test_facts_of_a_machine_with_gpus(become: Become) -> None:
    kernel = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6\nGCC 12.2.0\n"
    environ = {"CUDA_VISIBLE_DEVICES": "0,1", "CUPY_TF32": "1"}
    become(Machine(environ=environ, kernel=kernel, libraries=("numpy", "nvidia-cublas")))
    same = {"memory_bytes": 8 << 30, "compute_capability": "9.0"}
    assert gpu_facts(checked=1) == {
        "device_count": 2,
        "devices": [
            {"index": 0, "name": "Fake 0", "free_bytes": None, "pci_bus_id": "0000:00:00.0"} | same,
            {"index": 1, "name": "Fake 1", "free_bytes": 6 << 30, "pci_bus_id": "0000:01:00.0"}
            | same,
        ],
        "driver_version": "13.0",
        "driver_number": "535.54.03",
        "runtime_version": "13.2",
        "cublas_version": None,
        "nvrtc_version": "13.2",
        "headers_version": None,
        "cublas_path": None,
        "nvrtc_path": None,
        "headers_path": None,
        "cupy_version": "14.2.0",
        "cupy_path": "/site/cupy",
        "cupy_needs_numpy": "<99,>=2.0",
        "wheels": ["cupy-cuda13x"],
        "distributions": {"cupy-cuda13x": "1.0", "numpy": "1.0", "nvidia-cublas": "1.0"},
        "duplicates": [],
        "tf32": "on (CUPY_TF32=1)",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CUPY_TF32": "1",
        "NVIDIA_TF32_OVERRIDE": None,
        "CUDA_PATH": None,
    }


def test_facts_open_no_context(become: Become) -> None:
    become(Machine())
    sys.modules["cupy"].cuda.Device = raising(AssertionError("a context"))
    assert [device["free_bytes"] for device in gpu_facts()["devices"]] == [None, None]


def test_duplicate_installations(become: Become) -> None:
    become(
        Machine(
            wheels=("cupy-cuda12x", "cupy-cuda13x"),
            libraries=("nvidia-cublas", "nvidia-cublas-cu12", "numpy"),
            again={"numpy": "2.0", "nvidia-cublas": "1.0"},
        )
    )
    assert gpu_facts()["duplicates"] == [
        "cupy-cuda13x and cupy-cuda12x",
        "nvidia-cublas and nvidia-cublas-cu12",
        "numpy 1.0 in /site and 2.0 in /user",
        "nvidia-cublas 1.0 in /site and 1.0 in /user",
    ]


def test_a_folder_found_twice_is_no_duplicate(
    become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(Machine())
    once = Machine().distributions
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: once(name) * 2)
    assert gpu_facts()["duplicates"] == []


def test_unknown_facts_are_none(become: Become) -> None:
    become(Machine(wheels=()))
    facts = gpu_facts()
    empty = ("wheels", "devices", "distributions", "duplicates")
    assert [len(facts.pop(name)) for name in empty] == [0, 0, 0, 0]
    assert facts.pop("tf32") == "off"
    assert set(facts.values()) == {None}


def test_the_error_carries_the_code_and_survives_pickling() -> None:
    error = DeviceError(Diagnosis("no-driver", "no driver", "install one"))
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, str(again)) == ("no-driver", "no driver; install one")
    assert isinstance(again, RuntimeError)


def run_python(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_the_module_imports_no_cupy() -> None:
    program = "import sys, xpnet.arrays.gpu.diagnosis; print('cupy' in sys.modules)"
    result = run_python(program)
    assert (result.stdout, result.stderr) == ("False\n", "")


needs_cupy = pytest.mark.skipif(
    len(installed(WHEELS)) != 1, reason="needs the real CuPy, one wheel of it"
)


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a libcuda.so.1 that the environment controls."""
    gcc = shutil.which("gcc")
    if gcc is None or sys.platform != "linux":
        pytest.skip("needs gcc on Linux, to build the fake driver")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("fake_driver.c")
    library = folder / "libcuda.so.1"
    subprocess.run([gcc, "-shared", "-fPIC", "-o", library, source], check=True)
    return folder


@needs_cupy
@pytest.mark.parametrize(
    ("version", "error", "code", "words"),
    [
        (0, 0, "no-driver", "NVIDIA driver"),
        (11040, 0, "driver-too-old", "supports CUDA 11.4, too old for CUDA 1"),
        (13020, 100, "no-device", "finds no GPU"),
        (13020, 34, "stub-library", "is a stub"),
        (13020, 803, "driver-mismatch", "(error 803)"),
        (13020, 802, "not-ready", "(error 802)"),
        (13020, 2, "out-of-memory", "(cudaErrorMemoryAllocation: out of memory)"),
        (13020, 46, "device-busy", "GPU 0 is busy"),
        (13020, 209, "no-kernel", "(cudaErrorNoKernelImageForDevice: no kernel image"),
        (13020, 214, "memory-fault", "(cudaErrorECCUncorrectable: uncorrectable ECC error"),
        (13020, 999, "cuda-error", "cudaErrorUnknown: unknown error"),
    ],
)
def test_real_cupy_on_a_fake_driver(
    fake_driver: Path, version: int, error: int, code: str, words: str
) -> None:
    result = run_python(
        "from xpnet.arrays.gpu.diagnosis import diagnose\n"
        "diagnosis = diagnose(check=True)\n"
        "print(diagnosis.code, diagnosis)",
        LD_LIBRARY_PATH=str(fake_driver),
        FAKE_DRIVER_VERSION=str(version),
        FAKE_DRIVER_ERROR=str(error),
    )
    assert (result.returncode, result.stderr) == (0, "")
    # On a machine with a driver in the kernel, only its library is missing.
    codes = {code, f"{code}-library"} if version == 0 else {code}
    assert result.stdout.split()[0] in codes
    assert words in result.stdout


WITHOUT_LIBRARIES = """
import cupy
from cuda import pathfinder
from xpnet.arrays.gpu.diagnosis import diagnose

def find_nothing(name):
    raise pathfinder.DynamicLibNotFoundError(name)

cupy.cuda.runtime.getDeviceCount = lambda: 1
pathfinder.load_nvidia_dynamic_lib = find_nothing
print(diagnose())
"""


@needs_cupy
def test_real_cupy_without_cuda_libraries() -> None:
    result = run_python(WITHOUT_LIBRARIES)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("cuBLAS, NVRTC cannot be loaded, but cupy")
