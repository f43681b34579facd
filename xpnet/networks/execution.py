"""The forward pass, and the results of its steps."""

from collections.abc import Iterator, Sequence
from typing import Any

from xpnet.arrays.cpu.blocked_matmul import affine
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import preprocessed
from xpnet.networks.reproducible import ReproducibleNetwork

__all__ = ["forward", "layer_results"]


def forward(network: Network, x: Any, /) -> Any:
    """Return the outputs of a network: preprocessing, then activation(x @ weight + bias) by layer.

    Parameters
    ----------
    network : Network
    x : array of shape (..., n_in)
        Real numbers, of the network's library and device. They are cast to the dtype of the
        parameters, so raw ``uint8`` pixels need no conversion. If the dtype of `x` has a wider
        range, it is preprocessed in that dtype and cast afterwards; integers of 32 and 64 bits are
        preprocessed in float64 if the device supports it. A Dask array, of blocks of the
        network's library, gives a Dask array with the same chunks along the leading axes.

    Returns
    -------
    array of shape (..., n_out)
        Logits, probabilities or values (see ``network.output``), in the library, device and dtype
        of the parameters.

    Raises
    ------
    TypeError
        If `x` belongs to another library, is complex, or is not an array of numbers.
    ValueError
        If the last axis of `x` is not `n_in` long, or `x` is on another device; for NumPy arrays,
        also if a finite input overflows in the dtype of the parameters, before or after the
        preprocessing (a `reproducible` network gives infinity), or a mean is subtracted from an
        integer beyond 2^53 in size. The values of other arrays, and overflow in the layers, are not
        checked.

    Examples
    --------
    >>> import numpy as np
    >>> import xpnet
    >>> network = xpnet.Network([xpnet.Dense([[1.0], [2.0]], [0.5])])
    >>> forward(network, np.asarray([1, 1]))
    array([3.5])
    """
    return network(x)


def layer_results(
    network: Network, x: Any, xp: Any, parameters: Sequence[tuple[Any, Any]] | None = None
) -> Iterator[tuple[Any, Any]]:
    """Compute the forward pass and yield the input and the result of each step.

    The first pair is the preprocessing: x, and x preprocessed in the network's dtype. A pair for
    each layer follows: x @ weight + bias, and its activation. Pairs (weight, bias) in `parameters`
    are used instead of the network's own. With them, NumPy may overwrite a sum by its activation
    and warn where exp overflows, and the results of a reproducible network are in float64; without,
    they are rounded to the network's dtype, from which the next step does not start.
    """
    if isinstance(network, ReproducibleNetwork):
        for given, y in network.results(x, xp, parameters):
            yield given, network.rounded(y, xp) if parameters is None else y
        return
    y = preprocessed(network.preprocessing, x, network.dtype, xp)
    yield x, y
    if parameters is not None:
        for layer, (weight, bias) in zip(network.layers, parameters, strict=True):
            weighted = affine(weight, bias)(y)
            y = layer.overwrite(weighted)
            yield weighted, y
        return
    for product, activate in (layer.stage for layer in network.layers):
        weighted = product(y)
        y = activate(weighted, xp)
        yield weighted, y
