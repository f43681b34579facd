"""Network of a Keras configuration: the layers in order, and the operations of each."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.chain import Activate, Affine, Linear, Part
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["Layer", "chain_of_layers", "layers_of"]

Config = Mapping[str, Any]
# Names of Keras 3, and further names of the same functions. "linear", the last of two, stays so.
_ACTIVATIONS = {row.keras: name for name, row in ACTIVATIONS.items() if row.keras}
_ACTIVATIONS |= {"swish": "silu", "hard_swish": "hard_silu"}
_ACTIVATION_LAYERS = frozenset({"ELU", "LeakyReLU", "ReLU", "Softmax"})
# Layers that leave the values of a row unchanged during inference.
_NEUTRAL = frozenset(
    {"ActivityRegularization", "AlphaDropout", "Dropout", "Flatten", "GaussianDropout"}
    | {"GaussianNoise", "Identity", "InputLayer", "Reshape"}
)
_MODELS = frozenset({"Sequential", "Functional"})
# The modules that Keras writes for its own classes.
_MODULES = frozenset({"keras", "keras.layers", "keras.src.models.functional"})
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
    model: Any, names: tuple[str, ...] = (), keys: tuple[str, ...] = ()
) -> Iterator[Layer]:
    """Yield the layers of a serialized model, nested ones as well; raise if they are no chain."""
    if (model_class := _class_of(model)) not in _MODELS:
        found = quoted(model_class)
        msg = f"a Keras model must be keras.Sequential or a functional keras.Model; got {found}"
        raise TypeError(msg)
    config = _entry(model, "config", dict)
    previous: list[str] = []
    is_graph = model_class != "Sequential"
    counts: Counter[str] = Counter()
    for entry in _entry(config, "layers", list):
        kind, options = _class_of(entry), _entry(entry, "config", dict)
        name = _entry(options, "name", str)
        # Keras lists the layers of a graph in the order of computation.
        if is_graph and list(_references(entry.get("inbound_nodes"))) != previous:
            msg = f"layers must be a chain; {quoted(name)} is in a branch, used twice, or training"
            raise ValueError(msg)
        previous = [name]
        snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind))
        key = snake.lower() + (f"_{counts[kind]}" if counts[kind] else "")
        counts[kind] += 1
        if kind in _MODELS:
            yield from layers_of(entry, (*names, name), (*keys, key))
        else:
            yield Layer(kind, options, (*names, name), (*keys, key))
    outputs = list(_references(config.get("output_layers"))) if is_graph else previous
    if outputs != previous:
        msg = f"the model must have one output, that of its last layer; got {', '.join(outputs)}"
        raise ValueError(msg)


def _entry(config: Any, name: str, *types: type) -> Any:
    """Return an entry of a configuration; raise TypeError unless it is of one of the types."""
    value = config.get(name) if isinstance(config, Mapping) else None
    if not isinstance(value, types):
        msg = f"{name!r} of a layer must be a {types[0].__name__}; got {type(value).__name__}"
        raise TypeError(msg)
    return value


def _class_of(config: Any) -> str:
    """Return the class of a serialized object, with the module unless it is Keras' own."""
    kind = str(_entry(config, "class_name", str))
    module, registered = (_entry(config, x, str, NoneType) for x in ("module", "registered_name"))
    if module in _MODULES and registered in {None, kind}:
        return kind
    return f"{module or 'custom'}.{registered or kind}"


def _references(value: Any) -> Iterator[str]:
    """Yield the names of layers in nested lists such as ["dense", 0, 0], or arguments of calls."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        yield value[0]
    elif isinstance(value, Mapping) and "keras_history" in value:
        yield from _references(value["keras_history"])
    elif isinstance(value, Mapping | list):
        for x in value.values() if isinstance(value, Mapping) else value:
            yield from _references(x)
    elif value == 1:  # an argument such as training=True, which changes what a layer computes
        yield "training"


def chain_of_layers(
    layers: Iterable[Layer], arrays_of: Callable[[Layer], list[NDArray[Any]]]
) -> Iterator[tuple[str, Part]]:
    """Yield the operations of layers, each with its position.

    Raise TypeError, with its name, for a layer of another kind, and ValueError for options that
    xpnet's function lacks, or for operations on parts of a row, such as one softmax per digit.
    """
    is_flat = False  # whether rows have one axis
    for layer in layers:
        if layer.kind in _NEUTRAL:
            is_flat = _is_flat_after(layer, is_flat=is_flat)
            continue
        if layer.kind not in _OPERATIONS:
            known = ", ".join(sorted({*_NEUTRAL, *_OPERATIONS}))
            msg = f"Keras layers must be of {known}; got {layer.where}"
            raise TypeError(msg)
        for part in _OPERATIONS[layer.kind](layer, arrays_of(layer)):
            if not is_flat and not _is_elementwise(part):
                msg = f"{layer.where} must get rows of one axis, as after Flatten; got several axes"
                raise ValueError(msg)
            yield layer.where, part
    if not is_flat:
        msg = "the outputs of a Keras model must have one axis, as after Flatten; got several axes"
        raise ValueError(msg)


def _is_flat_after(layer: Layer, *, is_flat: bool) -> bool:
    """Return whether rows have one axis after a neutral layer, and before it if `is_flat`."""
    if layer.kind == "InputLayer":
        return len(_entry(layer.config, "batch_shape", list)[1:]) == 1
    if layer.kind == "Reshape":
        return len(_entry(layer.config, "target_shape", list)) == 1
    if layer.kind == "Flatten" and not is_flat:
        _check_option(layer, "data_format", "channels_last", None)
    return is_flat or layer.kind == "Flatten"


def _is_elementwise(part: Part) -> bool:
    if isinstance(part, Activate):
        return ACTIVATIONS[part.name].is_elementwise
    return isinstance(part, Affine) and np.ndim(part.factor) == np.ndim(part.shift) == 0


def _activation(layer: Layer, activation: Any) -> list[Part]:
    """Return the activation of a name, or of a serialized layer or function."""
    name = "linear" if activation is None else str(activation)
    if isinstance(activation, Mapping) and "class_name" in activation:
        if (kind := _class_of(activation)) in _ACTIVATION_LAYERS:
            options = _entry(activation, "config", dict)
            return _OPERATIONS[kind](Layer(kind, options, layer.names, layer.keys), [])
        name = f"{kind} {activation.get('config')}"  # such as a function of the user's
    if name not in _ACTIVATIONS:
        msg = f"{layer.where} must have an activation of Keras and xpnet; got {quoted(name)}"
        raise ValueError(msg)
    found = _ACTIVATIONS[name]
    return [Activate(found, ACTIVATIONS[found].keras_defaults)]


def _dense(layer: Layer, arrays: list[NDArray[Any]]) -> list[Part]:
    has_bias = _entry(layer.config, "use_bias", bool)
    _check_count(layer, arrays, 1 + has_bias)
    units = layer.config.get("units")
    if arrays[0].shape[1:] != (units,):
        msg = f"{layer.where} must have a kernel of {units} columns; got {arrays[0].shape}"
        raise ValueError(msg)
    linear = Linear(arrays[0], arrays[1] if has_bias else None)
    return [linear, *_activation(layer, layer.config.get("activation"))]


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
    if slope := _entry(layer.config, "negative_slope", float, int, NoneType):
        _check_option(layer, "max_value", None)
        return [Activate("leaky_relu", {"negative_slope": slope})]
    _check_option(layer, "max_value", None, 6)
    return [Activate("relu" if layer.config.get("max_value") is None else "relu6")]


def _softmax(layer: Layer, _: Any) -> list[Part]:
    _check_option(layer, "axis", -1, 1, [-1], [1])
    return [Activate("softmax")]


def _batch_normalization(layer: Layer, arrays: list[NDArray[Any]]) -> list[Part]:
    _check_option(layer, "axis", -1, 1, [-1], [1])
    has_scale, has_center = (_entry(layer.config, x, bool) for x in ("scale", "center"))
    _check_count(layer, arrays, 2 + has_scale + has_center)
    mean, variance = arrays[-2:]
    gamma = arrays[0] if has_scale else 1.0
    beta = arrays[has_scale] if has_center else 0.0
    epsilon = _entry(layer.config, "epsilon", float, int)
    return [Affine.normalization(mean, variance, epsilon, gamma, beta)]


def _normalization(layer: Layer, arrays: list[NDArray[Any]]) -> list[Part]:
    _check_option(layer, "invert", *(False, None))
    given = [layer.config.get(name) for name in ("mean", "variance")]
    numbers = arrays[:2] if given[0] is None else given
    mean, variance = (np.squeeze(np.asarray(x, np.float64)) for x in numbers)
    if mean.ndim:
        _check_option(layer, "axis", -1, 1, [-1], [1])
    deviation = np.maximum(np.sqrt(variance), _MIN_DEVIATION)
    return [Affine(1.0, -mean), Affine(1.0 / deviation)]


def _rescaling(layer: Layer, _: Any) -> list[Part]:
    numbers = (_entry(layer.config, name, float, int, list) for name in ("scale", "offset"))
    return [Affine(*(np.asarray(x, np.float64) for x in numbers))]


def _with(activation: str, option: str) -> Callable[[Layer, Any], list[Part]]:
    """Return the operation of a layer that is an activation with one option."""
    return lambda layer, _: [Activate(activation, {option: layer.config.get(option)})]


_OPERATIONS: dict[str, Callable[[Layer, list[NDArray[Any]]], list[Part]]] = {
    "Activation": lambda layer, _: _activation(layer, layer.config.get("activation")),
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "ELU": _with("elu", "alpha"),
    "LeakyReLU": _with("leaky_relu", "negative_slope"),
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Softmax": _softmax,
}
