"""Figures of docs/how-to/train.md, and of USPS: the commands are run, and must reach them."""

import json
import re
import shlex
from pathlib import Path

import pytest

from xpnet.arrays.cpu.threads import one_blas_thread
from xpnet.datasets.fetch import FILES

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "train.md").read_text("utf-8")
# Another processor rounds differently: by as much, a result may be worse. There is no other limit.
WORSE, WORSE_ON_FEW = 0.003, 0.008
# A longer training is a test for .ci/run --long.
LONGEST_SECONDS = 5
USPS = "usps_zip.{}.gz"
USPS_OPTIONS = ("--delimiter", "space", "--label", "first", "--float")
COMMENT = re.compile(r"^xpnet train (.*?) +# (0\.\d+) on held-out images$", re.MULTILINE)


def rows():
    """Yield a command, its figures (best, last, on other data), the other data, and seconds."""
    for words, best in COMMENT.findall(PAGE):
        yield shlex.split(words), [float(best)], None, 15
    words = [USPS.format("train"), "-o", "usps.safetensors", *USPS_OPTIONS]
    other = [USPS.format("test"), *USPS_OPTIONS]
    yield words, [0.9781, 0.9781, 0.942], other, 1
    yield [*words, "--augment", "1"], [0.9808, 0.9794, 0.959], other, 1


ROWS = [
    pytest.param(*row, id=" ".join(row[0]), marks=[pytest.mark.long] * (int(s) > LONGEST_SECONDS))
    for *row, s in rows()
]


@pytest.fixture(scope="module")
def folder(shared_data, tmp_path_factory):
    """Return a folder with USPS under the names of the page, and MNIST as in xpnet's cache."""
    folder = tmp_path_factory.mktemp("figures")
    for name in (USPS.format("train"), USPS.format("test")):
        (folder / name).symlink_to(shared_data / "usps" / name)
    (folder / "mnist").mkdir()
    for name in FILES:
        if name.startswith("train"):
            (folder / "mnist" / name).symlink_to(shared_data / "mnist" / name)
        else:  # not in the shared data, and not read
            (folder / "mnist" / name).touch()
    return folder


def test_the_page_has_figures():
    assert [len(row.values[1]) for row in ROWS] == [1, 3, 3]


@pytest.mark.parametrize(("words", "figures", "other"), ROWS)
def test_a_command_gives_what_is_promised(xpnet, folder, monkeypatch, words, *, figures, other):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XPNET_CACHE", str(folder))
    with one_blas_thread():  # two on a busy machine wait for each other, and are ten times slower
        trained = xpnet("train", *words, "--force", "--json")
    assert trained.code == 0, trained.err
    found = json.loads(trained.out)
    reached = [found["validation_accuracy"], found["history"][-1]["validation_accuracy"]]
    if other is not None:
        model = words[words.index("-o") + 1]
        evaluated = xpnet("evaluate", *other, "--model", model, "--json")
        reached.append(json.loads(evaluated.out)["accuracy"])
    for x, promised, worse in zip(reached, figures, (WORSE, WORSE, WORSE_ON_FEW), strict=False):
        assert x >= promised - worse
