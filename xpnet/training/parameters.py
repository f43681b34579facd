"""Parameters of a network as one vector, which an optimizer updates with a few array operations.

The vector holds the weight and the bias of the first layer, then those of the second, and so on.
"""

from dataclasses import replace
from typing import Any

from xpnet.arrays.namespace import array_namespace, cast, device_of, limits_of
from xpnet.arrays.transfer import without_graph
from xpnet.networks.network import Network

__all__ = ["flatten_parameters", "unflatten_parameters", "weight_mask", "with_parameters"]


def flatten_parameters(network: Network) -> Any:
    """Return the parameters of a network as one new vector, detached from any torch graph.

    Parameters of less than 32 bits are returned in float32, so that small updates add up.
    """
    xp = array_namespace(network.layers[0].weight)
    parameters = [p for layer in network.layers for p in (layer.weight, layer.bias)]
    vector = xp.concat([xp.reshape(without_graph(p), (-1,)) for p in parameters])
    return vector if limits_of(vector.dtype, xp).bits >= 32 else xp.astype(vector, xp.float32)


def unflatten_parameters(network: Network, vector: Any, xp: Any) -> list[tuple[Any, Any]]:
    """Return the weight and the bias of each layer, in the dtype of the network."""
    vector = cast(vector, network.dtype, xp)
    pairs, start = [], 0
    for layer in network.layers:
        shape = (n_in, n_out) = layer.n_in, layer.n_out
        middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
        pairs.append((xp.reshape(vector[start:middle], shape), vector[middle:end]))
        start = end
    return pairs


def with_parameters(network: Network, vector: Any, xp: Any) -> Network:
    """Return a copy of the network that has the parameters of the vector."""
    pairs = zip(network.layers, unflatten_parameters(network, vector, xp), strict=True)
    layers = tuple(replace(layer, weight=weight, bias=bias) for layer, (weight, bias) in pairs)
    return replace(network, layers=layers)


def weight_mask(network: Network, vector: Any, xp: Any) -> Any:
    """Return a vector of 1 at each weight and 0 at each bias, in the dtype of `vector`."""
    parts = [
        xp.full((n,), value, dtype=vector.dtype, device=device_of(vector))
        for layer in network.layers
        for n, value in ((layer.n_in * layer.n_out, 1.0), (layer.n_out, 0.0))
    ]
    return xp.concat(parts)
