"""What can be done once for all rows: a network that computes the same in fewer steps."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from xpnet.arrays.cpu.blocked_matmul import constant
from xpnet.arrays.namespace import array_namespace, device_of, limits_of, without_warnings
from xpnet.networks.dense import Dense
from xpnet.networks.folding import folded
from xpnet.networks.network import Network, forward

__all__ = ["made_constant", "prepare"]

# Of the size of the weights that leave sigmoids, this much must count at least where they are
# made tanh.
_LEAST_ON = 1 / 10
_N_TRIED = 16
_BYTES = 255.0
_GOLDEN = 0.6180339887498949


def prepare(network: Network, /) -> Network:
    """Return a network that gives the same results, and is ready to give them fast.

    The preprocessing goes into the first weights and biases. Of a NumPy network, the arrays are
    copied, in the order in memory in which products are fastest, and are read-only: what is
    written into the given network later does not count. And hidden sigmoids become tanh, with
    what else the sigmoid is, (1 + tanh(x / 2)) / 2, put into the weights and biases around them.

    Parameters
    ----------
    network : Network
        Of any library. It stays as it is.

    Returns
    -------
    Network
        A network like any other: it can be saved, moved and prepared again.

    Notes
    -----
    The results are not the same bits, but within the error bounds derived for the given network.
    These allow for a factor in the weights, and leave room for means there that are not large
    against the deviations of the inputs: up to sqrt(n_in) / 4 of them, for at least 64 inputs. Of a
    row that is nearly the mean everywhere, where the given network has next to no error, its bound
    may be exceeded, but not that of the prepared one, which has its own.

    A sigmoid by tanh is right to about one unit of the last place of 1, not of its own size, which
    counts where nearly all sigmoids of a layer are nearly 0. So it is tried: on inputs between 0
    and 1, on others of mean 0 and variance 1, and on 255 times both. Unless a tenth of the
    weights after the sigmoids, by size, is in effect for each of their units, they stay. For inputs
    far from all these, the bound of the given network may be exceeded as well.

    A step of the preprocessing stays where it would take a weight out of the range of normal
    numbers, and where a sigmoid stays, so that it is tried alike when prepared again; in float16,
    both stay.

    The returned network casts its inputs first: numbers beyond the range of its dtype, which the
    preprocessing of the given network would scale before the cast, are an error in NumPy and
    infinite in other libraries.

    Examples
    --------
    >>> import xpnet
    >>> xpnet.prepare(xpnet.load("sample"))
    Network(784 -> 50 tanh -> 100 tanh -> 10 identity; logits; float32, numpy)
    """
    if network.library == "numpy":
        network = _with_tanh(network)
        if any(layer.activation == "sigmoid" for layer in network.layers[:-1]):
            return network.map_arrays(constant)
    return made_constant(network)


def made_constant(network: Network, /) -> Network:
    """Return what `prepare` does without touching the activations: all of it is exact enough."""
    return folded(network).map_arrays(constant)


def _with_tanh(network: Network) -> Network:
    """Return the network with tanh in place of hidden sigmoids, where that is exact enough."""
    layers = list(network.layers)
    xp = array_namespace(layers[0].weight)
    if limits_of(network.dtype, xp).bits < 32:
        return network
    for i, (layer, following) in enumerate(pairwise(network.layers)):
        if layer.activation == "sigmoid" and _is_on(network.layers[: i + 1], following.weight):
            half = replace(layers[i], weight=0.5 * layers[i].weight, bias=0.5 * layers[i].bias)
            layers[i] = replace(half, activation="tanh")
            weight = 0.5 * following.weight
            total = xp.sum(xp.astype(weight, xp.float64), axis=0)
            bias = xp.astype(xp.astype(following.bias, xp.float64) + total, following.bias.dtype)
            layers[i + 1] = replace(following, weight=weight, bias=bias)
    return replace(network, layers=tuple(layers))


def _is_on(layers: Sequence[Dense], weight: Any) -> bool:
    """Tell whether enough of the weights after the last layer is in effect, for some inputs."""
    xp = array_namespace(weight)
    with without_warnings():
        # Multiples of the golden ratio, without their whole parts, lie evenly between 0 and 1.
        shape = (_N_TRIED, layers[0].n_in)
        places = xp.arange(1, math.prod(shape) + 1, dtype=xp.float64, device=device_of(weight))
        even = xp.reshape((places * _GOLDEN) % 1.0, shape)
        spread = xp.concat((even, math.sqrt(12.0) * (even - 0.5)))
        spread = xp.astype(xp.concat((spread, _BYTES * spread)), weight.dtype)
        sizes = xp.abs(weight)
        in_effect = forward(Network(layers), spread) @ sizes
        return bool(xp.all(in_effect >= _LEAST_ON * xp.sum(sizes, axis=0)))
