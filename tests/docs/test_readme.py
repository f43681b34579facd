"""README: its length, and its figures, which are those of committed results."""

import json
import re
from pathlib import Path

import pytest

import xpnet

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROSE = re.sub(r"```.*?^```$|<!--.*?-->", "", README, flags=re.DOTALL | re.MULTILINE)
RESULT = ROOT / "benchmarks" / "results" / "inference.json"


def test_readme_fits_two_screens():
    assert len(PROSE.split()) <= 700
    assert len(README.encode()) <= 7_000


def test_accuracies():
    options = {"activation": "sigmoid", "scheme": "normal", "preprocessing": xpnet.Scale(1 / 255)}
    networks = xpnet.init_network([784, 50, 100, 10], seed=0, **options), xpnet.load("sample")
    results = [xpnet.evaluate(network, *xpnet.sample()) for network in networks]
    sentence = re.search(r"(?s)Untrained, it reads (\S+) .*?trained, (\S+)\.\n", README)
    assert [*sentence.groups()] == [f"{100 * result.accuracy:.3g}%" for result in results]


def test_speeds():
    result = json.loads(RESULT.read_text("utf-8"))
    (cell,) = [
        cell["seconds"]
        for cell in result["cells"]
        if (cell["network"], cell["rows"], cell["threads"]) == ("784-50-100-10:sigmoid", 10_000, 2)
    ]
    ours = cell["xpnet"]["best"]
    assert float(re.search(r"10,000 digits in ([\d.]+) ms", README)[1]) == round(1000 * ours, 1)
    for name in ("ONNX Runtime", "torch", "scikit-learn"):
        times = re.search(rf"{name}\s+(?:takes\s+)?([\d.]+)\s+times", README)[1]
        best = min(x["best"] for way, x in cell.items() if way.partition(",")[0] == name)
        assert float(times) == pytest.approx(best / ours, abs=0.005)
    assert result["about"]["date"] in README
