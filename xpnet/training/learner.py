"""A network as it learns, step by step."""

from typing import Any

from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    current_device,
    without_warnings,
)
from xpnet.arrays.transfer import to_numpy, without_graph
from xpnet.inference.class_labels import stay_together
from xpnet.inference.predict import class_ids
from xpnet.inference.runner import batched, plan
from xpnet.networks.network import Network
from xpnet.training.backward import Objective, loss_and_gradient
from xpnet.training.examples import Examples
from xpnet.training.optimizers import Optimizer
from xpnet.training.parameters import Layout, vector_of

__all__ = ["Learner"]


class Learner:
    """The parameters of a network, and what the optimizer remembers.

    Each step puts new arrays in the place of the old ones, into which nothing is written; what
    somebody keeps stays as it is.

    Parameters
    ----------
    objective : Objective
        Its network is where to start.
    optimizer : Optimizer

    Attributes
    ----------
    parameters : array of shape (n_parameters,)
        On the network's device.
    state : xpnet.training.optimizers.State
    """

    def __init__(self, objective: Objective, optimizer: Optimizer) -> None:
        self.objective, self._optimizer = objective, optimizer
        weight = objective.network.layers[0].weight
        self._xp = array_namespace(weight)
        self._layout = Layout(objective.network)
        with current_device(weight):
            self.parameters = vector_of(objective.network)
            self.state = optimizer.start(self.parameters)
            self._is_weight = self._layout.is_weight(self.parameters, self._xp)

    def learn(self, rows: Any, targets: Any, rate: float, *, decay: float = 1.0) -> Any:
        """Take a step of the optimizer; return the batch's mean loss before it, on the device.

        Parameters
        ----------
        rows : array of shape (n, n_in)
        targets : array of shape (n, n_out)
            As `Objective.targets` gives them.
        rate : float
            The learning rate.
        decay : float, default 1
            What the optimizer's weight decay is multiplied by.
        """
        xp = self._xp
        # Weights that run away are told by `is_finite`; NumPy need not warn of each overflow.
        with current_device(self.parameters), without_warnings():
            pairs = self._layout.pairs(self.parameters, xp)
            loss, gradient = loss_and_gradient(self.objective, pairs, rows, targets, xp)
            # Rows, targets or the preprocessing may belong to a graph of torch's.
            loss, gradient = without_graph(loss), without_graph(gradient)
            gradient = cast(gradient, self.parameters.dtype, xp)
            decayed = self._is_weight if decay == 1.0 else decay * self._is_weight
            self.state, update = self._optimizer.step(
                self.state, gradient, self.parameters, rate=rate, decayed=decayed
            )
            self.parameters = self.parameters + update
        return loss

    def is_finite(self) -> bool:
        """Tell whether all parameters are finite numbers."""
        with current_device(self.parameters):
            return bool(to_numpy(self._xp.all(self._xp.isfinite(self.parameters))))

    def network(self, parameters: Any | None = None) -> Network:
        """Return the network with its parameters as they are now, or with others."""
        parameters = self.parameters if parameters is None else parameters
        with current_device(parameters):
            return self._layout.with_parameters(parameters, self._xp)

    def scores(self, examples: Examples) -> tuple[float, float | None]:
        """Return the mean loss of examples, and how many of them it gets right, 0..1.

        ``None`` stands for the latter where there are no classes. Of units that answer questions
        of their own, all must be right.
        """
        objective = self.objective
        with current_device(self.parameters):
            network = Layout(objective.scored).with_parameters(self.parameters, self._xp)
        work = plan(
            network,
            examples.rows,
            lambda _network, _rows, outputs: outputs,
            batch_size=None,
            threads=None,
            batch_invariant=False,
            transfers="allow",
        )
        outputs, answers = batched(examples.rows, work), examples.answers
        if not stay_together(outputs, answers):
            outputs, answers = to_numpy(outputs), to_numpy(answers)
        xp = array_namespace(outputs)
        with current_device(outputs), without_warnings():
            loss, _ = objective.of(outputs, objective.targets(answers, outputs.dtype, xp), xp)
            if network.output == "values":
                return float(to_numpy(loss)), None
            if objective.has_classes:
                is_right = class_ids(network, outputs) == answers
            else:
                half = 0.5
                is_right = xp.all((outputs > 0.0) == (answers > half), axis=1)
            n_right = int(to_numpy(xp.sum(xp.astype(is_right, xp.int32))))
            return float(to_numpy(loss)), n_right / outputs.shape[0]
