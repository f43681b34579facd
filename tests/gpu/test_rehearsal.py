"""Rehearsal of ``pytest -m gpu`` on machines without a GPU.

Twice: the tests in this folder on the devices of array-api-strict, which rejects what the array API
does not promise; and all tests on a stand-in for CuPy, whose calls are compared with the signatures
of the real one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
STAND_IN = FOLDER / "stand_in"
OURS = ("XPNET_GPU", "XPNET_STAND_IN", "PYTEST", "COV", "CUPY_")
# So many of these tests need no more of a GPU than that it is another device.
FEWEST = 400
# With the stand-in, all but those that need more than this machine has installed.
MOST = 1000


def run_python(*words, path=(), **variables):
    """Run Python in a process, with folders to import from and variables of the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    folders = [*map(str, path), *filter(None, [kept.get("PYTHONPATH")])]
    # One thread: beside other processes, two that wait for each other take longer.
    kept |= {"PYTHONPATH": os.pathsep.join(folders), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=kept | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run_pytest(*words, **options):
    """Return pytest's output, and its counts."""
    call = ("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider")
    done = run_python(*call, *words, **options)
    return done, {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", last_line(done.stdout))}


def last_line(text):
    return text.rstrip().rpartition("\n")[2]


@pytest.fixture
def strict():
    return pytest.importorskip("array_api_strict", reason="stands in for a GPU")


def refused(file, cupy_takes):
    """Return the recorded calls that the real CuPy does not take."""
    lines = [line.split() for line in file.read_text("utf-8").splitlines()]
    calls = [
        (name, None if n_args == "-" else [None] * int(n_args), dict.fromkeys(options))
        for name, n_args, *options in lines
    ]
    assert calls
    return {
        (name, *options) for name, args, options in calls if not cupy_takes(name, args, options)
    }


@pytest.mark.slow
@pytest.mark.usefixtures("strict")
def test_they_pass_on_array_api_strict(tmp_path):
    file = tmp_path / "measured.json"
    done, counts = run_pytest(FOLDER, XPNET_GPU_REHEARSAL="1", XPNET_GPU_ULP=file)
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts["passed"] >= FEWEST, last_line(done.stdout)
    assert "measured on a rehearsal (errors of functions in ULP):\n" in done.stdout
    assert '"float32"' in file.read_text("utf-8")


@pytest.fixture(scope="module")
def on_stand_in(tmp_path_factory):
    """Return a run of the tests with the stand-in, its counts, and the file of its calls.

    Left out are those that need no more than device memory, which array-api-strict has.
    """
    file = tmp_path_factory.mktemp("stand_in") / "calls.txt"
    where = {"XPNET_GPU_REHEARSAL": "cupy", "XPNET_STAND_IN_CALLS": file}
    left_out = (f"--ignore={FOLDER}/test_{name}.py" for name in ("parity", "reproducible"))
    return *run_pytest(FOLDER.parent, *left_out, path=[STAND_IN], **where), file


@pytest.mark.slow
def test_they_pass_on_a_stand_in_for_cupy(on_stand_in):
    done, counts, _ = on_stand_in
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts["passed"] >= MOST, last_line(done.stdout)


@pytest.mark.slow
def test_the_real_cupy_takes_their_calls(on_stand_in, cupy_takes):
    assert refused(on_stand_in[-1], cupy_takes) == set()


@pytest.mark.slow
def test_a_gpu_without_tf32():
    files = [FOLDER / f"test_{name}.py" for name in ("precision", "parity")]
    where = {"XPNET_GPU_REHEARSAL": "cupy", "XPNET_STAND_IN_CAPABILITY": 75}
    done, counts = run_pytest(*files, "-k", "not bound or tf32", **where)
    assert done.returncode == 0, done.stdout[-4000:]
    reason = r"SKIPPED \[(\d+)\] TF32 came with compute capability 8.0\n"
    assert sum(map(int, re.findall(reason, done.stdout))) == 8
    assert counts["passed"] >= 5


def test_without_a_gpu_they_are_skipped_and_say_why():
    done, counts = run_pytest(FOLDER / "test_two_gpus.py", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts.keys() == {"skipped"}
    assert re.search(r"SKIPPED \[\d+\] no GPU: \S+ .*\n", done.stdout)
