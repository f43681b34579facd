"""The parameters of a network as one vector, so that a few calls update all of them at once."""

from dataclasses import dataclass, replace
from typing import Any

from xpnet.arrays.namespace import array_namespace, cast, device_of, limits_of
from xpnet.arrays.transfer import without_graph
from xpnet.networks.network import Network

__all__ = ["Layout", "vector_of"]


@dataclass(frozen=True)
class Layout:
    """Where each parameter is in the vector: weight and bias of the first layer, of the second ...

    Attributes
    ----------
    network : Network
        Gives the shapes, and all that is no parameter.
    """

    network: Network

    def pairs(self, vector: Any, xp: Any) -> list[tuple[Any, Any]]:
        """Return the weight and the bias of each layer."""
        vector = cast(vector, self.network.dtype, xp)
        pairs, start = [], 0
        for layer in self.network.layers:
            shape = (n_in, n_out) = layer.n_in, layer.n_out
            middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
            pairs.append((xp.reshape(vector[start:middle], shape), vector[middle:end]))
            start = end
        return pairs

    def with_parameters(self, vector: Any, xp: Any) -> Network:
        """Return the network with these parameters."""
        pairs = zip(self.network.layers, self.pairs(vector, xp), strict=True)
        layers = tuple(replace(layer, weight=weight, bias=bias) for layer, (weight, bias) in pairs)
        return replace(self.network, layers=layers)

    def is_weight(self, vector: Any, xp: Any) -> Any:
        """Return 1 where a weight is, and 0 where a bias is, in the dtype of the vector."""
        parts = [
            xp.full((n,), value, dtype=vector.dtype, device=device_of(vector))
            for layer in self.network.layers
            for n, value in ((layer.n_in * layer.n_out, 1.0), (layer.n_out, 0.0))
        ]
        return xp.concat(parts)


def vector_of(network: Network) -> Any:
    """Return the parameters of a network as one new vector, apart from any torch graph.

    It is of float32 where they are smaller: steps may be too small for them to see.
    """
    xp = array_namespace(network.layers[0].weight)
    parameters = [p for layer in network.layers for p in (layer.weight, layer.bias)]
    vector = xp.concat([xp.reshape(without_graph(p), (-1,)) for p in parameters])
    return vector if limits_of(vector.dtype, xp).bits >= 32 else xp.astype(vector, xp.float32)
