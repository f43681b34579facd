"""Learning-rate schedules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, factorial, pi, prod
from types import MappingProxyType
from typing import TypeAlias

from xpnet.functions.polynomial import polynomial

__all__ = ["SCHEDULES", "Constant", "Cosine", "ReproducibleCosine", "Schedule", "StepDecay"]
__all__ += ["as_schedule"]

Schedule: TypeAlias = Callable[[int, int], float]
"""``schedule(n_done, n_steps)``: factor of the learning rate for the step after `n_done` steps."""


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Constant learning rate.

    Parameters
    ----------
    warmup : float, default 0
        Share of the steps, 0..1, during which the rate rises linearly to its full value.
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.warmup <= 1.0:
            msg = f"`warmup` must be a share of the steps, from 0 to 1; got {self.warmup}"
            raise ValueError(msg)

    def __call__(self, n_done: int, n_steps: int) -> float:
        """Return the factor of the learning rate for a step."""
        n_warmup = round(self.warmup * n_steps)
        if n_done < n_warmup:
            return (n_done + 1) / n_warmup
        return self._after_warmup(n_done - n_warmup, n_steps - n_warmup)

    def _after_warmup(self, n_done: int, n_steps: int) -> float:
        """Return the factor for a step after the warm-up; steps are counted from its end."""
        del n_done, n_steps
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Constant):
    """Learning rate that falls to zero along half a period of a cosine.

    The factor is ``(1 + cos(pi * t)) / 2``; t is the share of steps done since the warm-up, 0..1.
    Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", arXiv:1608.03983.

    Parameters
    ----------
    warmup : float, default 0
        See `Constant`.
    """

    def _after_warmup(self, n_done: int, n_steps: int) -> float:
        return 0.5 * (1.0 + cos(pi * n_done / n_steps))


@dataclass(frozen=True, kw_only=True)
class ReproducibleCosine(Cosine):
    """`Cosine` by a series, as the C library's cosine differs from machine to machine."""

    def _after_warmup(self, n_done: int, n_steps: int) -> float:
        x = pi * n_done / (2 * n_steps)
        half = polynomial([(-1) ** k / factorial(2 * k) for k in range(12)], x * x)
        return float(half * half)  # (1 + cos(2 x)) / 2


@dataclass(frozen=True, kw_only=True)
class StepDecay(Constant):
    """Learning rate that falls in steps.

    Parameters
    ----------
    warmup : float, default 0
        See `Constant`.
    n_stages : int, default 3
        Number of stages of equal length.
    factor : float, default 0.1
        Factor of the rate from one stage to the next.
    """

    n_stages: int = 3
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_stages < 1:
            msg = f"`n_stages` must be at least 1; got {self.n_stages}"
            raise ValueError(msg)
        if not 0.0 < self.factor <= 1.0:
            msg = f"`factor` must be above 0 and at most 1; got {self.factor}"
            raise ValueError(msg)

    def _after_warmup(self, n_done: int, n_steps: int) -> float:
        return prod([self.factor] * (n_done * self.n_stages // n_steps), start=1.0)


SCHEDULES: Mapping[str, type[Constant]] = MappingProxyType(
    {"constant": Constant, "cosine": Cosine, "step": StepDecay}
)


def as_schedule(schedule: str | Schedule) -> Schedule:
    """Return the schedule of this name, or the given one; raise an error for anything else."""
    if not isinstance(schedule, str):
        if isinstance(schedule, type) or not callable(schedule):
            msg = f"`schedule` must be a name, or a schedule such as Cosine(); got {schedule!r}"
            raise TypeError(msg)
        return schedule
    if schedule not in SCHEDULES:
        msg = f"`schedule` must be one of {', '.join(SCHEDULES)}, or callable; got {schedule!r}"
        raise ValueError(msg)
    return SCHEDULES[schedule]()
