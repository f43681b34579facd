"""Rehearsal of the tests in this folder on stand-in devices, on machines without a GPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# So many of these tests need no more of a GPU than that it is another device.
FEWEST = 650


def pytest_in_a_process(*words, **variables):
    """Return pytest's output for this folder, and its counts."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XPNET_GPU", "PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *words],
        # One thread: beside other processes, two that wait for each other take longer.
        env={**kept, "OPENBLAS_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done, {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", last_line(done.stdout))}


def last_line(text):
    return text.rstrip().rpartition("\n")[2]


@pytest.fixture(autouse=True)
def strict():
    return pytest.importorskip("array_api_strict", reason="stands in for a GPU")


@pytest.mark.slow
def test_they_pass(tmp_path):
    file = tmp_path / "ulp.json"
    done, counts = pytest_in_a_process(FOLDER, XPNET_GPU_REHEARSAL="1", XPNET_GPU_ULP=str(file))
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts["passed"] >= FEWEST, last_line(done.stdout)
    assert "largest errors in ULP on a rehearsal:\n" in done.stdout
    assert '"float32"' in file.read_text("utf-8")


def test_a_wrong_function_is_seen(tmp_path):
    # Off by 2e-6 of itself, which is 17 to 34 ULP.
    (tmp_path / "wrong_sigmoid.py").write_text(
        "import xpnet\n"
        "right = xpnet.sigmoid\n"
        "xpnet.sigmoid = lambda x: right(x) * (1 + 2e-6) if 'float32' in str(x.dtype) else right(x)"
    )
    done, counts = pytest_in_a_process(
        FOLDER / "test_values.py",
        *("-k", "test_elementwise and sigmoid", "-p", "wrong_sigmoid"),
        XPNET_GPU_REHEARSAL="1",
        PYTHONPATH=os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])),
    )
    assert done.returncode == 1
    assert counts["failed"] == 1
    assert re.search(r"AssertionError: sigmoid\(.*\) gave .*, true is ", done.stdout)


def test_without_a_gpu_they_are_skipped_and_say_why():
    done, counts = pytest_in_a_process(FOLDER / "test_two_gpus.py", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts.keys() == {"skipped"}
    assert re.search(r"SKIPPED \[\d+\] .*: no GPU: \S+ .*\n", done.stdout)
