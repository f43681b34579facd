"""Fixtures of the tests on a GPU (``pytest -m gpu``); without one, the reason is printed.

With ``XPNET_GPU_REHEARSAL=1``, array-api-strict's devices stand in for GPUs in the tests that only
need another library on another device: their logic is tested on machines without a GPU. With
``XPNET_GPU_REHEARSAL=cupy``, the package in stand_in/ replaces CuPy, in subprocesses as well.
``XPNET_GPU_ULP=FILE`` writes what is measured as JSON: the largest errors of functions in ULP, and
numbers whose bounds are to be set after the first run on a GPU.
"""

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.cli.main import main
from xpnet.inference.batches import default_batch_size

# What stands in for a GPU; empty on a card.
STAND_INS = {"0": "", "1": "array-api-strict", "cupy": "cupy"}
REHEARSAL = STAND_INS[os.environ.get("XPNET_GPU_REHEARSAL", "0")]
# By name and, for example, dtype: the largest number.
MEASURED: pytest.StashKey[dict[str, dict[str, float]]] = pytest.StashKey()
N_IN = 64

if REHEARSAL == "cupy":
    stand_in = str(Path(__file__).with_name("stand_in"))
    sys.path.insert(0, stand_in)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [stand_in, os.getenv("PYTHONPATH")]))


def substitute():
    """Return the entry of a library whose devices stand in for GPUs."""
    library = KNOWN[REHEARSAL]

    def open_device(part):
        return library.open(f"device{int(part or 0) + 1}")

    return replace(library, name="cupy", open=open_device)


@pytest.fixture(scope="session", autouse=True)
def rehearsal():
    """Replace GPUs by stand-in devices, in a rehearsal."""
    with pytest.MonkeyPatch.context() as patch:
        if REHEARSAL == "array-api-strict":
            patch.setitem(KNOWN, "cupy", substitute())
            # Chunks of 128 rows, so that a few rows are several chunks.
            patch.setattr("xpnet.inference.batches._VALUES_IN_CACHE", 128 * N_IN)
        if REHEARSAL == "cupy":
            # Chunks of 4,096 rows of 64 numbers.
            patch.setattr("xpnet.inference.batches._DEVICE_BYTES", 2**20)
        yield


@functools.cache
def why_no_gpu():
    """Return the reason why no GPU is usable; None if one is."""
    try:
        xpnet.Device("gpu")
    except xpnet.DeviceError as error:
        return str(error)
    return None


def pytest_runtest_setup(item):
    """Skip tests that need a GPU on machines without one, with xpnet's own reason."""
    if item.get_closest_marker("gpu") and REHEARSAL in {"", "cupy"} and why_no_gpu():
        pytest.skip(f"no GPU: {why_no_gpu()}")


@pytest.fixture(scope="session")
def gpu():
    """Return the first GPU, or its stand-in."""
    return xpnet.Device("gpu")


@pytest.fixture(scope="session")
def on_card():
    """Return whether a GPU computes; a rehearsal computes with fewer numbers."""
    return not REHEARSAL


@pytest.fixture
def cupy():
    """Return CuPy, or its stand-in."""
    if REHEARSAL == "array-api-strict":
        pytest.skip("a rehearsal with array-api-strict has no CuPy")
    return pytest.importorskip("cupy", reason="needs CuPy")


@pytest.fixture
def here(gpu):
    """Return a result's values, after validation of its device and dtype."""

    def check(result, dtype="float32", device=gpu):
        assert array_namespace(result) == device.xp
        assert device_of(result) == device.handle
        assert str(result.dtype).rpartition(".")[2] == str(dtype)
        return device.to_numpy(result)

    return check


def make_random_network(*widths, activation="relu", seed=0, **more):
    """Return a float32 network whose layers preserve the magnitude of their inputs."""
    rng = np.random.default_rng(seed)
    layers = [
        xpnet.Dense(
            (rng.standard_normal((n_in, n_out)) * (2 / n_in) ** 0.5).astype(np.float32),
            rng.normal(0, 0.1, n_out).astype(np.float32),
            activation if i < len(widths) - 2 else "identity",
        )
        for i, (n_in, n_out) in enumerate(pairwise(widths))
    ]
    return xpnet.Network(layers, xpnet.Scale(1 / 255), **more)


@pytest.fixture(scope="session")
def make_network():
    """Make a network of these widths and random parameters, on the host."""
    return make_random_network


@pytest.fixture(scope="session")
def narrow():
    """Return a network of 64 inputs, on the host."""
    return make_random_network(N_IN, 32, 10)


@pytest.fixture(scope="session")
def chunk(narrow, gpu):
    """Return the default batch size on a GPU."""
    return default_batch_size(narrow.to(gpu))


@pytest.fixture(scope="session")
def pixels(chunk):
    """Return rows for slightly more than three chunks."""
    return np.random.default_rng(1).integers(0, 256, (3 * chunk + 7, N_IN), np.uint8)


@pytest.fixture(scope="session")
def n_correct():
    """Return the number of embedded digits that the embedded network classifies correctly."""
    return xpnet.evaluate(xpnet.load("sample"), *xpnet.sample()).correct


@dataclass(frozen=True)
class Result:
    """The result of a command line."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command line in this process, without colors."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHON_COLORS", "0")
    monkeypatch.setitem(vars(xpnet), "__version__", "0")  # it may be run without being installed

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def process():
    """Run Python in a process of its own, with variables of the environment."""
    if REHEARSAL == "array-api-strict":
        pytest.skip(f"{REHEARSAL} cannot stand in for a GPU in another process")

    def run(*words, **variables):
        kept = {k: v for k, v in os.environ.items() if k not in {"CUPY_TF32", "PYTHONWARNINGS"}}
        done = subprocess.run(
            [sys.executable, *words],
            env={**kept, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def note(request):
    """Record a measured number by two names, for the summary; of several, the largest."""
    measured = request.config.stash.setdefault(MEASURED, {})

    def record(name, part, number):
        numbers = measured.setdefault(name, {})
        numbers[part] = max(number, numbers.get(part, 0.0))

    return record


def pytest_terminal_summary(terminalreporter, config):
    """Print the measured numbers."""
    measured = config.stash.get(MEASURED, {})
    if not measured:
        return
    device = "a rehearsal" if REHEARSAL else xpnet.Device("gpu").hardware
    terminalreporter.write_line(f"measured on {device} (errors of functions in ULP):")
    for name, numbers in sorted(measured.items()):
        shown = ", ".join(f"{part} {number:.3g}" for part, number in sorted(numbers.items()))
        terminalreporter.write_line(f"  {name}: {shown}")
    if "XPNET_GPU_ULP" in os.environ:
        text = json.dumps({"hardware": device, "measured": measured}, indent=2, sort_keys=True)
        Path(os.environ["XPNET_GPU_ULP"]).write_text(f"{text}\n", encoding="utf-8")
