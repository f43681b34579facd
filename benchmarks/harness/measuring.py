"""Measuring: contenders in turn, best and median, time budgets."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
Action = Callable[[], object]
MOST_CALLS = 10_000


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the best and the median of some times."""
    return {"best": min(seconds), "median": statistics.median(seconds)}


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
