"""Learning-rate schedules."""

from collections.abc import Callable
from math import factorial, pi
from types import MappingProxyType
from typing import TypeAlias

from xpnet.functions.polynomial import polynomial

__all__ = ["SCHEDULES", "Schedule", "as_schedule"]

Schedule: TypeAlias = Callable[[int, int], float]
"""``schedule(n_done, n_steps)``: factor of the learning rate for the step after `n_done` steps."""


def _cosine(n_done: int, n_steps: int) -> float:
    """Return (1 + cos(pi * t)) / 2 for the share t of steps done, 0..1.

    By a series, as the C library's cosine differs from machine to machine. Loshchilov, Hutter,
    "SGDR: stochastic gradient descent with warm restarts", arXiv:1608.03983.
    """
    x = pi * n_done / (2 * n_steps)
    half = polynomial([(-1) ** k / factorial(2 * k) for k in range(12)], x * x)
    return float(half * half)  # (1 + cos(2 x)) / 2


SCHEDULES = MappingProxyType[str, Schedule]({"constant": lambda *_: 1.0, "cosine": _cosine})


def as_schedule(schedule: str | Schedule) -> Schedule:
    """Return the schedule of this name, or the given function; raise an error for others."""
    if callable(schedule):
        return schedule
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        msg = f"`schedule` must be {' or '.join(SCHEDULES)}, or a function; got {schedule!r}"
        raise ValueError(msg) if isinstance(schedule, str) else TypeError(msg)
    return SCHEDULES[schedule]
