"""Figures of docs/how-to/train.md, and of USPS: the commands are run, and must reach them."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import xpnet
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

COMMENTS = re.findall(r"^xpnet train (.*?) +# (0\.\d+) on held-out images$", PAGE, re.MULTILINE)
TABLE = re.compile(
    r"^\| `xpnet train (.*?)` \|.*\| (on .*?) \| seconds \|\n\|.*\n((?:\|.*\n)+)", re.MULTILINE
)


class Row(NamedTuple):
    """The words of a command, and its figures: a row of the table, or of USPS."""

    words: tuple[str, ...]
    other: str
    best: float
    last: float
    on_other: float
    seconds: int


def rows():
    for words, other, lines in TABLE.findall(PAGE):
        for line in lines.splitlines():
            options, *figures = line.strip("| ").split(" | ")
            more = "".join(re.findall("`(.*?)`", options))
            best, last, on_other, seconds = map(float, figures)
            yield Row(
                (*shlex.split(words), *shlex.split(more)), other, best, last, on_other, seconds
            )
    words = (USPS.format("train"), "-o", "usps.safetensors", *USPS_OPTIONS)
    yield Row(words, "USPS", 0.9781, 0.9781, 0.942, 1)
    yield Row((*words, "--augment", "1"), "USPS", 0.9808, 0.9794, 0.959, 1)


ROWS = [
    pytest.param(
        row,
        marks=[pytest.mark.long] * (row.seconds > LONGEST_SECONDS),
        id=" ".join(row.words),
    )
    for row in rows()
]


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread: two on a busy machine wait for each other, and are ten times slower."""
    with one_blas_thread():
        yield


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XPNET_CACHE", str(folder))
        images, labels = xpnet.read("mnist", split="train")
    known = {image.tobytes() for image in xpnet.sample()[0]}
    is_new = [image.tobytes() not in known for image in images]
    np.savez(folder / "rest.npz", images=images[is_new], labels=labels[is_new])  # as on the page
    return folder


@pytest.fixture
def run(xpnet, folder, monkeypatch):
    """Return a function that runs a command line in that folder, and returns its JSON object."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XPNET_CACHE", str(folder))

    def run(*words):
        result = xpnet(*words, "--json", *(["--force"] if words[0] == "train" else []))
        assert result.code == 0, result.err
        return json.loads(result.out)

    return run


def test_the_page_has_figures():
    assert len(COMMENTS) == 1
    assert len(ROWS) == 4
    assert {row.values[0].other for row in ROWS} == {"on the embedded 1,000", "USPS"}


@pytest.mark.long
@pytest.mark.parametrize(("words", "accuracy"), COMMENTS)
def test_a_command_gives_what_its_comment_promises(run, words, accuracy):
    found = run("train", *shlex.split(words))
    assert found["validation_accuracy"] >= float(accuracy) - WORSE


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_a_table(run, folder, row):
    found = run("train", *row.words, "--history", "history.json")
    last = json.loads((folder / "history.json").read_text())[-1]["validation_accuracy"]
    model = row.words[row.words.index("-o") + 1]
    data = ["sample"]
    if row.other == "USPS":
        data = [USPS.format("test"), *USPS_OPTIONS]
    on_other = run("evaluate", *data, "--model", model)["accuracy"]
    assert found["validation_accuracy"] >= row.best - WORSE
    assert last >= row.last - WORSE
    assert on_other >= row.on_other - WORSE_ON_FEW
