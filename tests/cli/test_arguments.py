"""Shared arguments and their values, without a command line."""

import argparse
import ast
import re
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest

from xpnet import cli
from xpnet.cli.arguments import (
    UsageError,
    not_negative_integer,
    positive_integer,
    positive_integers,
)
from xpnet.cli.data_arguments import Data, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions
from xpnet.cli.models import ModelOptions
from xpnet.cli.parser import build_parser
from xpnet.datasets.read_options import ReadOptions
from xpnet.files.errors import DataError


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_positive(text, number):
    assert positive_integer(text) == number


@pytest.mark.parametrize(
    "text", ["0", "-1", "+1", "", " 1", "1_0", "1.0", "\uff11", "\u00b2", "9" * 19]
)
def test_not_positive(text):
    with pytest.raises(argparse.ArgumentTypeError, match=rf"at least 1.*{re.escape(repr(text))}"):
        positive_integer(text)


def test_not_negative():
    assert not_negative_integer("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="at least 0; got '-1'"):
        not_negative_integer("-1")


def test_lists_of_numbers():
    assert positive_integers("50,100") == (50, 100)
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1; got ''"):
        positive_integers("5,,5")


def test_defaults(parse):
    options = parse()
    assert options.data == Data("sample", ReadOptions(default_split="test"))
    assert options.device == DeviceOptions()
    assert options.model == ModelOptions("sample", seed=0, activation=None, input_range=None)


def test_options_of_the_reader(parse, monkeypatch):
    words = ["x.csv", "--rows=5", "--labels=y", "--label=last", "--header=no", "--delimiter=tab"]
    data = parse(*words, "--float", "--size=9", "--split=train", "--no-invert").data
    monkeypatch.setattr(
        import_module("xpnet.datasets.read"), "open_rows", lambda *given: nullcontext(given)
    )
    with data.open(features=7) as given:
        path, options = given
    assert path == "x.csv"
    assert options == ReadOptions(
        rows=5,
        labels="y",
        label="last",
        header="no",
        delimiter="tab",
        floating=True,
        size=9,
        invert=False,
        split="train",
        default_split="test",
        features=7,
    )


def test_an_activation_for_each_layer(parse):
    assert parse("--activation", "relu, tanh").model.activation == ["relu", "tanh"]
    assert parse("--activation", "relu").model.activation == "relu"


def test_options_that_the_reader_rejects():
    with pytest.raises(UsageError, match="delimiter"):
        Data.from_args(argparse.Namespace(delimiter="ab"), "sample")


def test_the_error_of_a_check_names_the_file():
    def check(x):
        if x < 0:
            msg = f"must not be negative; got {x}"
            raise ValueError(msg)
        return x + 1

    assert as_data_error("x.csv", check, 1) == 2
    with pytest.raises(DataError, match=re.escape("x.csv: must not be negative; got -1")):
        as_data_error("x.csv", check, -1)


@pytest.mark.parametrize(
    ("error", "notes"),
    [
        (MemoryError(), ["in batches of 1,000: try a smaller --batch-size"]),
        (OSError(12, "no memory"), ["in batches of 1,000: try a smaller --batch-size"]),
        (OSError(2, "missing"), []),
    ],
    ids=str,
)
def test_a_lack_of_memory_has_the_batch_size(error, notes):
    with pytest.raises(type(error)) as caught, computation_errors("x.csv", 1000):
        raise error
    assert getattr(caught.value, "__notes__", []) == notes


def test_who_sees_the_parsed_words():
    """Words become values in the first lines of a command; nothing below sees the namespace."""
    found: dict[str, set[str]] = {}
    for path in Path(cli.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and "Namespace" in ast.unparse(function.args):
                found.setdefault(function.name, set()).add(path.stem)
    assert found == {
        "run": build_parser()[1].keys(),
        "check_distinct_files": {"arguments"},
        "from_args": {"arguments", "data_arguments", "models"},
        "device_from_args": {"device_argument"},
    }
