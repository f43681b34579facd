"""The loss of a network and its gradient, by the chain rule, written once for every library."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from xpnet.arrays.cpu.blocked_matmul import transposed_times
from xpnet.arrays.namespace import cast, device_of, limits_of
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.losses import LOSSES, one_hot
from xpnet.networks.network import Network, layer_results

__all__ = ["Objective", "loss_and_gradient"]

_OF_CLASSES = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}


@dataclass(frozen=True, eq=False)
class Objective:
    """Which loss of a network is made small.

    Parameters
    ----------
    network : Network
    loss : str, optional
        "cross_entropy" for one class of two or more, each with a unit; "binary_cross_entropy" for
        a single unit, or for units that each answer a question of their own;
        "mean_squared_error" for a regression. By default, what suits the network's ``output``.

    Raises
    ------
    ValueError
        If there is no such loss, or it does not suit the network; or if gradients cannot pass an
        activation.
    """

    network: Network
    loss: str | None = None

    def __post_init__(self) -> None:
        network, last = self.network, self.network.layers[-1]
        usual = "binary_cross_entropy" if network.n_out == 1 else "cross_entropy"
        if network.output == "values":
            usual = "mean_squared_error"
        elif network.output == "probabilities":
            if last.activation not in _OF_CLASSES:
                msg = (
                    "`network` must end in softmax or sigmoid to learn probabilities;"
                    f" got {last.activation}"
                )
                raise ValueError(msg)
            usual = _OF_CLASSES[last.activation]
        loss = usual if self.loss is None else self.loss
        if loss not in LOSSES:
            msg = f"`loss` must be one of {', '.join(LOSSES)}; got {loss!r}"
            raise ValueError(msg)
        suits = {usual}
        if network.output == "logits":
            suits.add("binary_cross_entropy")
        if loss == "cross_entropy" and network.n_out == 1 and loss in suits:
            msg = "`network` must have two or more units to learn a softmax; got 1"
            raise ValueError(msg)
        if loss not in suits:
            msg = (
                f"`loss` must be {' or '.join(sorted(suits))} for output={network.output!r}"
                f" with {network.n_out} units; got {loss!r}"
            )
            raise ValueError(msg)
        object.__setattr__(self, "loss", loss)
        for layer in self.scored.layers:
            if not (row := ACTIVATIONS[layer.activation]).is_learnable:
                msg = f"activation {row.name!r} has no derivative to learn by"
                raise ValueError(msg)

    @cached_property
    def has_classes(self) -> bool:
        """Whether targets are class ids, one for each row."""
        return self.loss == "cross_entropy" or (
            self.loss == "binary_cross_entropy" and self.network.n_out == 1
        )

    @cached_property
    def scored(self) -> Network:
        """The network up to the outputs that the loss looks at: logits, or values.

        A softmax or sigmoid at the end is part of the loss, which is stable, where the two one
        after the other would not be.
        """
        if self.network.output != "probabilities":
            return self.network
        *layers, last = self.network.layers
        last = replace(last, activation="identity", options={})
        return replace(self.network, layers=(*layers, last), output="logits")

    def targets(self, answers: Any, dtype: Any, xp: Any) -> Any:
        """Return class ids or values as what the outputs should be, of shape (n, n_out)."""
        if self.loss == "cross_entropy":
            answers = one_hot(answers, self.network.n_out, xp, 1)
        elif answers.ndim == 1:
            answers = xp.reshape(answers, (-1, 1))
        return cast(answers, dtype, xp)

    def of(self, outputs: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
        """Return the mean loss of a batch, and its derivative by the outputs.

        The loss is of float32 where they are smaller: an epoch's sum would leave their range.
        """
        losses, slope = self.of_rows(outputs, targets, xp)
        return xp.sum(losses) / outputs.shape[0], slope / outputs.shape[0]

    def of_rows(self, outputs: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
        """Return the loss of each row, of shape (n, 1), and its derivative by the outputs."""
        loss, dtype = LOSSES[str(self.loss)], outputs.dtype
        if limits_of(dtype, xp).bits >= 32:
            return loss(outputs, targets, xp)
        outputs, targets = xp.astype(outputs, xp.float32), xp.astype(targets, xp.float32)
        losses, slope = loss(outputs, targets, xp)
        return losses, xp.astype(slope, dtype)


def loss_and_gradient(
    objective: Objective,
    parameters: Sequence[tuple[Any, Any]],
    rows: Any,
    targets: Any,
    xp: Any,
) -> tuple[Any, Any]:
    """Return the loss of a batch, and its gradient by all parameters.

    Parameters
    ----------
    objective : Objective
    parameters : sequence of (weight, bias)
        Of each layer; what the objective's network has itself does not count.
    rows : array of shape (n, n_in)
    targets : array of shape (n, n_out)
        As `Objective.targets` gives them.
    xp : namespace
        Of all of them.

    Returns
    -------
    loss : array, 0-dimensional
        It stays on the device until somebody looks.
    gradient : array of shape (n_parameters,)
        In the order of `xpnet.training.parameters.Layout`.
    """
    network = objective.scored
    stages = list(layer_results(network, rows, xp, parameters))
    loss, slope = objective.of(stages[-1][1], targets, xp)
    ones = xp.ones((rows.shape[0],), dtype=slope.dtype, device=device_of(slope))
    parts: list[Any] = []
    for i in reversed(range(len(parameters))):
        layer, inputs, (weighted, y) = network.layers[i], stages[i][1], stages[i + 1]
        if layer.activation != "identity":
            activation = ACTIVATIONS[layer.activation]
            slope = activation.gradient(slope, weighted, y, xp, **layer.options)
        # A product sums up faster than NumPy's sum.
        parts[:0] = [*transposed_times(inputs, slope), ones @ slope]
        if i > 0:
            slope = slope @ parameters[i][0].T
    return loss, xp.concat(parts, axis=None)
