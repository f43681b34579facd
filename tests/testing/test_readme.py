"""The example repository in README, tested as described there."""

import re
from pathlib import Path

import pytest

# A session within a session unloads the modules that it was the first to import. Dask's
# importlib_metadata replaces the standard library's, and must stay loaded.
for module in (
    "array_api_compat.numpy",
    "array_api_extra.testing",
    "array_api_strict",
    "dask.array",
):
    pytest.importorskip(module)

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"```python\n# (\w+\.py)[^\n]*\n(.*?)```", re.DOTALL)


def test_the_repository_of_readme(pytester):
    files = dict(BLOCK.findall(README.read_text("utf-8")))
    assert sorted(files) == ["conftest.py", "scores.py", "test_scores.py"]
    for name, text in files.items():
        (pytester.path / name).write_text(text)
    pytester.syspathinsert()
    options = ("--xp-backends=numpy,array-api-strict,dask", "-p", "no:hypothesispytest")
    result = pytester.runpytest_inprocess(*options)
    # Of the backends, numpy, four devices of array-api-strict and dask.
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*center fails on 5 of 6 backends:",
            "*  array-api-strict, *: the result must be an array of array-api-strict; got one*",
            "*  array-api-strict:device1: RuntimeError: Can't convert array on the * device to a*",
            "FAILED test_scores.py::test_parity?center?*",
        ]
    )
