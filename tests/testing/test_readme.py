"""The example repository in README, tested as described there."""

import re
from pathlib import Path

import pytest

for module in ("array_api_compat.numpy", "array_api_strict", "dask.array"):
    pytest.importorskip(module)

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"```\w+\n# (\w+\.\w+)\n(.*?)```", re.DOTALL)


def test_the_repository_of_readme(pytester):
    files = dict(BLOCK.findall(README.read_text("utf-8")))
    assert sorted(files) == ["pyproject.toml", "scores.py", "test_scores.py"]
    for name, text in files.items():
        (pytester.path / name).write_text(text)
    result = pytester.runpytest_subprocess("--xp-backends=numpy,array-api-strict,dask")
    result.assert_outcomes(failed=1)
    # Of the backends, numpy, four devices of array-api-strict and dask.
    result.stdout.fnmatch_lines(
        [
            "*center fails on 5 of 6 backends:",
            "*  array-api-strict, *: the result must be an array of array-api-strict; got one*",
            "*  array-api-strict:device1: RuntimeError: Can't convert array on the * device to a*",
            "FAILED test_scores.py::test_center*",
        ]
    )
