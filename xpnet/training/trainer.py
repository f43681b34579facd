"""Parameters of a network as one vector, and their updates by an optimizer.

The vector holds the weight and the bias of the first layer, then those of the second, and so on.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.threads import one_blas_thread
from xpnet.arrays.namespace import array_namespace, cast, device_of, limits_of, without_warnings
from xpnet.arrays.transfer import without_graph
from xpnet.networks.network import Network
from xpnet.training.backward import Objective, loss_and_gradient, unflatten_parameters
from xpnet.training.examples import Batch, all_finite
from xpnet.training.optimizers import Optimizer

__all__ = ["Trainer", "flatten_parameters", "weight_mask", "with_parameters"]

# The most multiplications of a forward pass of a batch on one thread. On two cores of a Zen 4, a
# second thread shortens a step with fewer by 9%, and a step with twice as many by 25%.
_SMALL_BATCH = 10**7


def flatten_parameters(network: Network) -> Any:
    """Return the parameters of a network as one new vector, detached from any torch graph.

    Parameters of less than 32 bits are returned in float32, so that small updates add up; those of
    a reproducible network in float64.
    """
    xp = array_namespace(network.layers[0].weight)
    parameters = [p for layer in network.layers for p in (layer.weight, layer.bias)]
    vector = xp.concat([xp.reshape(without_graph(p), (-1,)) for p in parameters])
    vector = network.widened(vector, xp)
    return vector if limits_of(vector.dtype, xp).bits >= 32 else xp.astype(vector, xp.float32)


def with_parameters(network: Network, vector: Any, xp: Any) -> Network:
    """Return a copy of the network that has the parameters of the vector."""
    pairs = zip(network.layers, unflatten_parameters(network, vector, xp), strict=True)
    layers = tuple(replace(layer, weight=weight, bias=bias) for layer, (weight, bias) in pairs)
    return replace(network, layers=layers)


def weight_mask(network: Network, vector: Any, xp: Any) -> Any:
    """Return a vector of 1 at each weight and 0 at each bias, in the dtype of `vector`."""
    options = {"dtype": vector.dtype, "device": device_of(vector)}
    parts: list[Any] = []
    for layer in network.layers:
        parts += [xp.ones(layer.n_in * layer.n_out, **options), xp.zeros(layer.n_out, **options)]
    return xp.concat(parts)


class Trainer:
    """A network in training: its parameters, and the state of the optimizer.

    The objective's network provides the initial `parameters`, a vector on its device. A step
    creates new ones and never writes into old ones.
    """

    def __init__(self, objective: Objective, optimizer: Optimizer) -> None:
        self.objective, self._optimizer = objective, optimizer
        network = objective.network
        self._xp = network.functions(network.layers[0].weight)
        keep_freed_memory()
        self.parameters = flatten_parameters(network)
        self._state = optimizer.start(self.parameters)
        self._is_weight = weight_mask(network, self.parameters, self._xp)

    @property
    def n_steps(self) -> int:
        """Number of steps so far."""
        return self._state.n_steps

    @property
    def is_finite(self) -> bool:
        """Whether all parameters are finite in the dtype of the network."""
        with without_warnings():
            return all_finite(self.objective.network.rounded(self.parameters, self._xp))

    def blas_limit(self, batch_size: int) -> AbstractContextManager[None]:
        """Limit NumPy's BLAS to one thread if the batches are small.

        A second thread gains little, changes the last digits, and waits actively between products.
        """
        network = self.objective.network
        is_small = batch_size * network.multiplications <= _SMALL_BATCH
        return one_blas_thread() if is_small and network.library == "numpy" else nullcontext()

    def step(self, batch: Batch, rate: float) -> Any:
        """Update the parameters by the gradient of a batch; return its mean loss, on the device."""
        xp, network = self._xp, self.objective.network
        # The caller checks once per epoch that the parameters are finite.
        with without_warnings():
            pairs = unflatten_parameters(network, self.parameters, xp)
            weights = None if batch.weights is None else network.widened(batch.weights, xp)
            given = self.objective, pairs, batch.rows, batch.targets, xp
            loss, gradient = map(without_graph, loss_and_gradient(*given, weights=weights))
            gradient = cast(gradient, self.parameters.dtype, xp)
            options = {"rate": rate, "decayed": self._is_weight, "xp": xp}
            self._state, update = self._optimizer.step(
                self._state, gradient, self.parameters, **options
            )
            update += self.parameters  # in place if the library supports it
            self.parameters = update
        return loss

    def scored_network(self) -> Network:
        """Return the network up to the inputs of the loss, with its current parameters."""
        xp = array_namespace(self.parameters)
        return with_parameters(self.objective.scored, self.parameters, xp)

    def network(self, parameters: Any) -> Network:
        """Return the ordinary network with these parameters."""
        network = self.objective.network
        parameters = network.rounded(parameters, self._xp)
        return with_parameters(network.ordinary, parameters, self._xp)
