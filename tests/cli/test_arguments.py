"""The arguments that commands share, without a command line."""

import argparse
import re

import pytest

from xpnet.cli.arguments import (
    UsageError,
    add_data_arguments,
    as_data_error,
    not_negative,
    positive,
    read_options,
)
from xpnet.files.errors import DataError


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_data_arguments(parser)
    return parser


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_positive(text: str, number: int) -> None:
    assert positive(text) == number


@pytest.mark.parametrize(
    "text", ["0", "-1", "+1", "", " 1", "1_0", "1.0", "\uff11", "\u00b2", "9" * 19]
)
def test_not_positive(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"at least 1.*{re.escape(repr(text))}"):
        positive(text)


def test_not_negative() -> None:
    assert not_negative("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="at least 0; got '-1'"):
        not_negative("-1")


def test_defaults(parser: argparse.ArgumentParser) -> None:
    args = parser.parse_args([])
    assert args.data == "sample"
    assert read_options(args) == {
        "rows": None,
        "labels": None,
        "label": "auto",
        "header": "auto",
        "delimiter": ",",
        "floating": False,
        "max_data_bytes": None,
    }


def test_options_of_the_reader(parser: argparse.ArgumentParser) -> None:
    words = ["x.csv", "--rows=5", "--labels=y", "--label=last", "--header=no", "--delimiter=tab"]
    words += ["--float", "--max-data-bytes=99"]
    assert read_options(parser.parse_args(words), features=7) == {
        "rows": 5,
        "labels": "y",
        "label": "last",
        "header": "no",
        "delimiter": "tab",
        "floating": True,
        "max_data_bytes": 99,
        "features": 7,
    }


def test_options_that_the_reader_refuses(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(UsageError, match="`classes` must be 1 to 256; got 300"):
        read_options(parser.parse_args([]), classes=300)


def test_what_a_check_finds_is_the_files_fault() -> None:
    def check(x: int) -> int:
        if x < 0:
            msg = f"must not be negative; got {x}"
            raise ValueError(msg)
        return x + 1

    assert as_data_error("x.csv", check, 1) == 2
    with pytest.raises(DataError, match=re.escape("x.csv: must not be negative; got -1")):
        as_data_error("x.csv", check, -1)
