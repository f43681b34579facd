"""Backward pass: the loss of a network and its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from xpnet.arrays.namespace import array_namespace, cast, device_of, limits_of
from xpnet.arrays.transfer import is_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.losses import LOSSES, one_hot
from xpnet.networks.network import Network

__all__ = ["Objective", "loss_and_gradient", "unflatten_parameters"]

# Loss by the output of a network or, for probabilities, by its last activation.
_LOSS_OF = {
    "values": "mean_squared_error",
    "logits": "cross_entropy",
    "softmax": "cross_entropy",
    "sigmoid": "binary_cross_entropy",
}


@dataclass(frozen=True, eq=False)
class Objective:
    """Loss of a network, to be minimized; its output decides which one.

    "cross_entropy" for two or more classes with one unit each; "binary_cross_entropy" for a single
    unit, or for several that end in sigmoid, with independent yes/no targets;
    "mean_squared_error" for a regression. Raise ValueError if there is no loss for the network, or
    an activation has no derivative.
    """

    network: Network
    loss: str = field(init=False)

    def __post_init__(self) -> None:
        kind, n_out = str(self.network.output), self.network.n_out
        if kind == "probabilities":
            kind = self.network.layers[-1].activation
        if kind not in _LOSS_OF or (kind == "softmax" and n_out == 1):
            rule = "must end in a sigmoid, or a softmax of two or more units, for probabilities"
            msg = f"`network` {rule}; got {kind} of {n_out}"
            raise ValueError(msg)
        loss = _LOSS_OF["sigmoid" if kind == "logits" and n_out == 1 else kind]
        object.__setattr__(self, "loss", loss)
        for layer in self.scored.layers:
            if not (row := ACTIVATIONS[layer.activation]).is_learnable:
                msg = f"activation {row.name!r} cannot be trained: it has no derivative"
                raise ValueError(msg)

    @cached_property
    def has_classes(self) -> bool:
        """Whether targets are class ids, one per row."""
        is_single = self.network.n_out == 1 and self.network.output != "values"
        return self.loss == "cross_entropy" or is_single

    @cached_property
    def scored(self) -> Network:
        """The network up to the inputs of the loss: logits, or values.

        A final softmax or sigmoid is part of the loss: computed together, the two are stable.
        """
        if self.network.output != "probabilities":
            return self.network
        *layers, last = self.network.layers
        last = replace(last, activation="identity", options={})
        return replace(self.network, layers=(*layers, last), output="logits")

    def targets(self, answers: Any, dtype: Any, xp: Any) -> Any:
        """Return class ids or values as target outputs of shape (n, n_out)."""
        if self.loss == "cross_entropy":
            answers = one_hot(answers, self.network.n_out, xp, 1)
        elif answers.ndim == 1:
            answers = xp.reshape(answers, (-1, 1))
        return cast(answers, dtype, xp)

    def mean_loss(
        self, outputs: Any, targets: Any, xp: Any, weights: Any | None = None
    ) -> tuple[Any, Any]:
        """Return the mean loss of a batch and its derivative with respect to the outputs.

        `weights`, of shape (n, 1) and above 0, weight the rows; those of 1 give the bits of none.
        For outputs of less than 32 bits, they and the loss are of float32, which an epoch's sum
        does not overflow.
        """
        loss, dtype = LOSSES[self.loss], outputs.dtype
        if limits_of(dtype, xp).bits < 32:
            outputs, targets = (xp.astype(x, xp.float32) for x in (outputs, targets))
        losses, slope = loss(outputs, targets, xp)
        slope = cast(slope, dtype, xp)
        if weights is not None:
            # Dividing by the mean, and not by the sum, keeps slopes in the range of float16.
            weights = weights * xp.divide(outputs.shape[0], xp.sum(weights))
            losses, slope = losses * weights, cast(slope * weights, slope.dtype, xp)
        n_rows = float(outputs.shape[0])
        return xp.divide(xp.sum(losses), n_rows), xp.divide(slope, n_rows)


def unflatten_parameters(network: Network, vector: Any, xp: Any) -> list[tuple[Any, Any]]:
    """Return the weight and the bias of each layer, in the dtype of the network."""
    vector = network.rounded(vector, xp)
    pairs, start = [], 0
    for layer in network.layers:
        shape = (n_in, n_out) = layer.n_in, layer.n_out
        middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
        pairs.append((xp.reshape(vector[start:middle], shape), vector[middle:end]))
        start = end
    return pairs


def loss_and_gradient(
    objective: Objective,
    parameters: Sequence[tuple[Any, Any]],
    rows: Any,
    targets: Any,
    xp: Any,
    *,
    weights: Any | None = None,
) -> tuple[Any, Any]:
    """Return the mean loss of a batch and its gradient with respect to all parameters.

    `parameters` are the weight and bias of each layer, used instead of those of the network. The
    loss is 0-dimensional, on the device: reading its value synchronizes. The gradient has the shape
    (n_parameters,), in the order of `flatten_parameters`.
    """
    network = objective.scored
    stages = [(rows, network.inputs(rows, xp)), *network.layer_results(rows, xp, parameters)]
    loss, slope = objective.mean_loss(stages[-1][1], targets, xp, weights)
    ones = xp.ones((rows.shape[0],), dtype=slope.dtype, device=device_of(slope))
    gradient = None
    options: list[Any] = [({}, {})] * len(parameters)
    if is_numpy(slope) and xp is array_namespace(slope):  # products go where they belong
        gradient = xp.empty(sum(x.size for pair in parameters for x in pair), dtype=slope.dtype)
        places = unflatten_parameters(network, gradient, xp)
        options = [({"out": weight}, {"out": bias}) for weight, bias in places]
    parts: list[Any] = []
    for i in reversed(range(len(parameters))):
        layer, inputs, (weighted, y) = network.layers[i], stages[i][1], stages[i + 1]
        if layer.activation != "identity":
            activation = ACTIVATIONS[layer.activation]
            slope = activation.gradient(slope, weighted, y, xp, **layer.options)
        of_weight, of_bias = options[i]
        # A product with ones is faster than NumPy's sum.
        parts[:0] = [xp.matmul(inputs.T, slope, **of_weight), xp.matmul(ones, slope, **of_bias)]
        if i > 0:
            slope = xp.matmul(slope, parameters[i][0].T)
    return loss, xp.concat(parts, axis=None) if gradient is None else gradient
