"""Conversion from Keras: chains of Dense layers and activations."""

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.chain import check_outputs, network_of_chain
from xpnet.formats.keras.layers import Layer, chain_of_layers, layers_of
from xpnet.networks.network import Network

__all__ = ["from_keras"]


def from_keras(model: Any, /) -> Network:
    """Return the network of a Keras model, on the host.

    Parameters
    ----------
    model : keras.Sequential or functional keras.Model
        A chain of Keras' own Dense layers and activations on whole rows, in nested models as well.
        Flatten, Reshape, noise and Dropout are skipped; BatchNormalization is folded into a
        neighbouring layer; Rescaling and Normalization at the start become preprocessing.

    Returns
    -------
    Network
        In the dtype of the weights, with ``output="probabilities"`` if the last activation is a
        softmax, or the sigmoid of one unit. It takes the model's inputs: for raw bytes and a model
        of pixels in 0..1, add the step ``xpnet.Scale(1 / 255)``. Nothing warns without it, unless
        the model normalizes pixels in 0..1.

    Raises
    ------
    TypeError
        If `model` or a layer is of another class, or of the user's; the message names it.
    ValueError
        If the layers are not a chain on whole rows, or have options that xpnet's functions lack; a
        parameter is NaN or infinite; or the network differs from the model on random rows.

    Examples
    --------
    >>> from_keras(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))  # doctest: +SKIP
    Network(4 -> 2 identity; logits; float32, numpy)
    """
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if not re.fullmatch(r"keras\..*\.(Sequential|Functional)", kind):
        msg = f"`model` must be a keras.Sequential or a functional keras.Model; got {kind}"
        raise TypeError(msg)
    if not model.built:
        msg = "`model` must be built, with keras.Input as its first layer; got one without weights"
        raise ValueError(msg)

    def arrays_of(layer: Layer) -> list[NDArray[Any]]:
        part = model
        for name in layer.names:
            part = part.get_layer(name)
        return list(part.get_weights())

    network = network_of_chain(chain_of_layers(layers_of(json.loads(model.to_json())), arrays_of))

    def outputs(x: NDArray[Any]) -> NDArray[Any]:
        rows = x.reshape(len(x), *model.input_shape[1:])
        return np.asarray(to_numpy(model(rows, training=False)))

    epsilon = 2.0**-7 if model.compute_dtype == "bfloat16" else np.finfo(model.compute_dtype).eps
    check_outputs(network, outputs, epsilon=float(epsilon))
    return network
