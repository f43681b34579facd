"""The reference names each public name once, and each command."""

import re
from pathlib import Path

import pytest
from formulas import FORMULAS
from public_names import names_of

import xpnet
import xpnet.parity
import xpnet.testing
from xpnet.cli.parser import build_parser

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
NAMES = re.compile(
    r"^```\{autosummary\}\n:toctree: generated\n\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def listed(page):
    return [name for names in NAMES.findall(page.read_text("utf-8")) for name in names_of(names)]


def public():
    estimators = ["MLPClassifier", "MLPRegressor"]  # lazy: they need scikit-learn
    for module in (xpnet, xpnet.parity, xpnet.testing):
        for name in [*module.__all__, *(estimators if module is xpnet else [])]:
            yield f"{module.__name__}.{name}"


def test_every_public_name_is_on_one_page():
    names = [name for page in REFERENCE.glob("*.md") for name in listed(page)]
    assert sorted(names) == sorted(public())


def test_no_lazy_name_is_missing():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    modules = {"__version__", "parity", "testing"}
    assert {name for name in public() if name.count(".") == 1} == {
        f"xpnet.{name}" for name in {*dir(xpnet)} - modules
    }


def test_every_function_has_a_formula():
    names = [name for name in listed(REFERENCE / "functions.md") if name != "xpnet.plot"]
    assert sorted(names) == sorted(f"xpnet.{name}" for name in FORMULAS)


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.stem)
def test_a_list_of_names_has_the_form_that_the_site_reads(page):
    assert page.read_text("utf-8").count("{autosummary}") == len(
        NAMES.findall(page.read_text("utf-8"))
    )


def test_every_command_is_in_the_table():
    _, commands = build_parser()
    table = re.findall(
        r"^\| `(\w+)` \|", (REFERENCE / "command-line.md").read_text("utf-8"), re.MULTILINE
    )
    assert table == list(commands)
