"""Reports of functions by backends."""

import json

import pytest

from xpnet.testing.outcomes import BackendOutcome, Call
from xpnet.testing.report import markdown, rows_of

pytest.importorskip("array_api_strict")

LIGHT = "--xp-backends=numpy,array-api-strict,array-api-strict:device1"
CONVERTED = "RuntimeError: Can't convert array on the 'device1' device to a NumPy array"


def rows(name, variant, *outcomes):
    by_name = {outcome.backend: outcome for outcome in outcomes}
    return rows_of(Call(len, name, variant, by_name))


def passed(backend, *checks):
    return BackendOutcome(backend, checks=("eager", *checks))


@pytest.fixture
def mixed():
    """Return rows of three functions, with all kinds of outcomes."""
    wrong = BackendOutcome("jax", ("is wrong: nan",), checks=("eager",))
    escaped = BackendOutcome("strict", (CONVERTED,), escaped="scores.py:12")
    host = BackendOutcome("torch", ("the result must be an array of torch; got one of numpy",))
    absent = BackendOutcome("cupy", skipped="no GPU")
    return [
        *rows("scale", "float32", passed("strict"), passed("torch"), passed("jax", "jit"), absent),
        *rows("scale", "nan", passed("strict"), passed("torch"), wrong, absent),
        *rows(
            "center",
            "",
            escaped,
            host,
            BackendOutcome("jax", ("no",), escaped="scores.py:12"),
            absent,
        ),
        *rows("other", "", BackendOutcome("strict", ("no",), escaped="a.py:1"), passed("torch")),
    ]


def test_a_table_has_what_passed_failed_and_why(mixed):
    assert markdown(mixed).splitlines() == [
        "| function | strict | torch | jax | variants |",
        "| --- | --- | --- | --- | --- |",
        "| `scale` | eager | eager | eager, jit; **fails**: nan | float32 |",
        "| `center` | **fails** | **fails** | **fails** |  |",
        "| `other` | **fails** | eager | not tested |  |",
        "",
        "**Failures**",
        "",
        "- 1 x `scale`: is wrong: nan (jax nan)",
        f"- 1 x `center`: {CONVERTED} (strict)",
        "- 1 x `center`: the result must be an array of torch; got one of numpy (torch)",
        "- 1 x `center`: no (jax)",
        "- 1 x `other`: no (strict)",
        "",
        "**Not tested**",
        "",
        "- 3 x cupy: no GPU (scale; center)",
        "",
        "**Lines where errors arose**",
        "",
        "- 2 x scores.py:12 (center on strict; center on jax)",
        "- 1 x a.py:1 (other on strict)",
    ]


def test_rows_are_plain_values(mixed):
    assert json.loads(json.dumps(mixed))[6] == {
        "name": "scale",
        "variant": "nan",
        "backend": "jax",
        "faults": ["is wrong: nan"],
        "skipped": None,
        "checks": ["eager"],
        "escaped": None,
    }


def test_bars_and_line_breaks_do_not_break_the_table():
    table = markdown(rows("a|b", "", passed("x"), BackendOutcome("y", ("one\ntwo",))))
    assert r"| `a\|b` | eager | **fails** |  |" in table.splitlines()
    assert "- 1 x `a|b`: one two (y)" in table.splitlines()


def test_a_variant_that_fails_once_is_no_pass():
    wrong = BackendOutcome("x", ("wrong",))
    both = [*rows("f", "nan", passed("x")), *rows("f", "nan", wrong)]
    assert markdown(both).splitlines()[2] == "| `f` | **fails**: nan |  |"


def test_frequent_reasons_are_first():
    failures = [
        BackendOutcome(name, ("no",), escaped=f"{name[0]}.py:1") for name in ("a", "b1", "b2")
    ]
    lines = markdown(rows("f", "", *failures)).splitlines()
    assert lines[-2:] == ["- 2 x b.py:1 (f on b1; f on b2)", "- 1 x a.py:1 (f on a)"]


TESTS = """
import numpy as np
import pytest
from functions import center, relu
from xpnet.testing import assert_parity, parity

@pytest.mark.parametrize("function", [relu, center])
def test_parity(function):
    assert_parity(function, [1.0, -2.0])

def test_fixture(xp):
    assert relu(xp.ones(2)).shape == (2,)
"""
FUNCTIONS = """
import numpy as np
from array_api_compat import array_namespace

def relu(x):
    return array_namespace(x).maximum(x, 0.0)

def center(x):
    return np.asarray(x) - np.mean(np.asarray(x))
"""


def test_pytest_prints_a_table_of_functions(run):
    result = run(TESTS, LIGHT, "--xp-report=table", functions=FUNCTIONS)
    result.stdout.fnmatch_lines(
        [
            "*= --xp-report =*",
            "| function | numpy | array-api-strict | array-api-strict:device1 | * | variants |",
            "| `relu` | eager | eager | eager | *",
            "| `center` | eager | [*][*]fails[*][*] | [*][*]fails[*][*] | *",
            "- * x functions.py:8 (center on array-api-strict:device1*",
        ]
    )
    result.stdout.no_fnmatch_line("| *test_fixture*")  # pytest itself reports such tests


@pytest.mark.parametrize("name", ["report.json", "report.md"])
def test_pytest_writes_a_file(run, pytester, name):
    result = run(TESTS, LIGHT, f"--xp-report={name}", functions=FUNCTIONS)
    text = (pytester.path / name).read_text("utf-8")
    if name.endswith("json"):
        found = json.loads(text)
        assert found[0]["name"] == "relu"
        assert {"name", "backend", "variant", "checks", "faults"} < set(found[0])
    else:
        assert text.startswith("| function | numpy |")
    result.stdout.no_fnmatch_line("*= --xp-report =*")
