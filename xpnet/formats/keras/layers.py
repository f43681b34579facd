"""Network of a Keras configuration: the layers in order, and the operations of each."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.chain import Activate, Affine, Linear, Part
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["Layer", "chain_of_layers", "layers_of"]

Config = Mapping[str, Any]
# Names of Keras 3 that differ from xpnet's, and options whose default differs.
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
_DEFAULTS: dict[str, dict[str, Any]] = {"leaky_relu": {"negative_slope": 0.2}}
# Keras has other functions of these names: the results of its sparsemax do not add up to 1.
_OTHERS = frozenset({"sparsemax", "threshold"})
# Layers that leave the values of a row unchanged during inference.
_NEUTRAL = frozenset(
    {"ActivityRegularization", "AlphaDropout", "Dropout", "Flatten", "GaussianDropout"}
    | {"GaussianNoise", "Identity", "InputLayer", "Reshape"}
)
_MODELS = ("Sequential", "Functional", "Model")
# Keras' Normalization divides by at least this number.
_MIN_DEVIATION = 1e-7


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer that is no model: its class, its options, and where its arrays are."""

    kind: str
    config: Config
    names: tuple[str, ...]  # of the models around it, and its own
    keys: tuple[str, ...]  # likewise in a file, where Keras counts the layers of each class

    @property
    def where(self) -> str:
        """The layer in error messages."""
        return f"{self.kind} {quoted('/'.join(self.names))}"


def layers_of(
    model: Config, names: tuple[str, ...] = (), keys: tuple[str, ...] = ()
) -> Iterator[Layer]:
    """Yield the layers of a serialized model, nested ones as well; raise if they are no chain."""
    if model["class_name"] not in _MODELS:
        kind = quoted(model.get("registered_name") or model["class_name"])
        msg = f"a Keras model must be keras.Sequential or a functional keras.Model; got {kind}"
        raise TypeError(msg)
    config = model["config"]
    previous: list[str] = []
    is_graph = model["class_name"] != "Sequential"
    counts: Counter[str] = Counter()
    for entry in config["layers"]:
        kind, name = entry["class_name"], entry["config"]["name"]
        # Keras lists the layers of a graph in the order of computation.
        if is_graph and list(_references(entry["inbound_nodes"])) != previous:
            msg = f"layers must be a chain; {quoted(name)} is part of a branch, or used twice"
            raise ValueError(msg)
        previous = [name]
        snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind))
        key = snake.lower() + (f"_{counts[kind]}" if counts[kind] else "")
        counts[kind] += 1
        if ">" in (entry.get("registered_name") or ""):
            kind = entry["registered_name"]  # a class of the user's
        if kind in _MODELS:
            yield from layers_of(entry, (*names, name), (*keys, key))
        else:
            yield Layer(kind, entry["config"], (*names, name), (*keys, key))
    outputs = list(_references(config["output_layers"])) if is_graph else previous
    if outputs != previous:
        msg = f"the model must have one output, that of its last layer; got {', '.join(outputs)}"
        raise ValueError(msg)


def _references(value: Any) -> Iterator[str]:
    """Yield the names of layers in nested lists such as ["dense", 0, 0], or arguments of calls."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        yield value[0]
    elif isinstance(value, Mapping) and "keras_history" in value:
        yield value["keras_history"][0]
    elif isinstance(value, Mapping | list):
        for x in value.values() if isinstance(value, Mapping) else value:
            yield from _references(x)


def chain_of_layers(
    layers: Iterable[Layer], arrays_of: Callable[[Layer], list[NDArray[Any]]]
) -> Iterator[tuple[str, Part]]:
    """Yield the operations of layers, each with its position.

    Raise TypeError, with its name, for a layer of another kind, and ValueError for options that
    xpnet's function lacks.
    """
    for layer in layers:
        if layer.kind in _NEUTRAL and layer.config.get("data_format") != "channels_first":
            continue
        if layer.kind not in _OPERATIONS:
            known = ", ".join(sorted({*_NEUTRAL, *_OPERATIONS}))
            msg = f"Keras layers must be of {known}; got {layer.where}"
            raise TypeError(msg)
        for part in _OPERATIONS[layer.kind](layer, arrays_of(layer)):
            yield layer.where, part


def _activation(layer: Layer, activation: Any) -> Activate:
    """Return the activation of a name, or of a serialized layer or function."""
    if isinstance(activation, Mapping):
        kind, config = activation["class_name"], activation["config"]
        if kind in _OPERATIONS and kind not in {"Dense", "Activation"}:
            inner = Layer(kind, config, (*layer.names, str(config["name"])), layer.keys)
            (part,) = _OPERATIONS[kind](inner, [])
            if isinstance(part, Activate):
                return part
        activation = config if isinstance(config, str) else kind
    name = _ALIASES.get(activation, activation)
    if name in _OTHERS or name not in ACTIVATIONS:
        msg = f"{layer.where} must have an activation of xpnet; got {quoted(str(name))}"
        raise ValueError(msg)
    return Activate(name, _DEFAULTS.get(name, {}))


def _dense(layer: Layer, arrays: list[NDArray[Any]]) -> list[Part]:
    has_bias = layer.config["use_bias"]
    _check_count(layer, arrays, 1 + has_bias)
    if arrays[0].ndim != 2:
        msg = f"{layer.where} must have a kernel of two axes; got the shape {arrays[0].shape}"
        raise ValueError(msg)
    last = _activation(layer, layer.config["activation"] or "linear")
    return [Linear(arrays[0], arrays[1] if has_bias else None), last]


def _check_count(layer: Layer, arrays: list[NDArray[Any]], count: int) -> None:
    if len(arrays) != count:
        msg = f"{layer.where} must have {count} arrays; got {len(arrays)}"
        raise ValueError(msg)


def _check_option(layer: Layer, name: str, *values: Any) -> None:
    """Raise ValueError unless an option has one of the values that xpnet's function has."""
    if layer.config.get(name) not in values:
        msg = f"{layer.where} must have {name}={values[0]}; got {layer.config.get(name)}"
        raise ValueError(msg)


def _relu(layer: Layer, _: Any) -> list[Part]:
    _check_option(layer, "threshold", 0, None)
    top, slope = layer.config.get("max_value"), layer.config.get("negative_slope")
    if slope:
        _check_option(layer, "max_value", None)
        return [Activate("leaky_relu", {"negative_slope": slope})]
    _check_option(layer, "max_value", None, 6)
    return [Activate("relu" if top is None else "relu6")]


def _softmax(layer: Layer, _: Any) -> list[Part]:
    _check_option(layer, "axis", -1, 1, [-1], [1])
    return [Activate("softmax")]


def _batch_normalization(layer: Layer, arrays: list[NDArray[Any]]) -> list[Part]:
    _check_option(layer, "axis", -1, 1, [-1], [1])
    has_scale, has_center = layer.config["scale"], layer.config["center"]
    _check_count(layer, arrays, 2 + has_scale + has_center)
    mean, variance = arrays[-2:]
    gamma = arrays[0] if has_scale else 1.0
    beta = arrays[has_scale] if has_center else 0.0
    return [Affine.normalization(mean, variance, layer.config["epsilon"], gamma, beta)]


def _normalization(layer: Layer, arrays: list[NDArray[Any]]) -> list[Part]:
    _check_option(layer, "invert", *(False, None))
    given = [layer.config.get(name) for name in ("mean", "variance")]
    numbers = arrays[:2] if given[0] is None else given
    mean, variance = (np.squeeze(np.asarray(x, np.float64)) for x in numbers)
    deviation = np.maximum(np.sqrt(variance), _MIN_DEVIATION)
    return [Affine(1.0, -mean), Affine(1.0 / deviation)]


def _rescaling(layer: Layer, _: Any) -> list[Part]:
    numbers = (np.asarray(layer.config[name], np.float64) for name in ("scale", "offset"))
    return [Affine(*numbers)]


def _with(activation: str, option: str) -> Callable[[Layer, Any], list[Part]]:
    """Return the operation of a layer that is an activation with one option."""
    return lambda layer, _: [Activate(activation, {option: layer.config[option]})]


_OPERATIONS: dict[str, Callable[[Layer, list[NDArray[Any]]], list[Part]]] = {
    "Activation": lambda layer, _: [_activation(layer, layer.config["activation"])],
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "ELU": _with("elu", "alpha"),
    "LeakyReLU": _with("leaky_relu", "negative_slope"),
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Softmax": _softmax,
}
