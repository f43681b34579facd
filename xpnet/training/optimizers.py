"""Optimizers as functions: (state, gradient) -> (state, update)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "State", "as_optimizer"]


class State(NamedTuple):
    """State of an optimizer: the number of steps so far, and running sums of gradients."""

    n_steps: int
    vectors: tuple[Any, ...]


@runtime_checkable
class Optimizer(Protocol):
    """Interface of an optimizer for `xpnet.train`; ``usual_rate`` is its default learning rate."""

    usual_rate: ClassVar[float]

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any, xp: Any
    ) -> tuple[State, Any]:
        """Return the state after a step, and the update to add to the parameters, a new array.

        The vectors of the given state may be updated in place: only the returned state is valid.
        `decayed` is 1 for weights and 0 for biases. `xp` is the namespace of the arrays, (n,).
        """


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent, optionally with momentum.

    Sutskever et al., "On the importance of initialization and momentum in deep learning",
    ICML 2013.

    Parameters
    ----------
    momentum : float, default 0
        Share of the running sum of gradients that each step keeps, from 0 to below 1. As in torch,
        the sum is multiplied by the learning rate afterwards.
    nesterov : bool, default False
        Whether to use Nesterov momentum; `momentum` must be above 0.
    weight_decay : float, default 0
        L2 penalty: the loss gets ``weight_decay / 2`` times the sum of squared weights.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    usual_rate: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        _check_options(self)
        if self.nesterov and self.momentum == 0.0:
            msg = "`momentum` must be above 0 for nesterov=True; got 0"
            raise ValueError(msg)

    def start(self, parameters: Any) -> State:
        """Return the state before the first step, without vectors if there is no momentum."""
        return State(0, (parameters * 0.0,) if self.momentum else ())

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any, xp: Any
    ) -> tuple[State, Any]:
        """As `Optimizer.step`."""
        del xp  # products and sums are the same in all namespaces
        if self.weight_decay:
            gradient = gradient + self.weight_decay * (decayed * parameters)
        if not self.momentum:
            return State(state.n_steps + 1, ()), -rate * gradient
        (total,) = state.vectors
        total *= self.momentum
        total += gradient
        ahead = gradient + self.momentum * total if self.nesterov else total
        return State(state.n_steps + 1, (total,)), -rate * ahead


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam: running mean of the gradient over the root of its running mean square.

    Kingma, Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980.

    Parameters
    ----------
    beta1, beta2 : float
        Shares of the two running means that each step keeps, from 0 to below 1.
    epsilon : float
        Added to the root, to avoid division by zero.
    weight_decay : float, default 0
        L2 penalty: this times the weights is added to the gradient.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    usual_rate: ClassVar[float] = 0.005

    def __post_init__(self) -> None:
        _check_options(self)

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""
        return State(0, (parameters * 0.0, parameters * 0.0))

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any, xp: Any
    ) -> tuple[State, Any]:
        """As `Optimizer.step`."""
        if self.weight_decay:
            gradient = gradient + self.weight_decay * (decayed * parameters)
        return self._step(state, gradient, rate, xp)

    def _step(self, state: State, gradient: Any, rate: float, xp: Any) -> tuple[State, Any]:
        """As `step`, without weight decay."""
        n_steps = state.n_steps + 1
        total, squares = state.vectors
        total *= self.beta1
        total += gradient
        squares *= self.beta2
        squares += gradient * gradient
        # The factors of the means and of their bias correction are applied to scalars.
        mean_factor = (1.0 - self.beta1) / (1.0 - _power(self.beta1, n_steps))
        root_factor = sqrt((1.0 - self.beta2) / (1.0 - _power(self.beta2, n_steps)))
        root = xp.sqrt(squares)
        root += self.epsilon / root_factor
        update = xp.divide(total, root)
        update *= -rate * mean_factor / root_factor
        return State(n_steps, (total, squares)), update


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, which is not part of the gradient.

    Loshchilov, Hutter, "Decoupled weight decay regularization", arXiv 1711.05101.

    Parameters
    ----------
    beta1, beta2, epsilon
        See `Adam`.
    weight_decay : float, default 0.01
        Each step reduces the weights by this share times the learning rate.
    """

    weight_decay: float = 0.01

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any, xp: Any
    ) -> tuple[State, Any]:
        """As `Optimizer.step`."""
        state, update = self._step(state, gradient, rate, xp)
        if self.weight_decay:
            update = update + -rate * self.weight_decay * (decayed * parameters)
        return state, update


# The least value of each option, and the value that it must be below.
_RANGES = dict.fromkeys(("momentum", "beta1", "beta2"), (0.0, 1.0))
_RANGES |= {"epsilon": (1e-300, inf), "weight_decay": (0.0, inf)}


def _check_options(optimizer: Any) -> None:
    """Raise ValueError if an option is invalid; convert the options to Python floats.

    A Python float, unlike a NumPy scalar, never changes the dtype of an array operand.
    """
    for name in _RANGES.keys() & vars(optimizer).keys():
        value, (least, most) = float(getattr(optimizer, name)), _RANGES[name]
        if not least <= value < most:
            msg = f"`{name}` must be from {least:g} to below {most:g}; got {value}"
            raise ValueError(msg)
        object.__setattr__(optimizer, name, value)


def _power(x: float, n: int) -> float:
    """Return x to the power of n by products, as the C library's differs between machines."""
    y = 1.0
    while n:
        y = y * x if n % 2 else y
        x, n = x * x, n // 2
    return y


_SGD = {"momentum": SGD(momentum=0.9), "nesterov": SGD(momentum=0.9, nesterov=True), "sgd": SGD()}
OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType({"adam": Adam(), "adamw": AdamW(), **_SGD})


def as_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer of this name, or the given one; raise an error for anything else."""
    if not isinstance(optimizer, str):
        if isinstance(optimizer, type) or not isinstance(optimizer, Optimizer):
            msg = f"`optimizer` must be a name, or an optimizer such as Adam(); got {optimizer!r}"
            raise TypeError(msg)
        return optimizer
    if optimizer not in OPTIMIZERS:
        msg = f"`optimizer` must be one of {', '.join(OPTIMIZERS)}, or Adam(...); got {optimizer!r}"
        raise ValueError(msg)
    return OPTIMIZERS[optimizer]
