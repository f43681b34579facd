"""The outcome of a command as text and JSON, and the seconds of its phases."""

import io
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xpnet import Dense, Device, Network, Scale, Standardize, load
from xpnet.cli import report
from xpnet.cli.device_choice import DeviceOptions
from xpnet.cli.report import (
    Outcome,
    Stopwatch,
    network_text,
    print_line,
    print_outcome,
    table,
    work_facts,
    work_rows,
)


def work(n_images, **options):
    stopwatch = Stopwatch()
    stopwatch.switch("computing")
    network = load("sample")
    return work_facts(
        network, Device("cpu"), DeviceOptions(**options), stopwatch, n_images=n_images
    )


def test_what_was_computed_where():
    facts = work(10)
    assert (facts["device"], facts["library"]) == ("cpu", "numpy")
    assert facts["library_version"] == np.__version__
    assert facts["device_reason"] == "asked for cpu"
    assert facts["images_per_second"] == 10 / facts["seconds"]["computing"]
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


@pytest.mark.parametrize(("given", "used"), [(None, 1024), (7, 7), (10_000, 10_000)])
def test_the_batch_size_that_is_used(given, used):
    assert work(10, batch_size=given)["batch_size"] == used


@pytest.mark.parametrize("name", ["reproducible", "hash"])
def test_reproducible_work(name):
    assert not work(10)["reproducible"]
    facts = work(10, **{name: True})
    assert facts["reproducible"]
    assert work_rows(facts)["batches"] == "up to 1,024 images, reproducible"


def test_no_images_have_no_speed():
    facts = work(0)
    assert facts["images_per_second"] is None
    assert work_rows({**facts, "seconds": {**facts["seconds"], "computing": 9.9}})["speed"] is None


WORK: dict[str, Any] = {
    "network": "2 -> 1 step; logits; float32, numpy",
    "device": "cpu",
    "library": "numpy",
    "library_version": "2.4",
    "hardware": "2 x x86_64",
    "device_reason": "asked for cpu",
    "batch_size": 1000,
    "reproducible": False,
    "images_per_second": 12345.6,
    "seconds": {"startup": 0.1, "device": 0.0, "loading": 0.02, "computing": 0.003, "total": 0.123},
}


def test_rows_of_text():
    assert work_rows(WORK) == {
        "device": "cpu (numpy 2.4, 2 x x86_64)",
        "network": "2 -> 1 step; logits; float32, numpy",
        "batches": "up to 1,000 images",
        "seconds": "start-up 0.100, loading 0.020, computing 0.003",
        **dict.fromkeys(["speed", "chosen"]),
    }


@pytest.mark.parametrize(("seconds", "is_told"), [(0.199, False), (0.2, True), (30.0, True)])
def test_a_rate_is_told_after_enough_computing(seconds, is_told):
    rows = work_rows({**WORK, "seconds": {**WORK["seconds"], "computing": seconds}})
    assert rows.get("speed") == ("12,346 images per second" if is_told else None)


def test_a_network_in_words():
    steps = [Scale(1 / 255), Standardize(0.25, np.ones(2)), Scale(1 / 255)]
    network = Network([Dense(np.ones((2, 1)), [0.0], "step")], steps, "values")
    assert network_text(network) == (
        "2 -> 1 step; Scale(1 / 255); Standardize(mean=0.25, 2 scales); Scale(1 / 255); values;"
        " float64, numpy"
    )


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        (
            {"seconds": {**WORK["seconds"], "device": 2.5}},
            "seconds",
            "start-up 0.100, start of the GPU 2.500, loading 0.020, computing 0.003",
        ),
        ({"device_reason": "auto chose cpu: no CuPy"}, "chosen", "auto chose cpu: no CuPy"),
    ],
)
def test_rows_that_some_computations_have(changes, name, text):
    assert work_rows({**WORK, **changes})[name] == text


def test_a_table():
    rows = {"a": "one", "missing": None, "long": "two", "empty": ""}
    assert list(table(rows)) == ["a      one", "long   two", "empty  "]
    assert list(table({})) == []


def test_lines(capsys):
    print_outcome(Outcome({"a": 1}, {"name": "x"}, iter(["one", "two"])), as_json=False)
    assert capsys.readouterr().out == "name  x\none\ntwo\n"


def test_json_on_one_line(capsys):
    facts = {"a": 1, "b": [None, 0.5, (2, 3)], "name": "\N{SNOWMAN}\n"}
    print_outcome(Outcome(facts), as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": 1, "b": [None, 0.5, [2, 3]], "name": "\N{SNOWMAN}\n"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_null(capsys, number):
    print_outcome(Outcome({"deep": [{"number": number}]}), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"deep": [{"number": None}]}


def test_no_result_prints_nothing(capsys):
    for as_json in (False, True):
        print_outcome(Outcome(code=1), as_json=as_json)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "\N{SNOWMAN}", "\N{SNOWMAN}".encode()),
        ("utf-8", "\udcff.csv", b"\\xff.csv"),
        ("utf-8", "\x1b[31m\n.csv", b"\\x1b[31m\\n.csv"),
        ("ascii", "\N{SNOWMAN}.csv", b"\\u2603.csv"),
    ],
)
def test_what_the_terminal_cannot_show(monkeypatch, encoding, text, written):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", stream)
    print_line(text)
    stream.flush()
    assert stream.buffer.getvalue() == written + b"\n"  # type: ignore[attr-defined]


class Clock:
    """A clock that a test advances."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(report, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    monkeypatch.setattr(report, "_START", 0.0)
    monkeypatch.setattr(report, "_BEFORE", 0.5)
    return clock


def spent(watch):
    """Return the seconds of the phases that took any."""
    return {phase: seconds for phase, seconds in watch.seconds().items() if seconds}


def test_it_starts_before_it_is_made(clock):
    clock.now = 2.0
    assert Stopwatch().seconds() == {
        "startup": 2.5,
        "device": 0.0,
        "loading": 0.0,
        "computing": 0.0,
        "total": 2.5,
    }


def test_phases_in_turn(clock):
    watch = Stopwatch()
    clock.now = 1.0
    watch.switch("loading")
    clock.now = 3.0
    watch.switch("computing")
    clock.now = 7.0
    watch.switch("device")
    clock.now = 15.0
    assert watch.seconds() == {
        "startup": 1.5,
        "device": 8.0,
        "loading": 2.0,
        "computing": 4.0,
        "total": 15.5,
    }


def test_it_goes_on_after_it_was_read(clock):
    watch = Stopwatch()
    watch.switch("loading")
    clock.now = 1.0
    watch.seconds()
    clock.now = 3.0
    assert watch.seconds()["loading"] == 3.0


def test_an_inner_phase_stops_the_outer_one(clock):
    watch = Stopwatch()
    watch.switch("loading")
    clock.now = 1.0
    with watch.measure("computing"):
        clock.now = 5.0
        with watch.measure("loading"):
            clock.now = 6.0
        clock.now = 8.0
    clock.now = 10.0
    assert spent(watch) == {"startup": 0.5, "loading": 4.0, "computing": 6.0, "total": 10.5}


def test_an_error_ends_a_phase(clock):
    watch = Stopwatch()

    def fail():
        clock.now = 4.0
        raise RuntimeError

    with pytest.raises(RuntimeError), watch.measure("computing"):
        fail()
    clock.now = 5.0
    assert watch.seconds()["computing"] == 4.0
    assert watch.seconds()["startup"] == 1.5


def test_getting_items_is_another_phase_than_using_them(clock):
    def items():
        for i in range(3):
            clock.now += 1.0
            yield i
        clock.now += 1.0

    watch = Stopwatch()
    found = []
    with watch.measure("computing"):
        for item in watch.measure_items(items(), "loading"):
            clock.now += 10.0
            found.append(item)
    assert found == [0, 1, 2]
    assert spent(watch) == {"startup": 0.5, "loading": 4.0, "computing": 30.0, "total": 34.5}


def test_rounded_to_microseconds(clock):
    clock.now = 1.23456789
    assert Stopwatch().seconds()["startup"] == 1.734568


def test_the_real_clock():
    seconds = Stopwatch().seconds()
    assert seconds["startup"] > 0
    assert seconds["total"] == pytest.approx(seconds["startup"], abs=1e-3)
