"""Inference of layers from named arrays without a description, such as a ``state_dict``.

Known names are the book's (W1, b1, W2 ...) and those that end in weight or kernel and in bias,
such as torch's (0.weight, fc1.bias). Numbers in the names determine the order of the layers;
without numbers, the shapes must permit exactly one order. Biases distinguish the outputs of a
weight from its inputs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.model_file import LoadOptions, WeightLayout
from xpnet.networks.dense import Dense, output_of
from xpnet.networks.network import Network

__all__ = ["infer_network"]

_KINDS = {"weight": "weight", "kernel": "weight", "W": "weight", "w": "weight"}
_KINDS |= {"bias": "bias", "b": "bias"}
_NAME = re.compile(
    r"(?P<before>.*?)(?P<kind>weight|kernel|bias|[Wwb])(?P<after>\d*(:0)?)", re.DOTALL
)
_NUMBER = re.compile(r"\d{1,9}")
# A Sequential in a Sequential: 0.weight comes before 1.0.weight, which comes before 2.weight.
_NUMBERS = re.compile(r"\d+(\.\d+)*")
# As torch and Keras name arrays and layers.
_BATCH_NORM = re.compile("running_mean|moving_mean|batch_normalization")
# Limits of the search for an order.
_MAX_STATES, _MAX_GROUPS = 10_000, 200


@dataclass(frozen=True)
class _Layer:
    """A weight and a bias whose names differ only in the kind."""

    weight_name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None

    @cached_property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """The name without its numbers, and the numbers."""
        numbers = tuple(int(number) for number in _NUMBER.findall(self.weight_name))
        return _NUMBERS.sub("#", self.weight_name), numbers

    @property
    def has_book_name(self) -> bool:
        return re.fullmatch(r"W\d+", self.weight_name) is not None

    def oriented(self, layout: WeightLayout) -> NDArray[Any]:
        """Return the weight in the shape (n_in, n_out)."""
        return self.weight if layout == "in_out" else self.weight.T


def infer_network(
    arrays: Mapping[str, NDArray[Any]], options: LoadOptions
) -> tuple[Network, tuple[str, ...]]:
    """Return the network of named arrays of one dtype, and one sentence per inferred fact.

    Raise ValueError if the arrays are not a network of fully connected layers, or are ambiguous.
    """
    layers, notes = _pair_arrays(arrays)
    _check_book_numbers(layers)
    layout, activation = _infer_layout(layers, options.layout), options.activation
    if layout == "out_in":
        notes.append("weights of shape (n_out, n_in) are transposed")
    ordered = _infer_order(layers, layout)
    if [layer.key for layer in ordered] != sorted(layer.key for layer in ordered):
        names = ", ".join(layer.weight_name for layer in ordered)
        notes.append(f"the shapes permit only one order of the layers: {names}")
    if activation is None:
        if not all(layer.has_book_name for layer in layers):
            msg = (
                "the file does not contain the activations; give them, for example"
                " activation='relu' (--activation relu) for the hidden layers, or one per layer"
            )
            raise ValueError(msg)
        activation = "sigmoid"
        notes.append("the book's names mean sigmoid if no activation is given")
    dense = []
    for layer, name in zip(ordered, _activation_names(activation, len(ordered)), strict=True):
        weight = layer.oriented(layout)
        bias = np.zeros(weight.shape[1], weight.dtype) if layer.bias is None else layer.bias
        dense.append(Dense(weight, bias, name))
    return Network(dense, output=output_of(dense)), tuple(notes)


def _pair_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[list[_Layer], list[str]]:
    """Return weights with their biases, and one sentence per inferred fact."""
    _check_no_batch_norm(arrays)
    pairs: dict[tuple[str, str], dict[str, str]] = {}
    has_paths = any("." in name or "/" in name for name in arrays)
    for name in arrays:
        match = _NAME.fullmatch(name)
        if match is None:
            raise _foreign_array(arrays, name)
        if has_paths and match["before"][-1:] not in "./":
            # A path ends in the whole name of an array: in_proj_weight belongs to no layer.
            msg = f"{name} is not the weight or bias of a fully connected layer, such as fc1.weight"
            raise ValueError(msg)
        pair = pairs.setdefault((match["before"], match["after"]), {})
        if pair.setdefault(_KINDS[match["kind"]], name) != name:
            raise _foreign_array(arrays, name)
    if not pairs:
        msg = "no weights, such as W1 and b1, or 0.weight and 0.bias"
        raise ValueError(msg)
    layers = [_pair_layer(arrays, pair) for pair in pairs.values()]
    notes = []
    without_bias = [layer.weight_name for layer in layers if layer.bias is None]
    if len(without_bias) == len(layers) and not layers[0].has_book_name:
        notes.append("no layer has a bias: all are zero")
    elif without_bias:
        msg = f"no bias for the weight {without_bias[0]}; found {', '.join(sorted(arrays))}"
        raise ValueError(msg)
    n_flat = sum(arrays[pair["bias"]].ndim > 1 for pair in pairs.values() if "bias" in pair)
    if n_flat:
        notes.append(f"biases of two dimensions are flattened: {n_flat}")
    return layers, notes


def _check_no_batch_norm(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise if arrays belong to BatchNorm, whose epsilon is not among them."""
    for name in arrays:
        if found := _BATCH_NORM.search(name):
            is_torch = found[0] == "running_mean"
            whole = "from the module: xpnet.from_torch(module)"
            whole = whole if is_torch else "from the whole model: model.save('model.keras')"
            msg = f"BatchNorm cannot be read from weights alone, only {whole}; found {name}"
            raise ValueError(msg)


def _pair_layer(arrays: Mapping[str, NDArray[Any]], pair: Mapping[str, str]) -> _Layer:
    if "weight" not in pair:
        msg = f"no weight for the bias {pair['bias']}; found {', '.join(sorted(arrays))}"
        raise ValueError(msg)
    weight = arrays[pair["weight"]]
    if weight.ndim != 2 or 0 in weight.shape:
        raise _foreign_array(arrays, pair["weight"])
    if "bias" not in pair:
        return _Layer(pair["weight"], weight, None)
    bias = arrays[pair["bias"]]
    # A single row or column is unambiguous.
    flat = bias.reshape(-1) if bias.ndim == 2 and 1 in bias.shape else bias
    if flat.ndim != 1 or flat.size not in weight.shape:
        rule = f"must have the shape (n_out,) for the weight {weight.shape}"
        msg = f"{pair['bias']} {rule}; got {bias.shape}"
        raise ValueError(msg)
    return _Layer(pair["weight"], weight, flat)


def _foreign_array(arrays: Mapping[str, NDArray[Any]], name: str) -> ValueError:
    found = f"{name} has the shape {arrays[name].shape}; found {', '.join(sorted(arrays))}"
    return ValueError(f"not a network of fully connected layers: {found}")


def _check_book_numbers(layers: Sequence[_Layer]) -> None:
    """Raise if the book's numbers have a gap. torch also counts modules without parameters."""
    numbers = sorted(layer.key[1] for layer in layers if layer.has_book_name)
    expected = [(i,) for i in range(1, len(layers) + 1)]
    if numbers and numbers != expected and numbers != [(i - 1,) for (i,) in expected]:
        found = ", ".join(sorted(layer.weight_name for layer in layers))
        msg = f"the weights must be W1 to W{len(layers)}, without a gap; found {found}"
        raise ValueError(msg)


def _infer_layout(layers: Sequence[_Layer], given: WeightLayout | None) -> WeightLayout:
    """Return the layout that the biases determine, or else the given one."""
    shapes = ", ".join(f"{layer.weight_name} {layer.weight.shape}" for layer in layers)
    votes: set[WeightLayout] = set()
    for layer in layers:
        if layer.bias is not None and layer.weight.shape[0] != layer.weight.shape[1]:
            votes.add("in_out" if layer.bias.size == layer.weight.shape[1] else "out_in")
    if len(votes) > 1:
        msg = f"some weights are (n_in, n_out), others (n_out, n_in): {shapes}"
        raise ValueError(msg)
    inferred = next(iter(votes), None)
    layout = given or inferred
    if layout is None:
        msg = (
            f"the biases do not determine the layout of the weights: {shapes}; give"
            " layout='out_in' (--layout out_in), as in torch, or 'in_out'"
        )
        raise ValueError(msg)
    if inferred not in {None, layout}:
        msg = f"layout must be {inferred} for the weights {shapes}; got {given}"
        raise ValueError(msg)
    return layout


def _infer_order(layers: Sequence[_Layer], layout: WeightLayout) -> list[_Layer]:
    """Return the only order in which each layer takes as many values as the previous one gives."""
    found = list(islice(_possible_orders(layers, layout), 2))
    if len(found) > 1:
        names = " or ".join(", ".join(layer.weight_name for layer in order) for order in found)
        msg = f"the names permit several orders of the layers: {names}; number them"
        raise ValueError(msg)
    if not found:
        shapes = ", ".join(f"{layer.weight_name} {layer.weight.shape}" for layer in layers)
        msg = f"the layers do not fit in the order of their numbers: {shapes}"
        raise ValueError(msg)
    return found[0]


def _possible_orders(layers: Sequence[_Layer], layout: WeightLayout) -> Iterator[list[_Layer]]:
    """Yield the orders in which the widths fit, and numbers in similar names increase."""
    ambiguous = ValueError("the names permit several orders of the layers; number them")
    queues: dict[str, list[_Layer]] = {}
    for layer in sorted(layers, key=lambda layer: layer.key):
        queues.setdefault(layer.key[0], []).append(layer)
    groups = list(queues.values())
    if len(groups) > _MAX_GROUPS or len({layer.key for layer in layers}) < len(layers):
        raise ambiguous
    n_states = 0
    # Depth first; a state is the number of placed layers per group, and their order.
    stack: list[tuple[tuple[int, ...], list[_Layer]]] = [((0,) * len(groups), [])]
    while stack:
        placed, order = stack.pop()
        if len(order) == len(layers):
            yield order
        for i, group in enumerate(groups):
            if placed[i] == len(group):
                continue
            layer = group[placed[i]]
            n_in = layer.oriented(layout).shape[0]
            if not order or order[-1].oriented(layout).shape[1] == n_in:
                after = (*placed[:i], placed[i] + 1, *placed[i + 1 :])
                stack.append((after, [*order, layer]))
                n_states += 1
                if n_states > _MAX_STATES:
                    raise ambiguous


def _activation_names(activation: str | Sequence[str], n_layers: int) -> Sequence[str]:
    if isinstance(activation, str):
        activation = [activation] * (n_layers - 1) + ["identity"]
    if len(activation) != n_layers:
        msg = f"`activation` must have {n_layers} names, one per layer; got {len(activation)}"
        raise ValueError(msg)
    return activation
