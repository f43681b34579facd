"""``xpnet doctor``: devices, facts and the exit code; machines without a usable GPU."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

import xpnet as package
from xpnet import Device, DeviceError
from xpnet.arrays.libraries import KNOWN

CONFIG = "OS            : Linux\nCuPy Version  : 14.2.0\n"
SOURCE = Path(__file__).with_name("fake_driver.c")


@pytest.fixture(params=[False, True], ids=["unusable", "usable"])
def is_usable(request, monkeypatch):
    """Let there be a GPU, or one whose driver is missing; return whether it is usable."""
    strict = pytest.importorskip("array_api_strict")
    error = DeviceError("no-driver", "no NVIDIA driver was found", "install one")

    def open_device(_):
        if request.param:
            return strict.Device("device1")
        raise error

    gpu = replace(KNOWN["array-api-strict"], name="cupy", open=open_device)
    monkeypatch.setitem(KNOWN, "cupy", gpu)
    monkeypatch.setattr("xpnet.arrays.gpu.cupy_config", lambda: CONFIG)
    return request.param


def test_the_devices_of_all_libraries(xpnet, is_usable):
    """A machine without a GPU is healthy."""
    result, n = xpnet("doctor"), len(KNOWN)
    rows = dict(line.split(None, 1) for line in result.out.splitlines())
    assert (result.code, result.err) == (0, "")
    assert set(list(rows)[:n]) == KNOWN.keys() - {"numpy", "cupy"} | {"cpu", "gpu"}
    assert rows["cpu"] == f"usable: numpy {np.__version__}, {Device('cpu').hardware}"
    gpu = rows["gpu"]
    assert gpu.startswith("usable: ") == is_usable != gpu.endswith("was found; install one")
    assert (rows["numpy"], rows["executable"]) == (np.__version__, sys.executable)
    found = json.loads(xpnet("doctor", "--json").out)
    assert found["devices"].keys() == set(list(rows)[:n])
    assert (found["facts"]["numpy"], found["cupy_config"]) == (np.__version__, None)


def test_a_diagnosis(xpnet, is_usable):
    code = 0 if is_usable else 5
    result = xpnet("doctor", "--device", "gpu:1")
    assert (result.code, result.err, result.out.endswith(f"\n\n{CONFIG}")) == (code, "", True)
    assert result.out.startswith("gpu:1 ")
    result = xpnet("doctor", "--device", "cuda", "--json")
    found = json.loads(result.out)
    assert (result.code, result.err, found["cupy_config"]) == (code, "", CONFIG)
    verdict = found["devices"]["cuda"]
    assert found["devices"].keys() == {"cuda"}
    if is_usable:
        assert (verdict["usable"], verdict["code"], verdict["fix"]) == (True, "usable", "")
        assert verdict["library"] == "cupy"
    else:
        message = "no NVIDIA driver was found"
        known = {"usable": False, "code": "no-driver", "message": message, "fix": "install one"}
        assert verdict == known


def test_a_source_tree_has_no_version(xpnet, monkeypatch):
    def fail(_):
        raise PackageNotFoundError

    monkeypatch.setattr("importlib.metadata.version", fail)
    result = xpnet("doctor", "--device", "numpy:0", "--json")
    found = json.loads(result.out)
    verdict = found["devices"]["numpy:0"]
    assert (result.code, verdict["code"], found["facts"]["xpnet"]) == (5, "unusable", None)


# By the driver's version and error.
@pytest.mark.parametrize(
    ("version", "error", "code", "words"),
    [(0, 0, "no-driver", "no NVIDIA driver"), (13020, 803, "unusable", "SystemDriverMismatch")],
    ids=["no-driver", "unusable"],
)
def test_the_real_cupy_without_a_gpu(tmp_path, *, version, error, code, words):
    """In a process of its own, on a driver that answers as the environment says."""
    pytest.importorskip("cupy", reason="needs the real CuPy, on any machine")
    gcc = shutil.which("gcc")
    if gcc is None or sys.platform != "linux":
        pytest.skip("needs gcc on Linux, to build the fake driver")
    subprocess.run([gcc, "-shared", "-fPIC", SOURCE, "-o", tmp_path / "libcuda.so.1"], check=True)
    kept = {k: x for k, x in os.environ.items() if k not in {"CUDA_VISIBLE_DEVICES", "CUPY_TF32"}}
    kept |= {"FAKE_DRIVER_VERSION": str(version), "FAKE_DRIVER_ERROR": str(error)}
    kept |= {"PYTHONPATH": str(Path(package.__file__).parents[1]), "LD_LIBRARY_PATH": str(tmp_path)}

    def run(*given):
        command = [sys.executable, "-m", "xpnet", *given, "--device", "gpu"]
        options = {"cwd": tmp_path, "env": kept, "capture_output": True, "text": True}
        return subprocess.run(command, check=False, **options)

    result = run("evaluate")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (5, "", 1)
    assert result.stderr.startswith("xpnet: ")
    assert words in result.stderr
    assert "; " in result.stderr  # the fix follows
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (5, "")
    verdict = found["devices"]["gpu"]
    assert (verdict["usable"], verdict["code"], words in verdict["message"]) == (False, code, True)
    assert "CuPy Version" in found["cupy_config"]


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    "words", ["evaluate", "predict -o a.csv", "train -o a.npz", "bench", "show"]
)
def test_no_command_falls_back(refused, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, line = refused(*words.split(), "--device", "gpu")
    assert (code, list(tmp_path.iterdir())) == (5, [])
    assert line.startswith("xpnet: cupy is not installed; pip install")
