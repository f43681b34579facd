"""``xpnet doctor``: devices, facts and the exit code; the real CuPy without a GPU."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import xpnet as package
from xpnet import Device
from xpnet.arrays.libraries import KNOWN

CONFIG = "OS            : Linux\nCuPy Version  : 14.2.0\n"
SOURCE = Path(__file__).with_name("fake_driver.c")


@pytest.fixture(autouse=True)
def config(monkeypatch):
    """Let this be what CuPy tells of itself."""
    monkeypatch.setattr("xpnet.arrays.gpu.cupy_config", lambda: CONFIG)


@pytest.mark.usefixtures("strict_gpu")
def test_the_devices_of_all_libraries(xpnet):
    result, n = xpnet("doctor"), len(KNOWN)
    rows = dict(line.split(None, 1) for line in result.out.splitlines())
    assert (result.code, result.err) == (0, "")
    assert set(list(rows)[:n]) == KNOWN.keys() - {"numpy", "cupy"} | {"cpu", "gpu"}
    assert rows["cpu"] == f"usable: numpy {np.__version__}, {Device('cpu').hardware}"
    assert rows["gpu"].startswith("usable: ")
    assert (rows["numpy"], rows["executable"]) == (np.__version__, sys.executable)
    found = json.loads(xpnet("doctor", "--json").out)
    assert found["devices"].keys() == set(list(rows)[:n])
    assert (found["facts"]["numpy"], found["cupy_config"]) == (np.__version__, None)


@pytest.mark.parametrize("is_usable", [False, True], ids=["unusable", "usable"])
def test_a_diagnosis(xpnet, request, is_usable):
    request.getfixturevalue("strict_gpu" if is_usable else "no_gpu")
    code, verdict = 0, {"usable": True, "code": "usable", "fix": "", "library": "cupy"}
    if not is_usable:
        code, verdict = 5, {"usable": False, "code": "not-installed", "fix": "pip install it"}
    result = xpnet("doctor", "--device", "gpu:1")
    assert (result.code, result.err, result.out.endswith(f"\n\n{CONFIG}")) == (code, "", True)
    assert result.out.startswith("gpu:1 ")
    result = xpnet("doctor", "--device", "cuda", "--json")
    found = json.loads(result.out)
    assert (result.code, result.err, found["cupy_config"]) == (code, "", CONFIG)
    assert found["devices"].keys() == {"cuda"}
    assert verdict.items() <= found["devices"]["cuda"].items()


def test_a_source_tree_has_no_version(xpnet, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", Mock(side_effect=PackageNotFoundError))
    found = json.loads(xpnet("doctor", "--device", "cpu", "--json").out)
    assert found["facts"]["xpnet"] is None


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
    command = [sys.executable, "-m", "xpnet", "doctor", "--device", "gpu", "--json"]
    result = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (5, b"")
    found = json.loads(result.stdout)
    verdict = found["devices"]["gpu"]
    assert (verdict["usable"], verdict["code"]) == (False, code)
    assert words in verdict["message"]
    assert verdict["fix"]
    assert "CuPy Version" in found["cupy_config"]
