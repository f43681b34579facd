"""The pages about xpnet.testing: examples that tests/docs does not run, tables and messages."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from pages import blocks_of

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import parity
from xpnet.testing.words import backend_names, default_names

for module in ("array_api_compat.numpy", "array_api_strict", "dask.array"):
    pytest.importorskip(module)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "testing.md").read_text("utf-8")
GUIDES = [DOCS / "how-to" / f"{name}.md" for name in ("test-array-code", "gpu-certificate")]
TEXT = "".join(page.read_text("utf-8") for page in GUIDES)
FILES = {
    block.file: block.text.partition("\n")[2]
    for page in GUIDES
    for block in blocks_of(page)
    if block.file
}

X = np.asarray([1.0, 2.0], "float32")


def test_a_library_of_your_own(pytester):
    pytest.importorskip("sparse")
    for name in ("pyproject.toml", "project/conftest.py", "scores.py", "test_scores.py"):
        (pytester.path / Path(name).name).write_text(FILES[name])
    result = pytester.runpytest_subprocess("-k", "sparse")
    result.stdout.fnmatch_lines(["*1 passed*"])


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
        (lambda x: x.nothing, {}, "the function fails in float64 on numpy"),
        (lambda x: x / 3.0, {"bound": 0}, "values out of bound"),
    ],
)
def test_messages(function, options, message):
    assert message in PAGE + TEXT
    with pytest.raises(AssertionError, match=re.escape(message)):
        parity(backends=["numpy", "array-api-strict", "dask"], **options)(function, X)


def test_every_option_is_documented():
    lines = re.findall(r"^(\w.*) : ", inspect.getdoc(parity), re.MULTILINE)
    assert ", ".join(lines).split(", ") == list(inspect.signature(parity).parameters)


def test_every_backend_is_in_the_table():
    words = PAGE.replace("`:", "`array-api-strict:")
    assert [name for name in backend_names() if f"`{name}`" not in words] == []
    bold = re.findall(r"\*\*`(.*?)`\*\*", PAGE)
    assert sorted(bold) == sorted(default_names())
