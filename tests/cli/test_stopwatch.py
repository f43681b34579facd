"""Seconds by phase, on a clock that the test turns."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from xpnet.cli import stopwatch
from xpnet.cli.stopwatch import Stopwatch


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    monkeypatch.setattr(stopwatch, "_START", 0.0)
    monkeypatch.setattr(stopwatch, "_BEFORE", 0.5)
    return clock


def spent(watch: Stopwatch) -> dict[str, float]:
    """Return the seconds of the phases that took any."""
    return {phase: seconds for phase, seconds in watch.seconds().items() if seconds}


def test_it_starts_before_it_is_made(clock: Clock) -> None:
    clock.now = 2.0
    assert Stopwatch().seconds() == {
        "startup": 2.5,
        "device": 0.0,
        "loading": 0.0,
        "computing": 0.0,
        "total": 2.5,
    }


def test_phases_in_turn(clock: Clock) -> None:
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


def test_it_goes_on_after_it_was_read(clock: Clock) -> None:
    watch = Stopwatch()
    watch.switch("loading")
    clock.now = 1.0
    watch.seconds()
    clock.now = 3.0
    assert watch.seconds()["loading"] == 3.0


def test_an_inner_phase_stops_the_outer_one(clock: Clock) -> None:
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


def test_an_error_ends_a_phase(clock: Clock) -> None:
    watch = Stopwatch()

    def fail() -> None:
        clock.now = 4.0
        raise RuntimeError

    with pytest.raises(RuntimeError), watch.measure("computing"):
        fail()
    clock.now = 5.0
    assert watch.seconds()["computing"] == 4.0
    assert watch.seconds()["startup"] == 1.5


def test_getting_items_is_another_phase_than_using_them(clock: Clock) -> None:
    def items() -> Iterator[int]:
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


def test_rounded_to_microseconds(clock: Clock) -> None:
    clock.now = 1.23456789
    assert Stopwatch().seconds()["startup"] == 1.734568


def test_the_real_clock() -> None:
    seconds = Stopwatch().seconds()
    assert seconds["startup"] > 0
    assert seconds["total"] == pytest.approx(seconds["startup"], abs=1e-3)
