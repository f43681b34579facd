"""The reference names each public name once, and each command."""

import re
from pathlib import Path

import xpnet
import xpnet.parity
import xpnet.testing
from xpnet.cli.parser import build_parser

DOCS = Path(__file__).parents[2] / "docs"
LIST = re.compile(r"^\.\. autosummary::\n(?: +:.*\n)+\n((?: +\S+\n)+)```$", re.MULTILINE)


def listed(page):
    names = LIST.findall((DOCS / "reference" / page).read_text("utf-8"))
    return " ".join(names).split()


def public():
    estimators = ["MLPClassifier", "MLPRegressor"]  # lazy: they need scikit-learn
    for module in (xpnet, xpnet.parity, xpnet.testing):
        for name in [*module.__all__, *(estimators if module is xpnet else [])]:
            yield f"{module.__name__}.{name}"


def test_every_public_name_is_on_one_page():
    names = [name for page in (DOCS / "reference").glob("*.md") for name in listed(page)]
    assert sorted(names) == sorted(public())


def test_every_function_has_a_formula():
    formulas = re.findall(r'(?m)^    "(\w+)": ', (DOCS / "functions.py").read_text("utf-8"))
    names = [name for name in listed("functions.md") if name != "xpnet.plot"]
    assert sorted(names) == sorted(f"xpnet.{name}" for name in formulas)


def test_every_command_is_in_the_table():
    page = (DOCS / "reference" / "command-line.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(build_parser()[1])
