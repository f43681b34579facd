"""Optimizers as functions: (state, gradient) -> (state, update)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from xpnet.arrays.namespace import array_namespace

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "State", "as_optimizer"]


class State(NamedTuple):
    """State of an optimizer: the number of steps so far, and running sums of gradients."""

    n_steps: int
    vectors: tuple[Any, ...]


class Optimizer(Protocol):
    """Interface of an optimizer for `xpnet.train`; ``usual_rate`` is its default learning rate."""

    usual_rate: ClassVar[float]

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""

    @abstractmethod
    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any = 1.0
    ) -> tuple[State, Any]:
        """Return the state after a step, and the update to add to the parameters, a new array.

        The vectors of the given state may be updated in place, so that a step stays in the cache:
        only the returned state is valid. Gradient and parameters have the shape (n,). `decayed`, a
        number or an array of this shape, is a factor of the weight decay: 1 for weights, 0 for
        biases.
        """


class _Descent(ABC):
    """Step common to the optimizers of xpnet: weight decay around an update of their own."""

    weight_decay: float
    # Whether the decay is a part of the update rather than of the gradient.
    _is_decoupled: ClassVar[bool] = False

    def step(
        self,
        state: State,
        gradient: Any,
        parameters: Any,
        *,
        rate: float,
        decayed: Any = 1.0,
        xp: Any = None,
    ) -> tuple[State, Any]:
        """As `Optimizer.step`; the default of `xp` is the namespace of the vectors."""
        decay = self.weight_decay
        if decay and not self._is_decoupled:
            gradient = gradient + decay * (decayed * parameters)
        state, update = self._update(state, gradient, rate, xp)
        if decay and self._is_decoupled:
            update = update + -rate * decay * (decayed * parameters)
        return state, update

    @abstractmethod
    def _update(self, state: State, gradient: Any, rate: float, xp: Any) -> tuple[State, Any]:
        """Return the state after a step, and the update without decoupled weight decay."""

    def _check_options(self, **rules: tuple[bool, str]) -> None:
        """Raise ValueError if an option is invalid; convert the options to Python floats.

        A Python float, unlike a NumPy scalar, never changes the dtype of an array operand.
        """
        rules["weight_decay"] = (0.0 <= self.weight_decay < inf, "0 or more")
        for name, (is_valid, rule) in rules.items():
            value = getattr(self, name)
            if not is_valid:
                msg = f"`{name}` must be {rule}; got {value}"
                raise ValueError(msg)
            object.__setattr__(self, name, float(value))


@dataclass(frozen=True, kw_only=True)
class SGD(_Descent):
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
        self._check_options(momentum=(0.0 <= self.momentum < 1.0, "from 0 to below 1"))
        if self.nesterov and self.momentum == 0.0:
            msg = "`momentum` must be above 0 for nesterov=True; got 0"
            raise ValueError(msg)

    def start(self, parameters: Any) -> State:
        """Return the state before the first step, without vectors if there is no momentum."""
        return State(0, (parameters * 0.0,) if self.momentum else ())

    def _update(self, state: State, gradient: Any, rate: float, xp: Any) -> tuple[State, Any]:
        del xp  # products and sums are the same in all namespaces
        if not self.momentum:
            return State(state.n_steps + 1, ()), -rate * gradient
        (total,) = state.vectors
        total *= self.momentum
        total += gradient
        ahead = gradient + self.momentum * total if self.nesterov else total
        return State(state.n_steps + 1, (total,)), -rate * ahead


@dataclass(frozen=True, kw_only=True)
class Adam(_Descent):
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
        self._check_options(
            beta1=(0.0 <= self.beta1 < 1.0, "from 0 to below 1"),
            beta2=(0.0 <= self.beta2 < 1.0, "from 0 to below 1"),
            epsilon=(0.0 < self.epsilon < inf, "positive"),
        )

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""
        return State(0, (parameters * 0.0, parameters * 0.0))

    def _update(self, state: State, gradient: Any, rate: float, xp: Any) -> tuple[State, Any]:
        n_steps = state.n_steps + 1
        total, squares = state.vectors
        total *= self.beta1
        total += gradient
        squares *= self.beta2
        squares += gradient * gradient
        # The factors of the means and of their bias correction are applied to scalars.
        power = _power if xp else pow  # the C library's power differs from machine to machine
        mean_factor = (1.0 - self.beta1) / (1.0 - power(self.beta1, n_steps))
        root_factor = sqrt((1.0 - self.beta2) / (1.0 - power(self.beta2, n_steps)))
        xp = xp or array_namespace(squares)
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

    _is_decoupled: ClassVar[bool] = True


def _power(x: float, n: int) -> float:
    """Return x to the power of n by products alone, which have the same bits everywhere."""
    y = 1.0
    while n:
        y = y * x if n % 2 else y
        x, n = x * x, n // 2
    return y


OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType(
    {
        "adam": Adam(),
        "adamw": AdamW(),
        "momentum": SGD(momentum=0.9),
        "nesterov": SGD(momentum=0.9, nesterov=True),
        "sgd": SGD(),
    }
)


def as_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer of this name, or the given one; raise an error for anything else."""
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            names = ", ".join(OPTIMIZERS)
            msg = f"`optimizer` must be one of {names}, or an Optimizer; got {optimizer!r}"
            raise ValueError(msg)
        return OPTIMIZERS[optimizer]
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        msg = f"`optimizer` must be a name, or an optimizer such as Adam(); got {optimizer!r}"
        raise TypeError(msg)
    return optimizer
