"""Where the time of a command goes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar, get_args

__all__ = ["Phase", "Stopwatch"]

Phase = Literal["startup", "device", "loading", "computing"]
ItemT = TypeVar("ItemT")

# What the interpreter did before it came here has no other clock than the processor's.
_BEFORE = time.process_time()
_START = time.perf_counter()


class Stopwatch:
    """Seconds by phase: start-up, the start of a GPU, loading and computing.

    Start-up is the interpreter and imports; a GPU starts by its context, its libraries, what is
    compiled at the first time, and the way of the parameters there. It runs in one phase at a
    time: an inner phase stops the outer one.
    """

    def __init__(self) -> None:
        self._phase: Phase = "startup"
        self._since = _START
        self._seconds: dict[Phase, float] = dict.fromkeys(get_args(Phase), 0.0)
        self._seconds["startup"] = _BEFORE

    def switch(self, phase: Phase) -> None:
        """Go on in another phase."""
        now = time.perf_counter()
        self._seconds[self._phase] += now - self._since
        self._phase, self._since = phase, now

    @contextmanager
    def measure(self, phase: Phase) -> Iterator[None]:
        """Run a ``with`` block in another phase."""
        outer = self._phase
        self.switch(phase)
        try:
            yield
        finally:
            self.switch(outer)

    def move(self, source: Phase, target: Phase) -> None:
        """Count the seconds of one phase to another."""
        self._seconds[target] += self._seconds[source]
        self._seconds[source] = 0.0

    def measure_items(self, items: Iterable[ItemT], phase: Phase) -> Iterator[ItemT]:
        """Yield the items; getting them is another phase than using them."""
        iterator = iter(items)
        while True:
            with self.measure(phase):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase, and the total since the process started."""
        self.switch(self._phase)
        rounded: dict[str, float] = {name: round(value, 6) for name, value in self._seconds.items()}
        return {**rounded, "total": round(sum(self._seconds.values()), 6)}
