"""The list of places that may convert arrays to NumPy, tested by pytest within pytest."""

import sys
from dataclasses import replace

import pytest

from xpnet.arrays.device_errors import Diagnosis
from xpnet.arrays.known_libraries import KNOWN

strict = pytest.importorskip("array_api_strict")
LIBRARIES = [name for name in ("dask", "torch") if name in sys.modules]
BACKENDS = ",".join(["numpy", "array-api-strict", *LIBRARIES, "-torch:cuda"])
MINE = """
import numpy as np
from array_api_compat import array_namespace, device

class Model:
    def center(self, x):
        rows = [np.array(x)]
        rows[0] -= rows[0].mean()
        return rows[0]

def center(x):
    return Model().center(x)

def cumulate(x):
    y = [np.asarray(y).cumsum() for y in (x,)][0]
    return array_namespace(x).asarray(y, device=device(x))

def off(x):
    return center(x) + (0.0 if isinstance(x, np.ndarray) else 1e-3)

def double(x):
    return x + x
"""
TESTS = """
import numpy as np
import pytest
from array_api_compat import array_namespace
from mine import center, cumulate, double, off
from xpnet.testing import assert_parity

X = np.linspace(-1.0, 2.0, 7, dtype="float32")

@pytest.mark.parametrize("function", [center, cumulate, double])
def test_parity(function):
    assert_parity(function, X)

def test_fixture(xp):
    assert array_namespace(cumulate(xp.ones(3))) == xp
"""
PLACES = ["mine.py::Model.center", "mine.py::cumulate"]
N_PASSED = 3 + BACKENDS.count(",") + 3  # strict has four backends


@pytest.fixture
def listed(run, pytester):
    """Run tests with a list of places."""

    def run_listed(places, *options, tests=TESTS, backends=BACKENDS):
        pytester.makepyprojecttoml(f"""
            [tool.pytest.ini_options]
            xp_backends = "{backends}"
            xp_escapes = "escapes.txt"
            """)
        path = pytester.path / "escapes.txt"
        if places is not None:
            path.write_text("".join(f"{place}\n" for place in places))
        return run(tests, *options, mine=MINE)

    return run_listed


def test_the_list_is_written_once(listed, pytester):
    listed(None, "--xp-escapes-write").assert_outcomes(passed=N_PASSED)
    assert (pytester.path / "escapes.txt").read_text().splitlines() == PLACES
    listed(None).assert_outcomes(passed=N_PASSED)
    result = listed(None, "--xp-escapes-write")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: xp_escapes: *escapes.txt exists: remove --xp-esc*"])


def test_a_missing_list_is_a_usage_error(listed):
    result = listed(None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: xp_escapes: *escapes.txt is missing: create it by --xp-*"])


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_is_not_listed_fails(listed, place):
    result = listed([x for x in PLACES if x != place])
    n_failed = 1 if "center" in place else 1 + N_PASSED - 3 - 1  # NumPy passes
    result.assert_outcomes(passed=N_PASSED - n_failed, failed=n_failed)
    words = f"RuntimeError: {place} converts an array of array-api-strict to NumPy; escapes.txt"
    result.stdout.fnmatch_lines([f"E *{words} lacks it*"])


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [([], 1), (["-k", "test"], 0), (["test_it.py"], 0), (["--xp-backends=default"], 0)],
)
@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_a_place_that_does_not_convert_fails_a_complete_session(
    listed, options, exit_code, workers
):
    if workers:
        pytest.importorskip("xdist")
    result = listed([*PLACES, "mine.py::double"], *options, *workers)
    assert result.ret == exit_code
    words = "did not convert to NumPy; remove it"
    lines = [line for line in result.outlines if line.startswith("xp_escapes")]
    assert lines == [f"xp_escapes: mine.py::double {words}"] * exit_code


def test_no_place_is_missing_where_a_library_is(listed, monkeypatch, fresh_reasons):
    del fresh_reasons
    cause = Diagnosis("not-installed", "torch is not installed", "pip install torch")
    monkeypatch.setitem(KNOWN, "torch", replace(KNOWN["torch"], check=lambda _: cause))
    backends = BACKENDS if "torch" in LIBRARIES else f"{BACKENDS},torch"
    assert listed([*PLACES, "mine.py::double"], backends=backends).ret == 0


@pytest.mark.parametrize(
    ("test", "message"),
    [
        # The values of a result that is a NumPy array are compared.
        ("assert_parity(off, X)", "the result is wrong: 7 of 7 values out of bound"),
        # A listed place excuses its own function alone.
        (
            "assert_parity(center, X)\n    assert_parity(lambda x: x * bool(x[0] < 0), X)",
            "dask: RuntimeError: a Dask array was computed inside the function",
        ),
        ("assert_parity(lambda x: np.asarray(x), X)", "must be an array of array-api-strict; got"),
        ("assert_parity(lambda x: np.asarray(x), X)", "Can't convert array on the *'device1'"),
    ],
)
def test_other_faults_are_found(listed, test, message):
    if "dask" in message and "dask" not in LIBRARIES:
        pytest.skip("dask is not installed")
    result = listed(PLACES, tests=f"{TESTS}\ndef test_fault():\n    {test}\n")
    result.assert_outcomes(passed=N_PASSED, failed=1)
    result.stdout.fnmatch_lines([f"E *{message}*"])


def test_a_test_and_the_kit_may_convert(listed):
    tests = """
        import numpy as np
        from mine import double

        def test_values(xp_backend):
            y = double(xp_backend.asarray([1.0, 2.0]))
            assert list(xp_backend.check(y, dtype="float32", shape=(2,))) == [2.0, 4.0]

        def test_own(xp, xp_backend):
            if xp_backend.is_cpu:  # where NumPy can read arrays
                assert np.asarray(double(xp.ones(3))).sum() == 6.0
        """
    result = listed([], tests=tests)
    result.assert_outcomes(passed=2 * (N_PASSED - 3))


def test_the_classes_are_restored(listed):
    members = dict(vars(type(strict.asarray(1))))
    listed(PLACES).assert_outcomes(passed=N_PASSED)
    assert dict(vars(type(strict.asarray(1)))) == members
