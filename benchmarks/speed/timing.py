"""The clock."""

import time

from speed.contest import Contender

SECONDS_PER_SAMPLE = 1e-3


def time_all(contenders: list[Contender], rounds: int) -> None:
    """Time every contender once in each round, in one process, in turn."""
    repeats = [max(1, round(SECONDS_PER_SAMPLE / sample(c, 1))) for c in contenders]
    for _ in range(rounds):
        for contender, repeat in zip(contenders, repeats, strict=True):
            contender.seconds.append(sample(contender, repeat))


def sample(contender: Contender, repeat: int) -> float:
    """Return the seconds per call of some calls, after one that is not timed."""
    call, x = contender.call, contender.x
    call(x)
    start = time.perf_counter()
    for _ in range(repeat):
        call(x)
    return (time.perf_counter() - start) / repeat
