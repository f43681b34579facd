"""Optimizers as functions: (sums, step) -> (sums, update)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "Step", "as_optimizer"]


class Step(NamedTuple):
    """Arguments of a step of an optimizer; arrays have the shape (n_parameters,)."""

    gradient: Any
    parameters: Any
    decayed: Any  # 1 for weights, 0 for biases
    n_done: int  # number of earlier steps
    rate: float
    xp: Any


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

    def start(self, parameters: Any) -> list[Any]:
        """Return the running sum of gradients before the first step, if there is momentum."""
        return [parameters * 0.0] if self.momentum else []

    def step(self, sums: list[Any], at: Step) -> tuple[list[Any], Any]:
        """As `Adam.step`."""
        gradient = at.gradient
        if self.weight_decay:
            gradient = gradient + self.weight_decay * (at.decayed * at.parameters)
        if not self.momentum:
            return [], -at.rate * gradient
        (total,) = sums
        total *= self.momentum
        total += gradient
        ahead = gradient + self.momentum * total if self.nesterov else total
        return [total], -at.rate * ahead


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
    _is_decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_options(self)

    def start(self, parameters: Any) -> list[Any]:
        """Return the running sums of gradients and of their squares before the first step."""
        return [parameters * 0.0, parameters * 0.0]

    def step(self, sums: list[Any], at: Step) -> tuple[list[Any], Any]:
        """Return the running sums after a step, and the update to add to the parameters.

        The given sums may be updated in place: only the returned ones are valid. The update is a
        new array.
        """
        gradient, xp, n_steps = at.gradient, at.xp, at.n_done + 1
        if self.weight_decay and not self._is_decoupled:
            gradient = gradient + self.weight_decay * (at.decayed * at.parameters)
        total, squares = sums
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
        update *= -at.rate * mean_factor / root_factor
        if self.weight_decay and self._is_decoupled:
            update = update + -at.rate * self.weight_decay * (at.decayed * at.parameters)
        return [total, squares], update


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

    _is_decoupled: ClassVar[bool] = True


Optimizer: TypeAlias = SGD | Adam

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
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        msg = f"`optimizer` must be one of {', '.join(OPTIMIZERS)}, or Adam(...); got {optimizer!r}"
        raise ValueError(msg) if isinstance(optimizer, str) else TypeError(msg)
    return OPTIMIZERS[optimizer]
