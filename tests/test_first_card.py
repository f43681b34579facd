"""benchmarks/first_card.sh without a GPU: rehearsals, interruptions, missing packages."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from importlib.metadata import requires
from pathlib import Path
from runpy import run_path
from xml.etree import ElementTree as ET

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "first_card.sh"
DEVICE = "tests/gpu/test_device.py"

pytestmark = [
    pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not here"),
    pytest.mark.skipif(not all(map(shutil.which, ("bash", "timeout"))), reason="needs GNU's tools"),
]


def start(out, *options, python=sys.executable, path=(), **variables):
    """Start the script in a session of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XPNET", "PYTEST", "COV"))}
    paths = filter(None, [*map(str, path), os.environ.get("PYTHONPATH")])
    return subprocess.Popen(
        [str(SCRIPT), "--out", str(out), *options],
        env={
            **kept,
            "PYTHON": str(python),
            "PYTHONPATH": os.pathsep.join(paths),
            "CUDA_VISIBLE_DEVICES": "",
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(*words, **more):
    """Run the script; return its exit code and output."""
    with start(*words, **more) as process:
        output, _ = process.communicate(timeout=300)
    return process.returncode, output


def summary(out):
    """Return the lines of the summary by their parts."""
    lines = (out / "summary.txt").read_text("utf-8").splitlines()
    return {part: rest.strip() for part, _, rest in (line.partition(":") for line in lines)}


def verdicts(out, name):
    """Return the number of tests, and of those that did not pass and were not skipped."""
    (suite,) = ET.parse(out / "tests" / f"{name}.xml").getroot()
    return int(suite.get("tests")), int(suite.get("failures")) + int(suite.get("errors"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.slow
def test_a_rehearsal_runs_every_part(out):
    values = "tests/gpu/test_values.py"
    code, output = run(out, "--rehearse", DEVICE, values, XPNET_COMMIT="0123abc")
    assert code == 0, output
    assert json.loads((out / "doctor.json").read_text("utf-8"))["message"] in output
    assert "GPU 0 is usable" in (out / "doctor.txt").read_text("utf-8")
    about = json.loads((out / "about.json").read_text("utf-8"))
    assert {"card", "driver", "cupy", "cuda"} <= about["gpu"].keys()
    assert {"python", "numpy", "pytest"} <= about["versions"].keys()
    assert about["commit"] != "unknown"
    for name in ("test_device", "test_values"):
        n_tests, n_failed = verdicts(out, name)
        assert n_tests > 4
        assert n_failed == 0
    ulps = json.loads((out / "tests" / "test_values.ulp.json").read_text("utf-8"))
    assert ulps["hardware"] == "a rehearsal"
    (path,) = out.glob("gpu-*.json")
    content = json.loads(path.read_text("utf-8"))
    assert content["rehearsal"] is True
    assert all(each["passed"] for each in content["checks"])
    parts = summary(out)
    assert list(parts)[1:3] == [DEVICE, values]
    assert " passed in " in parts[DEVICE]  # and none is skipped
    assert parts["benchmark"].startswith("exit code 0; ")
    assert output.splitlines()[-1].endswith(" s: passed")


@pytest.mark.slow
def test_a_kill_leaves_what_was_finished(out):
    process = start(out, "--rehearse", DEVICE, "tests/gpu/test_commands.py")
    try:
        end = time.monotonic() + 120
        while not (out / "summary.txt").exists() or DEVICE not in summary(out):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert verdicts(out, "test_device")[1] == 0
    assert json.loads((out / "doctor.json").read_text("utf-8"))["code"]
    assert list(summary(out)) == ["doctor", DEVICE]


@pytest.mark.slow
def test_a_failure_and_a_test_that_hangs_stop_nothing_else(out, tmp_path):
    parity = "tests/gpu/test_parity.py"
    (tmp_path / "faults.py").write_text(
        "import time\n"
        "def pytest_runtest_call(item):\n"
        "    if item.name == 'test_a_network_goes_there_and_back':\n"
        "        time.sleep(200)\n"
        "    assert item.name != 'test_a_fault_is_out_of_bound', 'planted'\n"
    )
    code, output = run(
        out,
        *("--rehearse", "--minutes", "2", parity, DEVICE),
        path=[tmp_path],
        PYTEST_ADDOPTS="-p faults",
    )
    assert code == 1
    assert verdicts(out, "test_device")[0] > 2  # those before it
    assert "in pytest_runtest_call\n" in (out / "tests" / "test_device.txt").read_text("utf-8")
    assert f"FAILED {parity}::test_a_fault_is_out_of_bound" in output
    parts = summary(out)
    assert parts[DEVICE].startswith("stopped after ")
    assert "1 failed, " in parts[parity]
    assert parts["benchmark"].startswith("exit code 0; ")
    assert output.splitlines()[-1].endswith(" s: see above")


def test_without_a_gpu_it_ends_with_5_and_the_reason(out):
    code, output = run(out, XPNET_GPU_REHEARSAL="1")
    message = json.loads((out / "doctor.json").read_text("utf-8"))["message"]
    assert code == 5
    assert output.splitlines()[-1] == f"doctor: exit code 5: {message}"
    assert {path.name for path in out.iterdir()} == {"doctor.json", "doctor.txt", "summary.txt"}


@pytest.fixture
def wrapped_python(tmp_path):
    """Return a command from a line of shell, in which PYTHON is this interpreter."""

    def make(line):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{line}\n".replace("PYTHON", f'"{sys.executable}"'))
        path.chmod(0o755)
        return path

    return make


def test_tests_skipped_on_a_card_are_a_failure(out, wrapped_python):
    python = wrapped_python(
        'case "$*" in'
        ' *"xpnet doctor"*) echo "why  usable" ;; *provenance* | benchmarks/gpu.py*) ;;'
        ' *) exec PYTHON "$@" ;;'
        " esac"
    )
    code, output = run(out, "tests/gpu/test_two_gpus.py", python=python)
    assert code == 1
    parts = summary(out)
    assert parts["doctor"] == "exit code 0: usable"
    assert " skipped in " in parts["tests/gpu/test_two_gpus.py"]
    assert parts["benchmark"].startswith("exit code 0; ")
    assert output.splitlines()[-1].endswith(" s: see above")


def test_a_gpu_that_opens_is_tested_whatever_the_doctor_finds(out, wrapped_python):
    python = wrapped_python(
        'case "$*" in'
        ' *"xpnet doctor"*) echo "why  a wrong product"; exit 5 ;;'
        ' *"Device("* | *provenance* | *pytest* | benchmarks/gpu.py*) ;; *) exec PYTHON "$@" ;;'
        " esac"
    )
    code, _ = run(out, "tests/gpu/test_two_gpus.py", python=python)
    assert code == 1
    parts = summary(out)
    assert parts["doctor"] == "exit code 5: a wrong product"
    assert {"tests/gpu/test_two_gpus.py", "benchmark"} <= parts.keys()


def distribution(folder, name, release):
    """Return the metadata of a package, and its file's name in the folder."""
    return folder / f"{name}-{release}.dist-info" / "METADATA", (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n"
    )


def test_missing_and_old_packages_are_named(out, tmp_path, wrapped_python):
    bare = wrapped_python('exec PYTHON -S "$@"')
    path, text = distribution(tmp_path, "tqdm", "4.7")
    path.parent.mkdir()
    path.write_text(text)
    code, output = run(out, python=bare, path=[tmp_path], PYTHONPATH=str(tmp_path))
    assert code == 2
    assert "numpy>=2.1, safetensors>=0.5, threadpoolctl>=3.5, tqdm>=4.66, " in output
    assert "'pytest>=9'" in output
    assert "pip download --no-deps " in output


def test_wheels_are_installed_for_the_run(out, tmp_path, wrapped_python):
    if not list(Path(sys.prefix).glob("lib/python3*/site-packages/pip")):
        pytest.skip("needs pip")
    old, text = distribution(tmp_path, "tqdm", "4.7")
    old.parent.mkdir()
    old.write_text(text)
    code, output = run(out, path=[tmp_path])
    assert code == 2
    assert "'tqdm>=4.66'\n" in output
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tqdm-99.0-py3-none-any.whl", "w") as wheel:
        member, text = distribution(Path(), "tqdm", "99.0")
        wheel.writestr(str(member), text)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(str(member.with_name("WHEEL")), tags)
        wheel.writestr(str(member.with_name("RECORD")), "")
    doctors = 'case "$*" in *"xpnet doctor"* | *"Device("*) exit 5 ;; *) exec PYTHON "$@" ;; esac'
    python = wrapped_python(doctors)
    code, output = run(out, "--wheels", str(wheels), path=[tmp_path], python=python)
    assert code == 5, output


@pytest.mark.parametrize(
    "options",
    [["--minutes", "soon"], ["--minutes"], ["--fast", "1"], ["--wheels", "none/here"]],
)
def test_usage(out, options):
    code, output = run(out, *options)
    assert code == 2
    assert "--minutes N " in output


def test_results_are_never_mixed(out):
    out.mkdir()
    (out / "gpu.json").touch()
    code, output = run(out)
    assert (code, output) == (2, f"{out} must be empty\n")


def test_the_required_packages_are_complete():
    listed = run_path(str(ROOT / "benchmarks" / "harness" / "requirements.py"))["requirements"]()
    needed = [Requirement(text) for name in listed for text in requires(name) or []]
    missing = {each.name for each in needed if not each.marker or each.marker.evaluate()}
    assert {name.lower() for name in missing} <= listed.keys()
