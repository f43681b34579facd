"""The loss of a network and its gradients, by the chain rule, written once for every library."""

from typing import Any

from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.losses import mean_surprise, one_hot
from xpnet.functions.softmax import log_softmax
from xpnet.networks.network import Network, layer_results

__all__ = ["loss_and_gradients"]


def loss_and_gradients(
    network: Network, rows: Any, labels: Any, xp: Any
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Return the mean cross-entropy of a batch, and its gradients by weight and bias.

    Parameters
    ----------
    network : Network
        With ``output="logits"`` and two or more units.
    rows : array of shape (n, n_in)
    labels : array of shape (n,), integers
        Class ids.
    xp : namespace
        Of all of them.

    Returns
    -------
    loss : array, 0-dimensional
        In nats; it stays on the device until somebody looks.
    gradients : list of (weight gradient, bias gradient)
        One pair for each layer, in the shapes of its parameters.
    """
    stages = list(layer_results(network, rows, xp))
    logits = stages[-1][1]
    log_probabilities = log_softmax(logits)
    matches = one_hot(labels, network.n_out, xp, 1)
    loss = mean_surprise(log_probabilities, matches, xp, 1)
    # The derivative of the loss by the logits.
    slope = (xp.exp(log_probabilities) - xp.astype(matches, logits.dtype)) / rows.shape[0]
    gradients = []
    for i in reversed(range(len(network.layers))):
        layer, inputs, (weighted, y) = network.layers[i], stages[i][1], stages[i + 1]
        activation = ACTIVATIONS[layer.activation]
        slope = activation.gradient(slope, weighted, y, xp, **layer.options)
        gradients.append((inputs.T @ slope, xp.sum(slope, axis=0)))
        if i > 0:
            slope = slope @ layer.weight.T
    return loss, gradients[::-1]
