"""The summary of skips and expected failures."""

from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.parametrize("i", range(3))
def test_skipped(i):
    pytest.skip("not today")

@pytest.mark.skipif(True, reason="never")
def test_mark():
    pass

def test_backend(xp_backend):
    pytest.skip(f"{xp_backend.name} has no float16")

@pytest.mark.xfail(reason="an old bug")
def test_xfail():
    assert False

def test_imperative_xfail():
    pytest.xfail("an old bug")

def test_pass():
    pass
"""
# Extension modules load once per process: here, since pytester forgets what its tests import.
for name in ("array_api_compat.numpy", "array_api_strict"):
    pytest.importorskip(name)
BACKENDS = ("numpy", "array-api-strict:device1")
OPTIONS = (f"--xp-backends={','.join(BACKENDS)}", "-p", "no:cacheprovider")


@pytest.fixture
def run(pytester):
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(TESTS)

    def run(*options):
        result = pytester.runpytest_inprocess(*OPTIONS, *options)
        result.assert_outcomes(passed=1, skipped=6, xfailed=2)
        letters = [line.split()[1] for line in result.outlines if line.startswith("test_")]
        assert letters == ["xx"] or "-v" in options
        starts = ("SKIPPED", "XFAIL", "NOT TESTED")
        return [line for line in result.outlines if line.startswith(starts)]

    return run


def test_reasons_are_counted(run):
    assert run("-ra") == [
        "SKIPPED [3] not today",
        "SKIPPED [2] the backend has no float16",
        "SKIPPED [1] never",
        "XFAIL [2] an old bug",
    ]


def test_other_options_are_those_of_pytest(run):
    assert run("-rx") == [
        *(f"SKIPPED on xp backend {name}: {name} has no float16 (1 test)" for name in BACKENDS),
        "XFAIL [2] an old bug",
    ]


def test_verbose_lines_name_the_tests(run):
    lines = run("-v", "-ra")
    assert [line for line in lines if line.endswith(": not today")] != []
    assert [line for line in lines if line.startswith("XFAIL") and "::test_xfail" in line] != []
    assert "SKIPPED [3] not today" not in lines
