"""Where the time of a command goes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

__all__ = ["Phase", "Stopwatch"]

Phase = Literal["startup", "loading", "computing"]
ItemT = TypeVar("ItemT")

# What the interpreter did before it came here has no other clock than the processor's.
_BEFORE = time.process_time()
_START = time.perf_counter()


class Stopwatch:
    """Seconds by phase: start-up (interpreter, imports, device), loading and computing.

    It runs in one phase at a time: an inner phase stops the outer one.
    """

    def __init__(self) -> None:
        self._phase: Phase = "startup"
        self._since = _START
        self._seconds: dict[Phase, float] = {"startup": _BEFORE, "loading": 0.0, "computing": 0.0}

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
