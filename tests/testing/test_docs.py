"""The pages about xpnet.testing: examples that tests/docs does not run, tables; and messages."""

import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from pages import blocks_of

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import parity
from xpnet.testing.words import backends_named, default_names

for module in ("array_api_compat.numpy", "array_api_strict", "dask.array"):
    pytest.importorskip(module)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "testing.md").read_text("utf-8")
BLOCKS = blocks_of(DOCS / "how-to" / "test-array-code.md")
FILES = {block.file: block.text.partition("\n")[2] for block in BLOCKS if block.file}
X = np.asarray([1.0, 2.0], "float32")


@pytest.mark.parametrize("folder", ["project", "own"])
def test_a_conftest(pytester, folder):
    if importlib.util.find_spec("ndonnx") is None:  # it cannot be imported twice
        pytest.skip("ndonnx is not installed")
    for name in ("pyproject.toml", f"{folder}/conftest.py", "scores.py", "test_scores.py"):
        (pytester.path / Path(name).name).write_text(FILES[name])
    words = {"project": "sum_to_one and ndonnx", "own": "sum_to_one and device1"}[folder]
    pytester.runpytest_subprocess("-k", words).stdout.fnmatch_lines(["*1 passed*"])


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (np.asarray, {}, "the result must be an array of array-api-strict; got one of numpy"),
        (np.asarray, {}, "Can't convert array on the"),
        (lambda x: x + array_namespace(x).ones(2), {}, "Arrays from two different devices"),
        (lambda x: x + array_namespace(x).ones(2), {}, "must be of dtype float32; got float64"),
        (lambda x: x * float(x[0]), {}, "a Dask array was computed inside the function"),
        (lambda x: x[x > 0], {}, "The boolean_indexing flag has been disabled"),
        (lambda x: x.__setitem__(0, 5.0) or x * 1.0, {}, "argument 1 must not change"),
        (lambda x: x * np.random.default_rng().normal(), {}, "the function is not deterministic"),
        (lambda x: x / 3.0, {"bound": 0}, "values out of bound"),
    ],
)
def test_messages(function, options, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        parity(backends=["numpy", "array-api-strict", "dask"], **options)(function, X)


def test_every_option_is_documented():
    lines = re.findall(r"^(\w.*) : ", inspect.getdoc(parity), re.MULTILINE)
    assert ", ".join(lines).split(", ") == list(inspect.signature(parity).parameters)


def test_every_backend_is_in_the_table():
    words = PAGE.replace("`:", "`array-api-strict:")
    assert [name for name in backends_named("all") if f"`{name}`" not in words] == []
    bold = re.findall(r"\*\*`(.*?)`\*\*", PAGE)
    assert sorted(bold) == sorted(default_names())
