"""Conversion from Keras: models of Dense layers and activations, in memory."""

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.chain import Activate, Affine, Linear, Part, network_of_chain
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.network import Network

__all__ = ["from_keras"]

_ACTIVATIONS = {row.keras: name for name, row in ACTIVATIONS.items() if row.keras}
# Layers that leave the values of a row unchanged during inference.
_NEUTRAL = frozenset(
    {"ActivityRegularization", "AlphaDropout", "Dropout", "Flatten", "GaussianDropout"}
    | {"GaussianNoise", "Identity", "InputLayer", "Reshape"}
)
# Of float32 for float64 as well, since some functions of Keras compute in float32 there.
_EPSILON, _EPSILONS = 2.0**-23, {"bfloat16": 2.0**-7, "float16": 2.0**-10}


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
    if not _is_model(model):
        found = _full_name(model)
        msg = f"`model` must be a keras.Sequential or a functional keras.Model; got {found}"
        raise TypeError(msg)
    if not model.built or len(model.inputs) != 1 or len(model.outputs) != 1:
        msg = "`model` must be built, with one input, such as keras.Input, and one output"
        raise ValueError(msg)
    shape = model.inputs[0].shape[1:]

    def outputs(x: NDArray[Any]) -> NDArray[Any]:
        return _to_numpy(model(x.reshape(len(x), *shape), training=False))

    with warnings.catch_warnings(action="ignore"):
        chain = list(_chain(model))
        epsilon = max(_EPSILONS.get(layer.compute_dtype, _EPSILON) for layer in _layers(model))
        return network_of_chain(chain, outputs, epsilon=epsilon)


def _full_name(x: Any) -> str:
    """Return the name of a function, or of the class of an object, with its module."""
    named = x if hasattr(x, "__name__") else type(x)
    return f"{named.__module__}.{named.__name__}"


def _is_model(x: Any) -> bool:
    """Return whether an object is of one of Keras' own two classes of models."""
    kind = type(x)
    return kind.__name__ in {"Functional", "Sequential"} and kind.__module__.startswith("keras.")


def _kind(x: Any) -> str:
    """Return the name of the class of one of Keras' own layers, "" for other objects."""
    name = type(x).__name__
    return name if getattr(sys.modules["keras"].layers, name, None) is type(x) else ""


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and of the models in it, in the order of computation."""
    for layer in getattr(model, "operations", model.layers):
        yield from _layers(layer) if _is_model(layer) else (layer,)


def _chain(model: Any) -> Iterator[tuple[str, Part]]:
    for layer in _layers(model):
        kind = _kind(layer)
        if kind not in {*_OPERATIONS, *_NEUTRAL}:
            known = ", ".join(sorted({*_NEUTRAL, *_OPERATIONS}))
            msg = f"layers must be Keras' own {known}; got {_full_name(layer)} {layer.name!r}"
            raise TypeError(msg)
        for part in _OPERATIONS[kind](layer) if kind in _OPERATIONS else ():
            yield f"{kind} {layer.name!r}", part


def _to_numpy(x: Any) -> NDArray[Any]:
    """Return a tensor or variable of Keras' backend; bfloat16 becomes float32."""
    found = np.asarray(sys.modules["keras"].ops.convert_to_numpy(x))
    return found.astype(np.float32) if found.dtype.name == "bfloat16" else found


def _activation(layer: Any) -> list[Part]:
    """Return the activation of a layer: a function, or a layer such as ``LeakyReLU(0.1)``."""
    function = layer.activation
    if (kind := _kind(function)) in _OPERATIONS:
        return _OPERATIONS[kind](function)
    own = sys.modules["keras"].activations
    for name, found in _ACTIVATIONS.items():
        if function is getattr(own, name, ""):
            return [Activate(found, ACTIVATIONS[found].keras_defaults)]
    msg = f"{layer.name!r} must have an activation of Keras and xpnet; got {_full_name(function)}"
    raise ValueError(msg)


def _dense(layer: Any) -> list[Part]:
    bias = None if layer.bias is None else _to_numpy(layer.bias)
    return [Linear(_to_numpy(layer.kernel), bias), *_activation(layer)]


def _relu(layer: Any) -> list[Part]:
    slope, options = float(layer.negative_slope), (layer.max_value, float(layer.threshold))
    if slope and options == (None, 0.0):
        return [Activate("leaky_relu", {"negative_slope": slope})]
    if not slope and options in {(None, 0.0), (6.0, 0.0)}:
        return [Activate("relu" if layer.max_value is None else "relu6")]
    msg = f"{layer.name!r} must have max_value None or 6, and threshold 0; got another ReLU"
    raise ValueError(msg)


def _batch_normalization(layer: Any) -> list[Part]:
    gamma = 1.0 if layer.gamma is None else _to_numpy(layer.gamma)
    beta = 0.0 if layer.beta is None else _to_numpy(layer.beta)
    mean, variance = _to_numpy(layer.moving_mean), _to_numpy(layer.moving_variance)
    return [Affine.normalization(mean, variance, layer.epsilon, gamma, beta)]


def _normalization(layer: Any) -> list[Part]:
    mean, variance = (_to_numpy(x).astype(np.float64) for x in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), sys.modules["keras"].config.epsilon())
    return [Affine(1.0, -mean), Affine(1.0 / deviation)]


_OPERATIONS: dict[str, Callable[[Any], list[Part]]] = {
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "ELU": lambda x: [Activate("elu", {"alpha": float(x.alpha)})],
    "LeakyReLU": lambda x: [Activate("leaky_relu", {"negative_slope": float(x.negative_slope)})],
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": lambda x: [Affine(x.scale, x.offset)],
    "Softmax": lambda _: [Activate("softmax")],
}
