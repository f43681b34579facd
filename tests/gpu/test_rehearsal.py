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


MISTAKES = """
import cupy
x = cupy.ones((3, 4))
cupy.sum(x, where=True)
cupy.spacing(x)
cupy.empty(3, device=None)
x.sum(axis=0).ctypes
x.sort(-1, stable=True)
"""


def test_calls_that_the_real_cupy_does_not_take_are_seen(tmp_path, cupy_takes):
    file = tmp_path / "calls.txt"
    done = run_python("-c", MISTAKES, path=[STAND_IN], XPNET_STAND_IN_CALLS=file)
    assert done.returncode == 0, done.stderr
    assert refused(file, cupy_takes) == {
        ("cupy.sum", "where"),
        ("cupy.spacing",),
        ("cupy.empty", "device"),
        ("cupy.ndarray.ctypes",),
        ("cupy.ndarray.sort", "stable"),
    }


LOUD = {
    "cupy.testing": AttributeError,
    "cupy.unstack": AttributeError,
    "cupy.cuda.graph": AttributeError,
    "numpy.asarray(x)": TypeError,
    "numpy.exp(x)": TypeError,
    "numpy.ones(3) + x": TypeError,
    "cupy.where(x > 0, numpy.ones(3), x)": TypeError,
    "x.set(numpy.ones(4))": TypeError,
    "x.get(out=numpy.ones(3, 'f4'))": TypeError,
    "cupy.asarray(['a'])": ValueError,
    "[cupy.cuda.Device(1).__enter__(), x + x]": ValueError,  # x is on the first
}
REFUSALS = """
import cupy, numpy
for words in {words}:
    x = cupy.ones(3)
    try:
        print(eval(words))
    except Exception as error:
        print(type(error).__name__)
"""


def test_the_stand_in_refuses_what_cupy_refuses():
    done = run_python("-c", REFUSALS.format(words=list(LOUD)), path=[STAND_IN])
    assert done.stdout.split() == [error.__name__ for error in LOUD.values()], done


@pytest.mark.usefixtures("strict")
def test_a_wrong_function_is_seen(tmp_path):
    # Off by 2e-6 of itself, which is 17 to 34 ULP.
    (tmp_path / "wrong_sigmoid.py").write_text(
        "import xpnet\n"
        "right = xpnet.sigmoid\n"
        "xpnet.sigmoid = lambda x: right(x) * (1 + 2e-6) if 'float32' in str(x.dtype) else right(x)"
    )
    done, counts = run_pytest(
        FOLDER / "test_values.py",
        *("-k", "test_elementwise and sigmoid", "-p", "wrong_sigmoid"),
        path=[tmp_path],
        XPNET_GPU_REHEARSAL="1",
    )
    assert done.returncode == 1
    assert counts["failed"] == 1
    assert re.search(r"AssertionError: sigmoid\(.*\) gave .*, true is ", done.stdout)


def test_without_a_gpu_they_are_skipped_and_say_why():
    done, counts = run_pytest(FOLDER / "test_device.py", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts.keys() == {"skipped"}
    assert re.search(r"SKIPPED \[\d+\] no GPU: \S+ .*\n", done.stdout)
