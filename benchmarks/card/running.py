"""What all sections share: the plan, the device, the seconds, and where results go."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from card.budget import Budget
from card.document import Document
from card.plan import Plan
from card.rigs import Rig

__all__ = ["Run", "rates", "spread"]


@dataclass(frozen=True)
class Run:
    """One run of the benchmark.

    Attributes
    ----------
    plan : Plan
    rig : Rig
    budget : Budget
    document : Document
    folder : Path
        For files that are needed meanwhile.
    """

    plan: Plan
    rig: Rig
    budget: Budget
    document: Document
    folder: Path

    @property
    def is_rehearsal(self) -> bool:
        """Whether the host takes the place of the device."""
        return self.rig.word == "cpu"

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"[{self.budget.spent:4.0f} s] {text}", flush=True)

    def rounds(self, what: str, planned: int | None = None) -> Iterator[int]:
        """Count rounds; note it where there is no time for all of them."""
        planned = self.plan.rounds if planned is None else planned
        n_done = 0
        for i in self.budget.rounds(planned):
            yield i
            n_done += 1
        if n_done < planned:
            self.document.skip(f"rounds of {what}", f"out of time after {n_done} of {planned}")

    def times(self, what: str, measure: Callable[[], float]) -> list[float]:
        """Return what a measurement gives in each round, after one that does not count."""
        measure()
        return [measure() for _ in self.rounds(what)]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the best and the median of some times."""
    return {"best": min(seconds), "median": statistics.median(seconds)}


def rates(seconds: Sequence[float], amount: float, **facts: Any) -> dict[str, Any]:
    """Return the best and the median rate at which an amount was done, with other facts."""
    found = spread(seconds)
    return {"best": amount / found["best"], "median": amount / found["median"], **facts}
