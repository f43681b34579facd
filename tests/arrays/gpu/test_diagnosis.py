"""Diagnosis of each cause, with a fake CuPy; `tests/cli/test_no_gpu.py` has the real one."""

import importlib.metadata
import os
import pickle
import site
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xpnet.arrays.device_errors import DeviceError, Diagnosis
from xpnet.arrays.gpu import gpu_facts as gpu_facts_module
from xpnet.arrays.gpu.diagnosis import diagnose
from xpnet.arrays.gpu.gpu_errors import CAUSES, cause_of, diagnosis_of
from xpnet.arrays.gpu.gpu_facts import gpu_facts, one_line


class CUDARuntimeError(RuntimeError):
    """CuPy's error of this name, which is recognized by its name and status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class CUBLASError(CUDARuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):  # noqa: N818 (CuPy's name)
    pass


def raising(error):
    def fail(*_):
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

    def cupy(self):
        def get_device_properties(index):
            major, minor = self.capability
            name = f"Fake {index}".encode()
            return {"name": name, "totalGlobalMem": 8 << 30, "major": major, "minor": minor}

        def assemble_cupy_compiler_options(options):
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

    def distributions(self, name):
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

    def __init__(self, missing):
        self.missing = missing
        self.nvrtc = SimpleNamespace(
            getVersion=lambda: self.load("NVRTC") and (13, 2),
            getSupportedArchs=lambda: (75, 90, 120),
        )

    @property
    def cublas(self):
        return self.load("cuBLAS")

    def load(self, name):
        if name in self.missing:
            raise ImportError(name)
        return name

    class Device:
        def __init__(self, index=None):
            self.index = index

        def __enter__(self):
            assert self.index in {None, 0, 1}

        def __exit__(self, *exception):
            pass


VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUDA_PATH")


@pytest.fixture
def become(monkeypatch, tmp_path):
    """Return a function that simulates a machine in this process."""

    def become(machine):
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


def as_tf32(x):
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
    ("tf32", Machine(environ={"CUPY_TF32": "1"}), {"value": 1}),
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
    ("wrong-product", Machine(to_device=lambda x: x * np.float32("nan")), {"excess": float("nan")}),
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
def test_every_row_of_the_table_has_a_case(code):
    # These have their own tests, because the names of files vary.
    assert code in {"shadowed", "headers-mixed", *(case[0] for case in CASES)}


@pytest.mark.parametrize(("code", "machine", "facts"), CASES)
def test_each_cause_has_its_code_and_facts(become, capfd, code, machine, facts):
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
def test_a_sentence_is_cause_and_fix(become, machine, sentence):
    become(machine)
    with np.errstate(invalid="ignore"):
        assert str(diagnose(check=True)) == sentence


def test_no_two_causes_share_a_sentence():
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
        Machine(environ={"CUPY_TF32": "long" * 999}),
        Machine(cupy_source=f"raise ImportError('{'long ' * 200}')", requires=("numpy<1",)),
    ],
)
def test_a_long_fact_leaves_a_short_line(become, machine):
    become(machine)
    diagnosis = diagnose()
    assert len(str(diagnosis).splitlines()) == 1
    assert 100 < len(str(diagnosis)) <= 400
    assert diagnosis.fix in str(diagnosis)


def test_warnings_of_the_import_are_suppressed(become):
    become(
        Machine(cupy_source="import warnings\nwarnings.warn('noise')\nclass cuda:\n  runtime = 0")
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facts = gpu_facts()
    assert caught == []
    assert facts["wheels"] == ["cupy-cuda13x"]


@pytest.mark.parametrize("source", ["answer = 42", "import cupy as cp\nx = cp.arange(10)"])
def test_a_file_that_shadows_cupy_is_named(become, tmp_path, source):
    become(Machine(cupy_source=source, cupy_file="cupy.py"))
    diagnosis = diagnose()
    assert diagnosis.code == "shadowed"
    assert diagnosis.message == f"{one_line(tmp_path / 'cupy.py')} is imported instead of CuPy"
    assert diagnosis.fix == "rename this file, or leave its folder"


@pytest.mark.parametrize("leaves_folders", [False, True])
@pytest.mark.parametrize("wheels", [(), ("cupy-cuda13x",)])
def test_remains_of_an_uninstallation(become, monkeypatch, wheels, *, leaves_folders):
    become(Machine(wheels=wheels))
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy") if leaves_folders else None)
    diagnosis = diagnose()
    if wheels:
        assert diagnosis.message.endswith("cannot be imported (its files are gone)")
        assert diagnosis.fix.startswith("pip uninstall -y cupy-cuda13x, then pip install")
    else:
        assert diagnosis.code == "not-installed"


def test_a_missing_dependency_of_cupy(become):
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
def test_an_error_in_the_product(become, error, code):
    become(Machine(to_device=raising(error)))
    diagnosis = diagnose(check=True)
    assert diagnosis == cause_of(error)
    assert diagnosis.code == code
    assert diagnosis.product_error is None
    if code == "cuda-error":
        assert diagnosis.message == f"CUDA error: {' '.join(str(error).split())}"


@pytest.mark.parametrize(
    ("free", "code"), [(0, "out-of-memory"), (100 << 20, "out-of-memory"), (6 << 30, "cuda-error")]
)
def test_cublas_that_cannot_be_opened(become, free, code):
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
def test_headers_of_another_cuda(become, tmp_path, wheel, libraries, fix):
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


def test_the_check_computes_a_reduction(become):
    # CuPy compiles it with CUB, which fails with some headers where a product does not.
    class Array(np.ndarray):
        def any(self, *_, **__):
            raise CompileException

    become(Machine(to_device=lambda x: x.view(Array)))
    assert diagnose(check=True).code == "cuda-error"


def test_libraries_beside_site_packages(become, monkeypatch, tmp_path):
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


def test_folders_too_long_for_a_message_are_left_out(become, monkeypatch):
    become(Machine(missing=("NVRTC",)))
    folders = f"/{'f' * 80}:/{'g' * 80}"
    monkeypatch.setattr("xpnet.arrays.gpu.diagnosis.library_folders", lambda *_: folders)
    assert diagnose().fix == 'pip install "cupy-cuda13x[ctk]"'


def test_the_error_of_the_product_in_units_of_its_bound(become):
    become(Machine())
    assert diagnose().product_error is None
    error = diagnose(check=True).product_error
    assert error is not None
    assert 0 < error < 0.2
    become(Machine(to_device=lambda x: x + 1))
    assert diagnose(check=True).product_error > 1e4
    become(Machine(to_device=lambda x: x * np.float32("nan")))
    assert np.isnan(diagnose(check=True).product_error)


def test_tf32_is_wrong(become):
    become(Machine(to_device=as_tf32))
    assert diagnose(check=True).code == "wrong-product"


def test_a_negative_index_is_no_device(become):
    become(Machine())
    assert diagnose(-1).code == "no-such-device"


def test_facts_of_a_machine_with_gpus(become):
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
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CUPY_TF32": "1",
        "NVIDIA_TF32_OVERRIDE": None,
        "CUDA_PATH": None,
    }


def test_facts_open_no_context(become):
    become(Machine())
    sys.modules["cupy"].cuda.Device = raising(AssertionError("a context"))
    assert [device["free_bytes"] for device in gpu_facts()["devices"]] == [None, None]


def test_duplicate_installations(become):
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


def test_a_folder_found_twice_is_no_duplicate(become, monkeypatch):
    become(Machine())
    once = Machine().distributions
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: once(name) * 2)
    assert gpu_facts()["duplicates"] == []


def test_unknown_facts_are_none(become):
    become(Machine(wheels=()))
    facts = gpu_facts()
    empty = ("wheels", "devices", "distributions", "duplicates")
    assert [len(facts.pop(name)) for name in empty] == [0, 0, 0, 0]
    assert set(facts.values()) == {None}


def test_the_error_carries_the_code_and_survives_pickling():
    error = DeviceError(Diagnosis("no-driver", "no driver", "install one"))
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, str(again)) == ("no-driver", "no driver; install one")
    assert isinstance(again, RuntimeError)
