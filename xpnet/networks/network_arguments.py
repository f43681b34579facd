"""The arguments of a network: their checks, layers from a dictionary of arrays, and the reverse."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from xpnet._typing import Array
from xpnet.arrays.namespace import array_namespace
from xpnet.functions.activations import check_activation
from xpnet.networks.dense import Dense
from xpnet.networks.preprocessing import arrays_of

__all__ = ["check_layers", "checked_classes", "checked_metadata", "layers_from_arrays"]
__all__ += ["named_arrays"]


def check_layers(layers: Sequence[Any]) -> None:
    """Raise an error if a sequence of layers does not make a network; see `xpnet.Network`."""
    if not layers:
        msg = "`layers` must hold at least one layer; got none"
        raise ValueError(msg)
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            msg = f"`layers` must be Dense layers; got {type(layer).__name__} at index {i}"
            raise TypeError(msg)
    array_namespace(*(layer.weight for layer in layers))
    for i, (layer, following) in enumerate(pairwise(layers)):
        if layer.n_out != following.n_in:
            fault = (
                f"layer {i} gives {layer.n_out} values, but layer {i + 1} takes {following.n_in}"
            )
            msg = f"`layers` must fit: {fault}"
            raise ValueError(msg)
        if layer.weight.dtype != following.weight.dtype:
            msg = f"`layers` must have one dtype; got {layer.weight.dtype} in layer {i}"
            msg += f" and {following.weight.dtype} in layer {i + 1}"
            raise TypeError(msg)


def checked_classes(classes: Sequence[Any], n_classes: int) -> tuple[str | int, ...]:
    """Return the names of `n_classes` classes, 0 for a regression; raise unless valid."""
    # NumPy's integers and strings, as returned by numpy.unique, become Python's.
    names = tuple(name.item() if hasattr(name, "item") else name for name in classes)
    if any(type(name) not in {str, int} for name in names):
        msg = f"`classes` must be strings or integers; got {list(names)}"
        raise TypeError(msg)
    "".join(map(str, names)).encode()  # raises UnicodeEncodeError for lone surrogates
    if not n_classes:
        msg = "`classes` must be None for output='values'; a regression has no classes"
        raise ValueError(msg)
    texts = set(map(str, names))  # labels are matched by their text
    if not len(texts) == len(names) == n_classes:
        found = f"{len(names)}, {len(texts)} of them different"
        msg = f"`classes` must be {n_classes} different names, one for each class; got {found}"
        raise ValueError(msg)
    return names


def checked_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return a read-only copy of a mapping of strings to strings; raise TypeError for others."""
    entries: Any = {} if metadata is None else metadata
    pairs = entries.items() if isinstance(entries, Mapping) else [(entries, None)]
    if not all(isinstance(x, str) for pair in pairs for x in pair):
        msg = f"`metadata` must map strings to strings; got {metadata!r}"
        raise TypeError(msg)
    return MappingProxyType(dict(entries))


def layers_from_arrays(
    arrays: Mapping[str, Array | Sequence[Any]], activation: str | Sequence[str] | None
) -> list[Dense]:
    """Return the layers of W1, b1, W2, b2 ...; see `xpnet.Network.from_arrays`."""
    n_layers = max(len(arrays) // 2, 1)
    names = [f"{kind}{i}" for i in range(1, n_layers + 1) for kind in "Wb"]
    if set(names) != set(arrays):
        rule = f"must be named {', '.join(names)} (a weight and a bias for each layer)"
        msg = f"`arrays` {rule}; got {', '.join(sorted(map(str, arrays))) or 'nothing'}"
        raise ValueError(msg)
    if callable(activation):
        check_activation(activation)  # for its error
    if isinstance(activation, str) and n_layers == 1:
        activation = [activation]
    elif activation is None or isinstance(activation, str):
        activation = [activation or "sigmoid"] * (n_layers - 1) + ["identity"]
    if len(activation) != n_layers:
        msg = f"`activation` must name one for each of {n_layers} layers; got {len(activation)}"
        raise ValueError(msg)
    layers = []
    for i, name in enumerate(activation, start=1):
        try:
            layers.append(Dense(arrays[f"W{i}"], arrays[f"b{i}"], name))
        except ValueError as error:
            msg = f"W{i}, b{i}: {error}"
            raise ValueError(msg) from error
    return layers


def named_arrays(network: Any) -> dict[str, Any]:
    """Return the arrays by name, in order: ``layers.0.weight`` ..., ``preprocessing.0.mean`` ..."""
    arrays: dict[str, Any] = {}
    for i, layer in enumerate(network.layers):
        arrays[f"layers.{i}.weight"] = layer.weight
        arrays[f"layers.{i}.bias"] = layer.bias
    for i, step in enumerate(network.preprocessing):
        arrays |= {f"preprocessing.{i}.{name}": x for name, x in arrays_of(step).items()}
    return arrays
