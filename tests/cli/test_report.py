"""What is printed of a command's work."""

import argparse
import io
import json
from typing import Any

import numpy as np
import pytest

from xpnet import Device, load
from xpnet.arrays.transfer_counts import Transfers
from xpnet.cli.report import describe_work, print_json, print_line, print_table, work_rows
from xpnet.cli.stopwatch import Stopwatch


def describe(
    n_images: int, *, batch_size: int | None = None, batch_invariant: bool = False
) -> dict[str, Any]:
    args = argparse.Namespace(
        data="digits.csv", model="sample", batch_size=batch_size, batch_invariant=batch_invariant
    )
    stopwatch = Stopwatch()
    stopwatch.switch("computing")
    network, transfers = load("sample"), Transfers(1, 784, 2, 16)
    return describe_work(args, network, Device("cpu"), stopwatch, n_images, transfers=transfers)


def test_what_was_done_where() -> None:
    work = describe(10)
    assert (work["data"], work["model"]) == ("digits.csv", "sample")
    assert (work["device"], work["library"]) == ("cpu", "numpy")
    assert work["library_version"] == np.__version__
    assert work["device_reason"] == "asked for cpu"
    assert work["compute_type"] == "float32"
    assert work["images_per_second"] == 10 / work["seconds"]["computing"]
    assert json.loads(json.dumps(work, allow_nan=False)) == work


@pytest.mark.parametrize(("given", "used"), [(None, 1337), (7, 7), (10_000, 10_000)])
def test_the_batch_size_that_is_used(given: int | None, used: int) -> None:
    assert describe(10, batch_size=given)["batch_size"] == used


def test_tiles_choose_the_batch_size() -> None:
    work = describe(10, batch_invariant=True)
    assert (work["batch_size"], work["batch_invariant"]) == (320, True)


def test_transfers_are_told() -> None:
    work = describe(10)
    assert work["transfers"] == {
        "copies_to_device": 1,
        "bytes_to_device": 784,
        "copies_to_host": 2,
        "bytes_to_host": 16,
    }
    text = "784 bytes to the device in 1 copies, 16 bytes back in 2"
    assert work_rows(work)["transfers"] == text


def test_no_images_have_no_speed() -> None:
    work = describe(0)
    assert work["images_per_second"] is None
    assert work_rows(work)["speed"] == "n/a images per second, in batches of 1,337"


WORK: dict[str, Any] = {
    "network": "Network(2 -> 1 step; logits; float32, numpy)",
    "device": "cpu",
    "library": "numpy",
    "library_version": "2.4",
    "hardware": "2 x x86_64",
    "device_reason": "asked for cpu",
    "compute_type": "float32",
    "batch_size": 1000,
    "transfers": {"bytes_to_device": 0, "bytes_to_host": 0},
    "images_per_second": 12345.6,
    "seconds": {
        "startup": 0.1,
        "device": 0.0,
        "loading": 0.02,
        "computing": 0.003,
        "total": 0.123,
    },
}


def test_rows_of_text() -> None:
    assert work_rows(WORK) == {
        "device": "cpu (numpy 2.4, 2 x x86_64)",
        "network": "2 -> 1 step; logits; float32, numpy",
        "speed": "12,346 images per second, in batches of 1,000",
        "seconds": "start-up 0.100, loading 0.020, computing 0.003",
    }


def test_the_start_of_a_gpu_is_told_where_there_was_one() -> None:
    rows = work_rows({**WORK, "seconds": {**WORK["seconds"], "device": 2.5}})
    assert rows["seconds"] == (
        "start-up 0.100, start of the GPU 2.500, loading 0.020, computing 0.003"
    )


def test_tf32_is_told() -> None:
    assert work_rows({**WORK, "compute_type": "float32, TF32"})["precision"] == "float32, TF32"


def test_a_choice_is_explained() -> None:
    reason = "auto chose cpu: CuPy is not installed"
    assert work_rows({**WORK, "device_reason": reason})["chosen"] == reason


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table({"a": "one", "long": "two"})
    assert capsys.readouterr().out == "a     one\nlong  two\n"


def test_json_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 1, "b": [None, 0.5], "name": "\N{SNOWMAN}\n"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": 1, "b": [None, 0.5], "name": "\N{SNOWMAN}\n"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_has_no_nan(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"accuracy": number})


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "\N{SNOWMAN}", "\N{SNOWMAN}".encode()),
        ("utf-8", "\udcff.csv", b"\\xff.csv"),
        ("utf-8", "\x1b[31m\n.csv", b"\\x1b[31m\\n.csv"),
        ("ascii", "\N{SNOWMAN}.csv", b"\\u2603.csv"),
    ],
)
def test_what_the_terminal_cannot_show(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, written: bytes
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", stream)
    print_line(text)
    stream.flush()
    assert stream.buffer.getvalue() == written + b"\n"  # type: ignore[attr-defined]
