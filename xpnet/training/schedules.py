"""Learning-rate schedules: which share of the learning rate each step gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from types import MappingProxyType
from typing import TypeAlias

__all__ = ["SCHEDULES", "Constant", "Cosine", "Schedule", "StepDecay"]

Schedule: TypeAlias = Callable[[int, int], float]
"""``schedule(n_done, n_steps)``: the factor for a step, after so many out of so many."""


@dataclass(frozen=True)
class Constant:
    """The same learning rate for all steps.

    Parameters
    ----------
    warmup : float, default 0
        For this share of all steps, in 0..1, the rate rises to its full height, in equal parts.
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.warmup <= 1.0:
            msg = f"`warmup` must be a share of the steps, from 0 to 1; got {self.warmup}"
            raise ValueError(msg)

    def __call__(self, n_done: int, n_steps: int) -> float:
        """Return the factor of the learning rate for a step."""
        n_rising = round(self.warmup * n_steps)
        if n_done < n_rising:
            return (n_done + 1) / n_rising
        return self.after(n_done - n_rising, n_steps - n_rising)

    def after(self, n_done: int, n_steps: int) -> float:
        """Return the factor once it has risen, of the steps that are then left."""
        del n_done, n_steps
        return 1.0


@dataclass(frozen=True)
class Cosine(Constant):
    """A learning rate that falls to zero by half a period of a cosine.

    Parameters
    ----------
    warmup : float, default 0
        As for `Constant`.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
    arXiv 1608.03983.
    """

    def after(self, n_done: int, n_steps: int) -> float:
        """Return the factor once it has risen, of the steps that are then left."""
        return 0.5 * (1.0 + cos(pi * n_done / n_steps))


@dataclass(frozen=True)
class StepDecay(Constant):
    """A learning rate that falls in steps.

    Parameters
    ----------
    warmup : float, default 0
        As for `Constant`.
    n_stages : int, default 3
        Into so many stages of equal length the steps are divided.
    factor : float, default 0.1
        With each stage the rate is multiplied by it.
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

    def after(self, n_done: int, n_steps: int) -> float:
        """Return the factor once it has risen, of the steps that are then left."""
        return self.factor ** (n_done * self.n_stages // n_steps)


SCHEDULES: Mapping[str, type[Constant]] = MappingProxyType(
    {"constant": Constant, "cosine": Cosine, "step": StepDecay}
)
