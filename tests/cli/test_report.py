"""The outcome of a command as text and as JSON, and its seconds."""

import io
import json

import pytest

from xpnet.cli import report, streams
from xpnet.cli.report import Clock, Outcome, print_outcome


def test_rows_and_lines(capsys):
    rows = {"a": "one", "missing": None, "long": "x\x1b", "empty": ""}
    print_outcome(Outcome({"fact": 1}, rows, iter(["one\n", "two"])), as_json=False)
    assert capsys.readouterr().out == "a      one\nlong   x\\x1b\nempty  \none\\n\ntwo\n"
    print_outcome(Outcome(code=1), as_json=False)
    assert capsys.readouterr().out == ""


def test_json_is_one_object_on_one_line(capsys):
    facts = {"a": [1, float("nan"), (2, -float("inf"))], "deep": [{"x": float("inf")}], "é": "\n"}
    print_outcome(Outcome(facts, {"name": "not shown"}, ["nor this"]), as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": [1, None, [2, None]], "deep": [{"x": None}], "é": "\n"}


def test_a_clock(monkeypatch):
    times = iter([0.0, 1.0, 3.0, 10.0, 10.5, 20.12345678])
    monkeypatch.setattr(report, "perf_counter", lambda: next(times))
    clock = Clock()
    for _ in range(2):
        with clock.loading():
            pass
    assert clock.seconds() == {"loading": 2.5, "computing": 17.623457}


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "\N{SNOWMAN}", "\N{SNOWMAN}".encode()),
        ("utf-8", "\udcff.csv", b"\\xff.csv"),
        ("ascii", "\N{SNOWMAN}.csv", b"\\u2603.csv"),
    ],
)
def test_what_the_terminal_cannot_show(monkeypatch, encoding, text, written):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding, newline="\n"))
    streams.open_streams()
    print_outcome(Outcome(lines=[text]), as_json=False)
    assert raw.getvalue() == written + b"\n"
