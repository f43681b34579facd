"""README: its length and its accuracies."""

import re
from pathlib import Path

import xpnet

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROSE = re.sub(r"```.*?^```$|<!--.*?-->", "", README, flags=re.DOTALL | re.MULTILINE)


def test_readme_fits_two_screens():
    assert len(PROSE.split()) <= 700
    assert len(README.encode()) <= 7_000


def test_accuracies():
    images, labels = xpnet.sample()
    untrained = xpnet.init_network(
        [784, 50, 100, 10],
        activation="sigmoid",
        scheme="normal",
        preprocessing=xpnet.Scale(1 / 255),
        seed=0,
    )
    found = [
        f"{100 * xpnet.evaluate(network, images, labels).accuracy:.3g}%"
        for network in (untrained, xpnet.load("sample"))
    ]
    sentence = re.search(r"Untrained, it reads (\S+) .*?trained, (\S+)\.\n", README, re.DOTALL)
    assert list(sentence.groups()) == found
