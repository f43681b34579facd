"""Each cause by a fake CuPy, and, where CuPy is installed, by the real one on a fake driver."""

import importlib.metadata
import os
import pickle
import shutil
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

from xpnet.arrays.causes import CAUSES, DeviceError, Diagnosis
from xpnet.arrays.diagnosis import _WHEELS, _installed, diagnose, gpu_facts

INSTALL = 'pip install "xpnet[cuda13]", or "xpnet[cuda12]" where the driver is older than 580'


class FakeCudaError(RuntimeError):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Machine:
    """A machine with CuPy and two GPUs; each cause is this machine with something wrong."""

    wheels: tuple[str, ...] = ("cupy-cuda13x",)
    libraries: tuple[str, ...] = ()
    cupy_source: str = ""  # a cupy.py to import in place of the fake module
    platform: str = "linux"
    driver: int = 13000
    runtime: int = 13020
    error: FakeCudaError | None = None
    n_devices: int = 2
    missing: tuple[str, ...] = ()
    to_device: Callable[[Any], Any] = np.asarray
    environ: dict[str, str] = field(default_factory=dict)

    def cupy(self) -> Any:
        def get_device_count() -> int:
            if self.error is not None:
                raise self.error
            return self.n_devices

        def get_device_properties(index: int) -> dict[str, Any]:
            name = f"Fake {index}".encode()
            return {"name": name, "totalGlobalMem": 8 << 30, "major": 9, "minor": 0}

        module: Any = ModuleType("cupy")
        module.__version__ = "14.2.0"
        module.asarray, module.asnumpy = self.to_device, np.asarray
        module.cuda = FakeCuda(self.missing)
        module.cuda.runtime = SimpleNamespace(
            driverGetVersion=lambda: self.driver,
            runtimeGetVersion=lambda: self.runtime,
            getDeviceCount=get_device_count,
            getDeviceProperties=get_device_properties,
        )
        return module


class FakeCuda:
    """What CuPy loads at first use: cuBLAS as an attribute, NVRTC by a call."""

    runtime: Any

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing
        self.nvrtc = SimpleNamespace(getVersion=lambda: self.load("NVRTC"))

    @property
    def cublas(self) -> str:
        return self.load("cuBLAS")

    def load(self, name: str) -> str:
        if name in self.missing:
            raise ImportError(name)
        return name

    class Device:
        def __init__(self, index: int) -> None:
            self.index = index

        def __enter__(self) -> None:
            assert self.index in {0, 1}

        def __exit__(self, *exception: object) -> None:
            pass


Become = Callable[[Machine], None]


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Become:
    """Make this process believe that it runs on the given machine; nothing real is reached."""

    def become(machine: Machine) -> None:
        installed = {*machine.wheels, *machine.libraries}

        def distribution(name: str) -> str:
            if name not in installed:
                raise importlib.metadata.PackageNotFoundError(name)
            return name

        monkeypatch.setattr(importlib.metadata, "distribution", distribution)
        monkeypatch.setattr(sys, "platform", machine.platform)
        for name in ("CUDA_VISIBLE_DEVICES", "CUPY_TF32"):
            monkeypatch.delenv(name, raising=False)
        for name, value in machine.environ.items():
            monkeypatch.setenv(name, value)
        fake = machine.cupy() if machine.wheels else None  # None: the import finds no module
        monkeypatch.setitem(sys.modules, "cupy", fake)
        if machine.cupy_source:
            (tmp_path / "cupy.py").write_text(machine.cupy_source, encoding="utf-8")
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.delitem(sys.modules, "cupy")

    return become


def as_tf32(x: np.ndarray) -> np.ndarray:
    """Keep ten of a float32's bits after the point, as the tensor cores do."""
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

CASES = [
    ("usable", Machine(), "GPU 1 is usable"),
    (
        "no-wheel",
        Machine(wheels=(), platform="darwin"),
        (
            "CuPy is not installed, and there is no CuPy wheel for macOS; use --device cpu, or a"
            " Linux or Windows machine with an NVIDIA GPU"
        ),
    ),
    ("not-installed", Machine(wheels=()), f"CuPy is not installed; {INSTALL}"),
    (
        "two-wheels",
        Machine(wheels=("cupy-cuda12x", "cupy-cuda13x"), cupy_source=BROKEN),
        (
            "cupy-cuda13x and cupy-cuda12x overwrite each other's files; pip uninstall -y"
            f" cupy-cuda13x cupy-cuda12x, then {INSTALL}"
        ),
    ),
    (
        "broken-install",
        Machine(wheels=("cupy-cuda12x",), cupy_source=BROKEN),
        (
            "CuPy is installed but cannot be imported (libfoo.so: no such file); pip uninstall -y"
            ' cupy-cuda12x, then pip install "xpnet[cuda12]"'
        ),
    ),
    (
        "broken-install",
        Machine(cupy_source="answer = 42"),
        (
            "CuPy is installed but cannot be imported (module 'cupy' has no attribute 'cuda'); pip"
            ' uninstall -y cupy-cuda13x, then pip install "xpnet[cuda13]"'
        ),
    ),
    (
        "stub-library",
        Machine(error=FakeCudaError(34, "stub")),
        (
            "the driver library that was found is a stub, made for linking only; take the folder"
            " named stubs out of LD_LIBRARY_PATH"
        ),
    ),
    (
        "no-driver",
        Machine(driver=0, error=FakeCudaError(35, "driver version is insufficient")),
        (
            "there is no NVIDIA driver here; install one from nvidia.com/drivers (WSL: in Windows;"
            " container: run it with --gpus all)"
        ),
    ),
    (
        "driver-too-old",
        Machine(driver=12040, error=FakeCudaError(35, "driver version is insufficient")),
        (
            "the NVIDIA driver knows CUDA 12.4, too old for CUDA 13.2 of cupy-cuda13x; update the"
            " driver to one for CUDA 13.0 or newer; or pip uninstall -y cupy-cuda13x nvidia-cublas"
            ' nvidia-cuda-nvrtc nvidia-cuda-runtime, then pip install "xpnet[cuda12]"'
        ),
    ),
    (
        "driver-too-old",  # for both extras: only a new driver helps
        Machine(driver=11040, error=FakeCudaError(35, "driver version is insufficient")),
        (
            "the NVIDIA driver knows CUDA 11.4, too old for CUDA 13.2 of cupy-cuda13x; update the"
            " driver to one for CUDA 13.0 or newer"
        ),
    ),
    (
        "driver-mismatch",
        Machine(error=FakeCudaError(803, "mismatch")),
        (
            "the NVIDIA driver in the kernel and its library are of different versions (error 803);"
            " restart the machine; in a container, remove its own NVIDIA driver libraries"
        ),
    ),
    (
        "not-ready",
        Machine(error=FakeCudaError(802, "not ready")),
        (
            "the GPUs are not ready yet (error 802); start their fabric manager: sudo systemctl"
            " start nvidia-fabricmanager"
        ),
    ),
    (
        "no-device",
        Machine(error=FakeCudaError(100, "no device")),
        (
            "the NVIDIA driver finds no GPU; see that nvidia-smi -L lists one (container: run it"
            " with --gpus all)"
        ),
    ),
    (
        "hidden-device",
        Machine(n_devices=0, environ={"CUDA_VISIBLE_DEVICES": ""}),
        (
            "CUDA_VISIBLE_DEVICES='' leaves no GPU to be seen; unset CUDA_VISIBLE_DEVICES, or name"
            " in it a GPU that nvidia-smi -L lists"
        ),
    ),
    (
        "no-such-device",
        Machine(n_devices=1),
        (
            "there is no GPU 1: 1 to be seen, counted from 0; choose gpu:0 or lower;"
            " CUDA_VISIBLE_DEVICES may hide others"
        ),
    ),
    (
        "libraries-missing",
        Machine(missing=("cuBLAS", "NVRTC")),
        ('cuBLAS, NVRTC cannot be loaded, which cupy-cuda13x needs; pip install "xpnet[cuda13]"'),
    ),
    (
        "libraries-missing",  # those of CUDA 13 beside a wheel for CUDA 13 are no strangers
        Machine(missing=("NVRTC",), libraries=("nvidia-cublas",)),
        'NVRTC cannot be loaded, which cupy-cuda13x needs; pip install "xpnet[cuda13]"',
    ),
    (
        "libraries-mixed",
        Machine(wheels=("cupy-cuda12x",), missing=("cuBLAS",), libraries=("nvidia-cublas",)),
        (
            "cupy-cuda12x finds the libraries of CUDA 13 before its own (cuBLAS cannot be loaded);"
            ' pip uninstall -y nvidia-cublas, then pip install "xpnet[cuda12]"'
        ),
    ),
    (
        "wrong-product",
        Machine(to_device=lambda x: x * np.float32("nan")),
        (
            "GPU 1 computes x @ weight + bias wrongly, nan times what rounding explains; see"
            " nvidia-smi -q for memory errors and update the driver; until then use --device cpu"
        ),
    ),
    (
        "cuda-error",
        Machine(error=FakeCudaError(999, "unknown\nerror")),
        (
            "CUDA says: unknown error; run nvidia-smi; if it fails too, restart the machine or"
            " reinstall the driver"
        ),
    ),
    (
        "cuda-error",  # a driver that is new enough is not called too old
        Machine(driver=13030, error=FakeCudaError(35, "driver version is insufficient")),
        (
            "CUDA says: driver version is insufficient; run nvidia-smi; if it fails too, restart"
            " the machine or reinstall the driver"
        ),
    ),
]


@pytest.mark.parametrize("code", CAUSES)
def test_every_row_of_the_table_has_a_case(code: str) -> None:
    assert code in {case[0] for case in CASES}


@pytest.mark.parametrize(("code", "machine", "sentence"), CASES)
def test_each_cause_has_its_sentence_and_mend(
    become: Become, capfd: pytest.CaptureFixture[str], code: str, machine: Machine, sentence: str
) -> None:
    become(machine)
    diagnosis = diagnose(1, check=True)
    assert (diagnosis.code, str(diagnosis)) == (code, sentence)
    assert diagnosis.usable == (code == "usable") == (not diagnosis.mend)
    assert capfd.readouterr() == ("", "")


def test_no_two_causes_share_a_sentence() -> None:
    messages = [message for message, _ in CAUSES.values()]
    assert len(set(messages)) == len(messages)
    mends = [mend for _, mend in CAUSES.values()]
    assert len(set(mends)) == len(mends)


@pytest.mark.parametrize(
    "machine",
    [
        Machine(cupy_source=f"raise ImportError('{'long ' * 200}')"),
        Machine(error=FakeCudaError(999, "x\n" * 2000)),
        Machine(n_devices=0, environ={"CUDA_VISIBLE_DEVICES": "GPU-0123\n" * 99}),
        Machine(wheels=("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-rocm-7-14", "amd-cupy")),
    ],
)
def test_a_long_fact_leaves_a_short_line(become: Become, machine: Machine) -> None:
    become(machine)
    diagnosis = diagnose()
    assert len(str(diagnosis).splitlines()) == 1
    assert 100 < len(str(diagnosis)) <= 400
    assert diagnosis.mend in str(diagnosis)


def test_warnings_of_the_import_stay_inside(become: Become) -> None:
    become(
        Machine(cupy_source="import warnings\nwarnings.warn('noise')\nclass cuda:\n  runtime = 0")
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facts = gpu_facts()
    assert caught == []
    assert facts["wheels"] == ["cupy-cuda13x"]


def test_the_product_is_looked_at_only_when_asked(become: Become) -> None:
    become(Machine(to_device=lambda x: x + 1))
    assert diagnose().usable
    assert diagnose(check=True).code == "wrong-product"


def test_an_error_in_the_product_is_told(become: Become) -> None:
    def fail(_: object) -> None:
        msg = "out of memory"
        raise MemoryError(msg)

    become(Machine(to_device=fail))
    assert diagnose(check=True).message == "CUDA says: out of memory"


def test_tf32_is_wrong_unless_it_was_asked_for(become: Become) -> None:
    become(Machine(to_device=as_tf32))
    assert diagnose(check=True).code == "wrong-product"
    become(Machine(to_device=as_tf32, environ={"CUPY_TF32": "1"}))
    assert diagnose(check=True).usable


def test_a_negative_index_is_no_device(become: Become) -> None:
    become(Machine())
    assert diagnose(-1).code == "no-such-device"


def test_facts_of_a_machine_with_gpus(become: Become) -> None:
    become(Machine(environ={"CUDA_VISIBLE_DEVICES": "0,1", "CUPY_TF32": "1"}))
    memory_and_capability = {"memory_bytes": 8 << 30, "compute_capability": "9.0"}
    assert gpu_facts() == {
        "cupy_version": "14.2.0",
        "wheels": ["cupy-cuda13x"],
        "driver_version": "13.0",
        "runtime_version": "13.2",
        "device_count": 2,
        "devices": [{"name": f"Fake {i}", **memory_and_capability} for i in (0, 1)],
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CUPY_TF32": "1",
    }


def test_facts_that_cannot_be_told_are_none(become: Become) -> None:
    become(Machine(wheels=()))
    facts = gpu_facts()
    assert (facts.pop("wheels"), facts.pop("devices")) == ([], [])
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
    program = "import sys, xpnet.arrays.diagnosis; print('cupy' in sys.modules)"
    result = run_python(program)
    assert (result.stdout, result.stderr) == ("False\n", "")


needs_cupy = pytest.mark.skipif(
    len(_installed(_WHEELS)) != 1, reason="needs the real CuPy, one wheel of it"
)


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a libcuda.so.1 that does as the environment says."""
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
        (0, 0, "no-driver", "there is no NVIDIA driver"),
        (11040, 0, "driver-too-old", "knows CUDA 11.4, too old for CUDA 1"),
        (13020, 100, "no-device", "finds no GPU"),
        (13020, 34, "stub-library", "is a stub"),
        (13020, 803, "driver-mismatch", "(error 803)"),
        (13020, 802, "not-ready", "(error 802)"),
        (13020, 999, "cuda-error", "cudaErrorUnknown: unknown error"),
    ],
)
def test_real_cupy_on_a_fake_driver(
    fake_driver: Path, version: int, error: int, code: str, words: str
) -> None:
    result = run_python(
        "from xpnet.arrays.diagnosis import diagnose\n"
        "diagnosis = diagnose(check=True)\n"
        "print(diagnosis.code, diagnosis)",
        LD_LIBRARY_PATH=str(fake_driver),
        FAKE_DRIVER_VERSION=str(version),
        FAKE_DRIVER_ERROR=str(error),
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{code} ")
    assert words in result.stdout


WITHOUT_LIBRARIES = """
import cupy
from cuda import pathfinder
from xpnet.arrays.diagnosis import diagnose

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
    assert result.stdout.startswith("cuBLAS, NVRTC cannot be loaded, which cupy")
