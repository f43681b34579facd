"""The command line on machines without a usable GPU: one line, no result, no other device.

Each command runs in a process of its own, with the real CuPy where it is installed, on a driver
that fails as the environment says. What comes after the driver is reached by a CUDA runtime that
counts one GPU, and by libraries that hold the names alone.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import xpnet as package
from xpnet.arrays.gpu.gpu_facts import CUDA13_LIBRARIES, WHEELS, installed, one_line

FAKE_DRIVER = Path(__file__).parents[1] / "arrays" / "gpu" / "fake_driver.c"
_FOUND = installed(WHEELS)
WHEEL = _FOUND[0] if _FOUND else "cupy-cuda13x"

needs_cupy = pytest.mark.skipif(len(_FOUND) != 1, reason="needs the real CuPy, one wheel of it")
needs_none = pytest.mark.skipif(len(_FOUND) > 0, reason="CuPy is installed here")

# A CUDA runtime that counts a GPU; what this GPU is given goes to the driver all the same.
ONE_GPU = """
import sys
from cuda import pathfinder

def find_nothing(name):
    raise pathfinder.DynamicLibNotFoundError(name)

pathfinder.find_nvidia_header_directory = lambda name: "/usr/include"
{change}
import cupy

cupy.cuda.runtime.getDeviceCount = lambda: 1
cupy.cuda.runtime.getDeviceProperties = lambda index: dict(
    name=b"Fake", totalGlobalMem=8 << 30, major={major}, minor=0
)
from xpnet.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Cause:
    """What is wrong with a machine, and what is said of it."""

    code: str
    words: str
    environ: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    program: str = ""  # in place of `-m xpnet`
    device: str = "gpu"


def metadata(name, *lines):
    """Return the metadata of a distribution that is said to be installed."""
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines, ""])
    return {f"{name.replace('-', '_')}-1.0.dist-info/METADATA": text}


def driver(version, error=0, **more):
    return {"FAKE_DRIVER_VERSION": str(version), "FAKE_DRIVER_ERROR": str(error), **more}


def one_gpu(change="", *, major=9):
    return ONE_GPU.format(change=change, major=major)


IN_PYTHON = [
    pytest.param(Cause("not-installed", "CuPy is not installed; pip install"), marks=needs_none),
    pytest.param(
        Cause("broken-install", "(its files are gone); pip uninstall", files=metadata(WHEEL)),
        marks=needs_none,
    ),
    Cause(
        "two-wheels",
        "overwrite each other's files; pip uninstall -y cupy-",
        files=metadata("cupy-cuda12x") | metadata("cupy-cuda13x"),
    ),
    Cause("shadowed", "cupy.py is imported instead of CuPy; rename", files={"cupy.py": "x = 1"}),
    Cause(
        "numpy-unsupported",
        "supports NumPy <2.0 and cannot be imported with",
        files=metadata(WHEEL, "Requires-Dist: numpy<2.0")
        | {"cupy/__init__.py": "raise ImportError('numpy.core')"},
    ),
    pytest.param(
        Cause("cache-unwritable", "set CUPY_CACHE_DIR", {"CUPY_CACHE_DIR": f"{os.devnull}/no"}),
        marks=needs_cupy,
    ),
]
IN_THE_DRIVER = [
    Cause("no-driver", "NVIDIA driver", driver(0)),
    Cause("driver-too-old", "supports CUDA 11.4, too old for CUDA 1", driver(11040)),
    Cause("no-device", "finds no GPU; check that", driver(13020, 100)),
    Cause(
        "hidden-device",
        "CUDA_VISIBLE_DEVICES='9' hides all GPUs; unset",
        driver(13020, 100, CUDA_VISIBLE_DEVICES="9"),
    ),
    Cause("stub-library", "a stub, made for linking only; remove the folder", driver(13020, 34)),
    Cause("driver-mismatch", "(error 803); restart", driver(13020, 803)),
    Cause("not-ready", "(error 802); start their fabric manager", driver(13020, 802)),
    Cause("device-busy", "GPU 0 is busy", driver(13020, 46)),
    Cause("out-of-memory", "(cudaErrorMemoryAllocation: out of memory); end", driver(13020, 2)),
    Cause("cuda-error", "CUDA error: cudaErrorUnknown: unknown error; run", driver(13020, 999)),
]
BEHIND_THE_DRIVER = [
    Cause(
        "no-such-device",
        "no GPU 7: 1 visible, counted from 0; choose gpu:0",
        program=one_gpu(),
        device="gpu:7",
    ),
    Cause(
        "libraries-missing",
        "cuBLAS, NVRTC cannot be loaded, but cupy",
        program=one_gpu("pathfinder.load_nvidia_dynamic_lib = find_nothing"),
    ),
    Cause(
        "headers-missing",
        "the CUDA headers cannot be found",
        program=one_gpu("pathfinder.find_nvidia_header_directory = lambda name: None"),
    ),
    Cause("device-too-old", "has compute capability 3.0; cupy", program=one_gpu(major=3)),
    Cause(
        "tf32",
        "CUPY_TF32=1 would round the factors of float32 products to 10 bits, silently; unset",
        {"CUPY_TF32": "1"},
        program=one_gpu(),
    ),
]
# What no command but the doctor sees before it computes.
IN_THE_PRODUCT = [
    Cause("device-busy", "GPU 0 is busy", driver(13020, 46), program=one_gpu()),
    Cause("out-of-memory", "GPU 0 has no memory left", driver(13020, 2), program=one_gpu()),
    Cause("no-kernel", "have no code for GPU 0", driver(13020, 209), program=one_gpu()),
    Cause("memory-fault", "uncorrectable ECC error", driver(13020, 214), program=one_gpu()),
]
WITH_CUPY = [
    pytest.param(cause, marks=needs_cupy) for cause in [*IN_THE_DRIVER, *BEHIND_THE_DRIVER]
]
CAUSES = [*IN_PYTHON, *WITH_CUPY]
ANY = [IN_PYTHON[0], pytest.param(IN_THE_DRIVER[0], marks=needs_cupy)]
Run = Callable[..., subprocess.CompletedProcess[str]]


def build(gcc, target, source, *options):
    command = [gcc, "-shared", "-fPIC", "-x", "c", "-", "-o", target, f"-Wl,-soname,{target.name}"]
    subprocess.run([*command, *options], input=source, text=True, check=True)


def build_libraries(gcc, folder):
    """Build cuBLAS and NVRTC without content, of the major version that CuPy was built for."""
    import cupy_backends.cuda.libs

    module = next(Path(cupy_backends.cuda.libs.__path__[0]).glob("cublas.*.so"))
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True
    )
    names = re.findall(r"\b(cublas\w+)@(libcublas\.so\.([0-9]+))", listed.stdout)
    _, node, major = names[0]
    (folder / "map").write_text(f"{node} {{ global: *; }};", encoding="ascii")
    source = "".join(f"int {name}(void) {{ return 1; }}\n" for name, _, _ in names)
    for library in (node, f"libcublasLt.so.{major}"):
        build(gcc, folder / library, source, f"-Wl,--version-script,{folder / 'map'}")
    build(
        gcc,
        folder / f"libnvrtc.so.{major}",
        f"int nvrtcVersion(int *x, int *y) {{ *x = {major}; *y = 2; return 0; }}\n"
        "int nvrtcGetNumSupportedArchs(int *n) { *n = 1; return 0; }\n"
        "int nvrtcGetSupportedArchs(int *archs) { *archs = 75; return 0; }\n",
    )


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """Return a folder with a driver and libraries without content; empty where CuPy is not."""
    folder = tmp_path_factory.mktemp("libraries")
    if len(_FOUND) != 1:
        return folder
    gcc = shutil.which("gcc")
    if gcc is None or shutil.which("nm") is None or sys.platform != "linux":
        pytest.skip("needs gcc and nm on Linux, to build the fake driver")
    build(gcc, folder / "libcuda.so.1", FAKE_DRIVER.read_text(encoding="ascii"))
    build_libraries(gcc, folder)
    return folder


@pytest.fixture
def on(libraries, tmp_path):
    """Run a command in an empty folder of a machine that has this cause; it must stay as it is."""
    here = tmp_path / "here"
    here.mkdir()
    expected: set[str] = set()

    def run(cause, *words):
        for name, text in cause.files.items():
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).write_text(text, encoding="utf-8")
            expected.add(name.partition("/")[0])
        dropped = {"CUDA_VISIBLE_DEVICES", "CUPY_TF32", "CUDA_PATH", "CUDA_HOME"}
        environ = {name: text for name, text in os.environ.items() if name not in dropped}
        start = ["-c", cause.program] if cause.program else ["-m", "xpnet"]
        return subprocess.run(
            [sys.executable, *start, *words],
            cwd=here,
            env=environ
            | {
                "PYTHONPATH": str(Path(package.__file__).parents[1]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "LD_LIBRARY_PATH": str(libraries),
                "CUPY_CACHE_DIR": str(tmp_path / "cache"),
                "FAKE_DRIVER_VERSION": "13020",
            }
            | cause.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    assert {path.name for path in here.iterdir()} == expected


def named(value):
    return value.code if isinstance(value, Cause) else None


def assert_refused(result, cause):
    assert (result.returncode, result.stdout) == (5, "")
    assert result.stderr.startswith("xpnet: ")
    assert result.stderr.endswith("\n")
    assert len(result.stderr.splitlines()) == 1
    assert len(result.stderr) <= 401
    assert cause.words in result.stderr
    assert "; " in result.stderr  # the fix follows


@pytest.mark.parametrize("cause", CAUSES, ids=named)
def test_a_command_gives_its_cause_and_no_result(on, cause):
    assert_refused(on(cause, "evaluate", "--device", cause.device), cause)


@pytest.mark.parametrize("cause", CAUSES, ids=named)
def test_the_doctor_gives_the_same_cause(on, cause):
    result = on(cause, "doctor", "--device", cause.device, "--json")
    assert (result.returncode, result.stderr) == (5, "")
    found = json.loads(result.stdout)
    # A machine with a driver has told its number: then only the library is missing.
    assert found["code"].removesuffix("-library") == cause.code.removesuffix("-library")
    assert not found["usable"]
    assert cause.words in f"{found['message']}; {found['fix']}"
    assert (found["product_checked"], found["product_error_in_bounds"]) == (False, None)


@needs_cupy
@pytest.mark.parametrize("cause", IN_THE_PRODUCT, ids=named)
def test_the_doctor_computes_to_see_a_cause(on, cause):
    result = on(cause, "doctor", "--json")
    assert (result.returncode, result.stderr) == (5, "")
    found = json.loads(result.stdout)
    assert found["code"] == cause.code
    assert cause.words in found["message"]
    assert not found["product_checked"]
    assert found["facts"]["devices"][0]["free_bytes"] is None


@needs_cupy
def test_the_fix_for_libraries_beside_site_packages(on, libraries, tmp_path):
    if installed((*CUDA13_LIBRARIES, *(f"{name}-cu12" for name in CUDA13_LIBRARIES))):
        pytest.skip("CUDA libraries are in site-packages here")
    target = tmp_path / "target"  # as of `pip install --target`
    folder = target / "nvidia" / "cu" / "lib"
    folder.mkdir(parents=True)
    for pattern, place in (("libcu[bd]*", folder), ("libnv*", folder), ("libcuda.*", tmp_path)):
        for file in libraries.glob(pattern):
            shutil.copy(file, place)
    python = os.pathsep.join([str(Path(package.__file__).parents[1]), str(target)])
    environ = {"PYTHONPATH": python, "LD_LIBRARY_PATH": str(tmp_path)}
    fix = f"add {one_line(folder)}, outside site-packages, to LD_LIBRARY_PATH, or pip install"
    missing = Cause("libraries-missing", fix, environ, program=one_gpu(major=3))
    assert_refused(on(missing, "evaluate", "--device", "gpu"), missing)
    environ["LD_LIBRARY_PATH"] += f":{folder}"
    found = Cause("device-too-old", "compute capability 3.0", environ, program=one_gpu(major=3))
    assert_refused(on(found, "evaluate", "--device", "gpu"), found)


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "-o", "out.csv", "--device", "gpu"],
        ["parity", "--devices", "cpu,gpu"],
        ["bench", "--device", "gpu"],
        ["train", "-o", "out.safetensors", "--history", "out.csv", "--device", "gpu:0"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("cause", ANY, ids=named)
def test_no_command_falls_back(on, cause, words):
    assert_refused(on(cause, *words), cause)


@pytest.mark.parametrize("cause", ANY, ids=named)
def test_auto_takes_the_processor_and_tells_why(on, cause):
    result = on(cause, "evaluate", "--rows", "5", "--device", "auto", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["device"], found["library"]) == ("cpu", "numpy")
    assert found["device_reason"].startswith("auto chose cpu: ")
    assert cause.words in found["device_reason"]
