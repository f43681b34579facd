"""Optimizers as pure functions: (gradients, state) -> (steps, state)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sqrt
from typing import Any, NamedTuple

__all__ = ["Adam", "AdamState", "cosine"]


class AdamState(NamedTuple):
    """How many steps were taken, and running means of the gradients and of their squares."""

    n_steps: int
    means: tuple[Any, ...]
    squares: tuple[Any, ...]


@dataclass(frozen=True)
class Adam:
    """Adam: steps of the gradient's running mean over the root of its running mean square.

    Parameters
    ----------
    beta1, beta2 : float
        How much of the running means is kept at each step.
    epsilon : float
        Added to the root, so that nothing is divided by zero.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, parameters: Sequence[Any]) -> AdamState:
        """Return the state before the first step."""
        zeros = tuple(parameter * 0.0 for parameter in parameters)
        return AdamState(0, zeros, zeros)

    def step(
        self, gradients: Sequence[Any], state: AdamState, learning_rate: float, xp: Any
    ) -> tuple[list[Any], AdamState]:
        """Return what to add to each parameter, and the state after that."""
        n_steps = state.n_steps + 1
        pairs = zip(state.means, gradients, strict=True)
        means = tuple(self.beta1 * mean + (1 - self.beta1) * g for mean, g in pairs)
        pairs = zip(state.squares, gradients, strict=True)
        squares = tuple(self.beta2 * square + (1 - self.beta2) * (g * g) for square, g in pairs)
        # Both means start from zero, so they are too small at first: the corrections undo that.
        root_correction = sqrt(1 - self.beta2**n_steps)
        rate = learning_rate * root_correction / (1 - self.beta1**n_steps)
        epsilon = self.epsilon * root_correction
        steps = [
            mean * -rate / (xp.sqrt(square) + epsilon)
            for mean, square in zip(means, squares, strict=True)
        ]
        return steps, AdamState(n_steps, means, squares)


def cosine(learning_rate: float, progress: float) -> float:
    """Return the learning rate after a share `progress` (0..1) of all steps, falling to zero."""
    return learning_rate * 0.5 * (1 + cos(pi * progress))
