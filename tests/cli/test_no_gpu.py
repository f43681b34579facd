"""The command line on machines without a usable GPU: one line, no result, no other device.

The real CuPy runs in a process of its own, on a driver that answers as the environment says.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xpnet as package

SOURCE = Path(__file__).with_name("fake_driver.c")
# By the driver's version and error, and CUDA_VISIBLE_DEVICES: the code, and words of the message.
CAUSES = {
    (0, 0, None): ("no-driver", "no NVIDIA driver"),
    (0, 0, ""): ("no-driver", "no NVIDIA driver"),
    (11040, 0, None): ("driver-too-old", "CUDA 11.4"),
    (13020, 100, None): ("no-device", "CUDA_VISIBLE_DEVICES is not set"),
    (13020, 100, ""): ("no-device", "CUDA_VISIBLE_DEVICES is ''"),
    (13020, 100, "-1"): ("no-device", "CUDA_VISIBLE_DEVICES is '-1'"),
    (13020, 803, None): ("unusable", "cudaErrorSystemDriverMismatch"),
}


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Return the folder of a fake driver."""
    pytest.importorskip("cupy", reason="needs the real CuPy, on any machine")
    folder, gcc = tmp_path_factory.mktemp("driver"), shutil.which("gcc")
    if gcc is None or sys.platform != "linux":
        pytest.skip("needs gcc on Linux, to build the fake driver")
    subprocess.run([gcc, "-shared", "-fPIC", SOURCE, "-o", folder / "libcuda.so.1"], check=True)
    return folder


@pytest.fixture(params=CAUSES, ids=str)
def on_driver(request, driver, tmp_path):
    """Return a function that runs a command on a machine with this driver, and what is expected."""
    version, error, visible = request.param
    kept = {k: x for k, x in os.environ.items() if k not in {"CUDA_VISIBLE_DEVICES", "CUPY_TF32"}}
    kept |= {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    kept |= {"FAKE_DRIVER_VERSION": str(version), "FAKE_DRIVER_ERROR": str(error)}
    kept |= {"PYTHONPATH": str(Path(package.__file__).parents[1]), "LD_LIBRARY_PATH": str(driver)}

    def run(*words):
        command = [sys.executable, "-m", "xpnet", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False
        )

    return run, *CAUSES[request.param]


def test_a_command_gives_the_cause_and_no_result(on_driver):
    run, _, words = on_driver
    result = run("evaluate", "--device", "gpu")
    assert (result.returncode, result.stdout) == (5, "")
    assert result.stderr.startswith("xpnet: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert "; " in result.stderr  # the fix follows


def test_the_doctor_gives_the_same_cause(on_driver):
    run, code, words = on_driver
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (5, "")
    assert (found["usable"], found["code"]) == (False, code)
    assert words in found["message"]
    assert "CuPy Version" in found["cupy_config"]


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--device", "gpu"],
        ["predict", "-o", "out.csv", "--device", "gpu"],
        ["parity", "--devices", "cpu,gpu"],
        ["bench", "--device", "gpu"],
        ["train", "-o", "out.safetensors", "--history", "out.csv", "--device", "gpu:0"],
    ],
    ids=lambda words: words[0],
)
def test_no_command_falls_back(refused, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, line = refused(*words)
    assert code == 5
    assert line.startswith("xpnet: cupy is not installed; pip install")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_gpu")
def test_auto_takes_the_processor_and_tells_why(xpnet):
    found = json.loads(xpnet("evaluate", "--rows", "5", "--device", "auto", "--json").out)
    assert (found["device"], found["library"]) == ("cpu", "numpy")
    assert found["device_reason"].startswith("auto chose cpu: cupy is not installed")
