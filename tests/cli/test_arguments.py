"""The arguments that commands share, without a command line."""

import argparse
import re
from pathlib import Path

import numpy as np
import pytest

from xpnet.cli.arguments import (
    UsageError,
    add_data_arguments,
    add_model_arguments,
    as_data_error,
    not_negative,
    open_network,
    positive,
    read_options,
    stream_rows,
)
from xpnet.cli.stopwatch import Stopwatch
from xpnet.files.errors import DataError, WeightsError
from xpnet.networks.initializers import init_network


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_data_arguments(parser)
    add_model_arguments(parser)
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
    assert (args.data, args.model, args.device) == ("sample", "sample", "cpu")
    assert (args.seed, args.batch_size) == (0, None)
    assert read_options(args) == {
        "rows": None,
        "labels": None,
        "label": "auto",
        "delimiter": ",",
        "floating": False,
    }


def test_options_of_the_reader(parser: argparse.ArgumentParser) -> None:
    words = ["x.csv", "--rows=5", "--labels=y", "--label=last", "--delimiter=tab", "--float"]
    assert read_options(parser.parse_args(words), features=7) == {
        "rows": 5,
        "labels": "y",
        "label": "last",
        "delimiter": "tab",
        "floating": True,
        "features": 7,
    }


def test_options_that_the_reader_refuses(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(UsageError, match="`classes` must be 1 to 256; got 300"):
        read_options(parser.parse_args([]), classes=300)


def test_the_books_network(parser: argparse.ArgumentParser) -> None:
    network, device = open_network(parser.parse_args(["--model", "random"]), Stopwatch())
    assert [layer.weight.shape for layer in network.layers] == [(784, 50), (50, 100), (100, 10)]
    assert [layer.activation for layer in network.layers] == ["sigmoid", "sigmoid", "identity"]
    assert float(np.std(network.layers[0].weight)) == pytest.approx(0.01, rel=0.02)
    assert network.preprocessing[0].factor == 1 / 255
    assert device.name == "cpu"


def test_the_seed_of_the_books_network(parser: argparse.ArgumentParser) -> None:
    zero, one = (
        open_network(parser.parse_args(["--model", "random", "--seed", seed]), Stopwatch())[0]
        for seed in ("0", "1")
    )
    assert not np.any(zero.layers[0].weight == one.layers[0].weight)


def test_a_file_called_random(
    parser: argparse.ArgumentParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("random").write_text("not weights")
    with pytest.raises(WeightsError, match="random: not a file of weights"):
        open_network(parser.parse_args(["--model", "./random"]), Stopwatch())


def test_missing_weights_are_a_weights_error(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(WeightsError, match="missing") as caught:
        open_network(parser.parse_args(["--model", "missing"]), Stopwatch())
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_what_a_check_finds_is_the_files_fault() -> None:
    def check(x: int) -> int:
        if x < 0:
            msg = f"must not be negative; got {x}"
            raise ValueError(msg)
        return x + 1

    assert as_data_error("x.csv", check, 1) == 2
    with pytest.raises(DataError, match=re.escape("x.csv: must not be negative; got -1")):
        as_data_error("x.csv", check, -1)


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "blocks"),
    [(None, [1000]), (300, [1000]), (1, [1000]), (10_000, [1000])],
)
def test_the_sample_is_one_block_on_a_terminal_or_not(
    parser: argparse.ArgumentParser,
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,  # noqa: FBT001 (a case)
    batch_size: int | None,
    blocks: list[int],
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal, raising=False)
    args = parser.parse_args([] if batch_size is None else ["--batch-size", str(batch_size)])
    network = init_network([784, 10])
    rows = list(stream_rows(args, network, "testing"))
    assert [len(block) for block, _ in rows] == blocks
    assert all(block.shape[1:] == (784,) for block, _ in rows)


@pytest.mark.parametrize(
    ("batch_size", "blocks"),
    [(1, [4096, 4096, 1808]), (3000, [6000, 4000]), (10_000, [10_000]), (20_000, [10_000])],
)
def test_a_block_is_a_number_of_whole_batches(
    parser: argparse.ArgumentParser, tmp_path: Path, batch_size: int, blocks: list[int]
) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((10_000, 4), np.uint8))
    args = parser.parse_args([str(path), "--batch-size", str(batch_size)])
    rows = stream_rows(args, init_network([4, 2]), "testing")
    assert [len(block) for block, _ in rows] == blocks


def test_rows_that_do_not_fit_are_the_files_fault(
    parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((3, 4), np.uint8))
    with pytest.raises(DataError, match=r"images\.npy: `images` must be rows of 784 values"):
        next(stream_rows(parser.parse_args([str(path)]), init_network([784, 2]), "testing"))
