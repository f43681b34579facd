"""Measuring: contenders in turn, best and median, time budgets."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Action = Callable[[], object]
MOST_CALLS = 10_000


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed arrays, as in a program that used some of 32 MB before."""
    np.empty(31 << 20, np.uint8)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the best and the median of some times."""
    return {"best": min(seconds), "median": statistics.median(seconds)}


def rates(seconds: Sequence[float], amount: float, **facts: Any) -> dict[str, Any]:
    """Return the best and the median rate for an amount of work, with other facts."""
    return {**{name: amount / value for name, value in spread(seconds).items()}, **facts}


def turns(rounds: Iterable[int], contenders: Sequence[T]) -> Iterator[tuple[int, T]]:
    """Yield every contender once in each round, in a rotating order: none follows the same one."""
    for i in rounds:
        shift = i % max(len(contenders), 1)
        for contender in (*contenders[shift:], *contenders[:shift]):
            yield i, contender


def wall_seconds(action: Action) -> float:
    """Return the seconds of an action by the host's clock."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def time_in_turns(
    actions: Mapping[str, Action], rounds: int, warm_up: int = 0
) -> dict[str, list[float]]:
    """Return the seconds of every action in each round, without those of the warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _, name in turns(range(warm_up + rounds), list(actions)):
        seconds[name].append(wall_seconds(actions[name]))
    return {name: each[warm_up:] for name, each in seconds.items()}


def mean_seconds(
    call: Action, turn: float, clock: Callable[[Action], float] = wall_seconds
) -> float:
    """Return the mean seconds of as many calls as take about `turn` seconds together."""

    def several(n_calls: int) -> float:
        def calls() -> None:
            for _ in range(n_calls):
                call()

        return clock(calls) / n_calls

    one = several(1)
    n_calls = min(round(turn / max(one, 1e-9)), MOST_CALLS)
    return several(n_calls) if n_calls > 1 else one


class Budget:
    """Seconds shared by several sections; a section may use what later ones do not need."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._end = self._limit = self._start + seconds

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def left(self) -> float:
        """Seconds left for the current section."""
        return max(self._limit - self._clock(), 0.0)

    def begin(self, least: float, kept: float) -> bool:
        """Begin a section that needs `least` seconds, while later ones need `kept` if possible.

        Return whether there is time for it.
        """
        now = self._clock()
        self._limit = min(self._end, max(now + least, self._end - kept))
        return self._end - now >= least

    def rounds(self, n_rounds: int) -> Iterator[int]:
        """Count rounds while there is time for one as long as the longest; at least one."""
        longest = 0.0
        for i in range(n_rounds):
            if i and self.left <= longest:
                return
            start = self._clock()
            yield i
            longest = max(longest, self._clock() - start)
