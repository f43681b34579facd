"""Optimizers as pure functions: (state, gradient) -> (state, update), of one vector each."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from xpnet.arrays.namespace import array_namespace

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "State"]


class State(NamedTuple):
    """What an optimizer remembers: how many steps were taken, and running sums."""

    n_steps: int
    vectors: tuple[Any, ...]


class Optimizer(Protocol):
    """What `xpnet.train` needs of an optimizer.

    Attributes
    ----------
    usual_rate : float
        The learning rate where nobody gives one.
    """

    usual_rate: ClassVar[float]

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""

    @abstractmethod
    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any = 1.0
    ) -> tuple[State, Any]:
        """Return the state after a step, and what to add to the parameters.

        Parameters
        ----------
        state : State
        gradient, parameters : array of shape (n,)
        rate : float
            The learning rate.
        decayed : float or array of shape (n,), default 1
            1 where the weight decay counts, 0 where not.
        """


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: steps down the gradient, or its running sum.

    Parameters
    ----------
    momentum : float, default 0
        How much of the running sum is kept at each step, in 0..1.
    nesterov : bool, default False
        Whether each step looks ahead to where the momentum leads.
    weight_decay : float, default 0
        This times the weights is added to the gradient: the loss has half as much times their
        squares in it.

    Notes
    -----
    As in torch, the running sum is of gradients, and the learning rate multiplies it afterwards.

    References
    ----------
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning",
    ICML 2013.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    usual_rate: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        _check_share(self, "momentum")
        _check_decay(self)
        if self.nesterov and self.momentum == 0.0:
            msg = "`momentum` must be above 0 for nesterov=True; got 0"
            raise ValueError(msg)

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""
        return State(0, (parameters * 0.0,) if self.momentum else ())

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any = 1.0
    ) -> tuple[State, Any]:
        """Return the state after a step, and what to add to the parameters."""
        gradient = _with_decay(gradient, parameters, self.weight_decay, decayed)
        if not self.momentum:
            return State(state.n_steps + 1, ()), -rate * gradient
        total = self.momentum * state.vectors[0]
        total += gradient
        ahead = gradient + self.momentum * total if self.nesterov else total
        return State(state.n_steps + 1, (total,)), -rate * ahead


@dataclass(frozen=True)
class Adam:
    """Adam: steps of the gradient's running mean over the root of its running mean square.

    Parameters
    ----------
    beta1, beta2 : float
        How much of the two running means is kept at each step, in 0..1.
    epsilon : float
        Added to the root, so that nothing is divided by zero.
    weight_decay : float, default 0
        This times the weights is added to the gradient.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    usual_rate: ClassVar[float] = 0.005

    def __post_init__(self) -> None:
        _check_share(self, "beta1")
        _check_share(self, "beta2")
        _check_decay(self)
        if not 0.0 < self.epsilon < float("inf"):
            msg = f"`epsilon` must be positive; got {self.epsilon}"
            raise ValueError(msg)
        _keep_as_float(self, "epsilon")

    def start(self, parameters: Any) -> State:
        """Return the state before the first step."""
        return State(0, (parameters * 0.0, parameters * 0.0))

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any = 1.0
    ) -> tuple[State, Any]:
        """Return the state after a step, and what to add to the parameters."""
        gradient = _with_decay(gradient, parameters, self.weight_decay, decayed)
        return self._moved(state, gradient, rate)

    def _moved(self, state: State, gradient: Any, rate: float) -> tuple[State, Any]:
        n_steps = state.n_steps + 1
        # Operators that change what they are given change only what was made here: where a
        # library can, that saves a pass through memory.
        total, squares = state.vectors
        total = self.beta1 * total
        total += gradient
        squares = self.beta2 * squares
        squares += gradient * gradient
        # What makes means of the sums, and undoes that they start from zero, are three numbers.
        of_total = (1.0 - self.beta1) / (1.0 - self.beta1**n_steps)
        of_root = sqrt((1.0 - self.beta2) / (1.0 - self.beta2**n_steps))
        root = array_namespace(squares).sqrt(squares)
        root += self.epsilon / of_root
        update = total / root
        update *= -rate * of_total / of_root
        return State(n_steps, (total, squares)), update


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink beside Adam's steps, not through them.

    Parameters
    ----------
    beta1, beta2, epsilon
        As for `Adam`.
    weight_decay : float, default 0.01
        At each step, weights lose this share of themselves times the learning rate.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv 1711.05101.
    """

    weight_decay: float = 0.01

    def step(
        self, state: State, gradient: Any, parameters: Any, *, rate: float, decayed: Any = 1.0
    ) -> tuple[State, Any]:
        """Return the state after a step, and what to add to the parameters."""
        state, update = self._moved(state, gradient, rate)
        return state, _with_decay(update, parameters, -rate * self.weight_decay, decayed)


def _with_decay(x: Any, parameters: Any, decay: float, decayed: Any) -> Any:
    return x + decay * (decayed * parameters) if decay else x


def _check_share(optimizer: Optimizer, name: str) -> None:
    value = getattr(optimizer, name)
    if not 0.0 <= value < 1.0:
        msg = f"`{name}` must be from 0 to below 1; got {value}"
        raise ValueError(msg)
    _keep_as_float(optimizer, name)


def _check_decay(optimizer: "SGD | Adam") -> None:
    value = optimizer.weight_decay
    if not (isfinite(value) and value >= 0.0):
        msg = f"`weight_decay` must be 0 or more; got {value}"
        raise ValueError(msg)
    _keep_as_float(optimizer, "weight_decay")


def _keep_as_float(optimizer: Optimizer, name: str) -> None:
    """Make an option a Python float, which never changes the dtype of the array that it meets."""
    object.__setattr__(optimizer, name, float(getattr(optimizer, name)))


OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType(
    {
        "adam": Adam(),
        "adamw": AdamW(),
        "momentum": SGD(momentum=0.9),
        "nesterov": SGD(momentum=0.9, nesterov=True),
        "sgd": SGD(),
    }
)
