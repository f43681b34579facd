"""Networks out of arrays that have names and no description: which layer, which way round.

Known names are the book's (W1, b1, W2 ...), and those that end in weight or kernel and in bias,
as torch's (0.weight, fc1.bias). Numbers in names give the order; where there are none, the
shapes must leave one order only. Biases tell the outputs of a weight from its inputs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.load_options import Layout
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, output_of

__all__ = ["network_of_names"]

_KINDS = {"weight": "weight", "kernel": "weight", "W": "weight", "w": "weight"}
_KINDS |= {"bias": "bias", "b": "bias"}
_NAME = re.compile(
    r"(?P<before>.*?)(?P<kind>weight|kernel|bias|[Wwb])(?P<after>\d*(:0)?)", re.DOTALL
)
_NUMBER = re.compile(r"\d{1,9}")
# As of a Sequential in a Sequential: 0.weight comes before 1.0.weight, and this before 2.weight.
_NUMBERS = re.compile(r"\d+(\.\d+)*")
# So many places are tried, to find an order, and no more; of so many kinds of names.
_MOST_STATES, _MOST_GROUPS = 10_000, 200


@dataclass(frozen=True)
class _Layer:
    """A weight and a bias whose names differ in the kind alone."""

    weight_name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None

    @cached_property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """What the name is without its numbers, and these."""
        numbers = tuple(int(number) for number in _NUMBER.findall(self.weight_name))
        return _NUMBERS.sub("#", self.weight_name), numbers

    @property
    def is_of_the_book(self) -> bool:
        return re.fullmatch(r"W\d+", self.weight_name) is not None


def network_of_names(
    arrays: Mapping[str, NDArray[Any]],
    *,
    activation: str | Sequence[str] | None = None,
    layout: Layout | None = None,
) -> tuple[Network, tuple[str, ...]]:
    """Return a network of arrays by name, and in sentences what was made out of them.

    Parameters
    ----------
    arrays : mapping of str to array
        All of one dtype.
    activation : str or sequence of str, optional
        Of the hidden layers (the last one is the identity), or one for each layer. The book's
        names mean sigmoid where it is not given.
    layout : {"in_out", "out_in"}, optional
        Whether weights are of shape (n_in, n_out) or (n_out, n_in), where biases do not tell.

    Raises
    ------
    ValueError
        If the arrays are no such network, or the names and shapes leave open which.
    """
    layers, notes = _paired(arrays)
    _check_numbers(layers)
    layout = _layout_of(layers, layout)
    if layout == "out_in":
        notes.append("weights of shape (n_out, n_in) are transposed")
    ordered = _in_order(layers, layout)
    if [layer.key for layer in ordered] != sorted(layer.key for layer in ordered):
        names = ", ".join(layer.weight_name for layer in ordered)
        notes.append(f"the shapes leave one order of the layers only: {names}")
    if activation is None:
        if not all(layer.is_of_the_book for layer in layers):
            msg = (
                "the file does not tell the activations; give them, for example activation='relu'"
                " (--activation relu) for the hidden layers, or one for each layer"
            )
            raise ValueError(msg)
        activation = "sigmoid"
        notes.append("the book's names mean sigmoid, where no activation is given")
    activations = _activations(activation, len(ordered))
    dense = [
        Dense(_oriented(layer, layout), _bias(layer, layout), name)
        for layer, name in zip(ordered, activations, strict=True)
    ]
    return Network(dense, output=output_of(dense)), tuple(notes)


def _paired(arrays: Mapping[str, NDArray[Any]]) -> tuple[list[_Layer], list[str]]:
    """Return weights with their biases, and what was made out of them."""
    pairs: dict[tuple[str, str], dict[str, str]] = {}
    for name in arrays:
        match = _NAME.fullmatch(name)
        if match is None:
            raise _foreign(arrays, name)
        pair = pairs.setdefault((match["before"], match["after"]), {})
        if pair.setdefault(_KINDS[match["kind"]], name) != name:
            raise _foreign(arrays, name)
    if not pairs:
        msg = "no weights, such as W1 and b1, or 0.weight and 0.bias"
        raise ValueError(msg)
    layers = [_layer_of(arrays, pair) for pair in pairs.values()]
    notes = []
    lacking = [layer.weight_name for layer in layers if layer.bias is None]
    if len(lacking) == len(layers) and not layers[0].is_of_the_book:
        notes.append("no layer has a bias: all are zero")
    elif lacking:
        msg = f"no bias for the weight {lacking[0]}; found {_listed(arrays)}"
        raise ValueError(msg)
    n_flat = sum(arrays[pair["bias"]].ndim > 1 for pair in pairs.values() if "bias" in pair)
    if n_flat:
        notes.append(f"biases of two dimensions are flattened: {n_flat}")
    return layers, notes


def _check_numbers(layers: Sequence[_Layer]) -> None:
    """Refuse a gap in the book's numbers. torch's count the layers between, which hold nothing."""
    numbers = sorted(layer.key[1] for layer in layers if layer.is_of_the_book)
    expected = [(i,) for i in range(1, len(layers) + 1)]
    if numbers and numbers != expected and numbers != [(i - 1,) for (i,) in expected]:
        found = ", ".join(sorted(layer.weight_name for layer in layers))
        msg = f"the weights must be W1 to W{len(layers)}, without a gap; found {found}"
        raise ValueError(msg)


def _layer_of(arrays: Mapping[str, NDArray[Any]], pair: Mapping[str, str]) -> _Layer:
    if "weight" not in pair:
        msg = f"no weight for the bias {pair['bias']}; found {_listed(arrays)}"
        raise ValueError(msg)
    weight = arrays[pair["weight"]]
    if weight.ndim != 2 or 0 in weight.shape:
        raise _foreign(arrays, pair["weight"])
    if "bias" not in pair:
        return _Layer(pair["weight"], weight, None)
    bias = arrays[pair["bias"]]
    # One row, or one column, can be meant in one way only.
    flat = bias.reshape(-1) if bias.ndim == 2 and 1 in bias.shape else bias
    if flat.ndim != 1 or flat.size not in weight.shape:
        msg = (
            f"{pair['bias']} must have the shape (n_out,) for the weight {weight.shape}; got"
            f" {bias.shape}"
        )
        raise ValueError(msg)
    return _Layer(pair["weight"], weight, flat)


def _foreign(arrays: Mapping[str, NDArray[Any]], name: str) -> ValueError:
    return ValueError(
        f"no network of fully connected layers: {name} has the shape {arrays[name].shape}; found"
        f" {_listed(arrays)}"
    )


def _listed(arrays: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(sorted(arrays))


def _layout_of(layers: Sequence[_Layer], declared: Layout | None) -> Layout:
    """Return which way round the weights are, as biases tell."""
    votes: set[Layout] = set()
    for layer in layers:
        if layer.bias is not None and layer.weight.shape[0] != layer.weight.shape[1]:
            votes.add("in_out" if layer.bias.size == layer.weight.shape[1] else "out_in")
    if len(votes) > 1:
        msg = f"some weights are (n_in, n_out), others (n_out, n_in): {_shapes(layers)}"
        raise ValueError(msg)
    told = next(iter(votes), None)
    if declared is None and told is None:
        msg = (
            f"the biases leave open which way round the weights are: {_shapes(layers)}; give"
            " layout='out_in' (--layout out_in), as torch has them, or 'in_out'"
        )
        raise ValueError(msg)
    if declared is not None and told not in {None, declared}:
        msg = f"layout must be {told} for the weights {_shapes(layers)}; got {declared}"
        raise ValueError(msg)
    layout: Layout = declared or told or "in_out"
    return layout


def _shapes(layers: Sequence[_Layer]) -> str:
    return ", ".join(f"{layer.weight_name} {layer.weight.shape}" for layer in layers)


def _in_order(layers: Sequence[_Layer], layout: Layout) -> list[_Layer]:
    """Return the layers in the one order in which each is as wide as the next one takes."""
    found = []
    for order in _orders(layers, layout):
        found.append(order)
        if len(found) > 1:
            names = " or ".join(", ".join(x.weight_name for x in some) for some in found)
            msg = f"the names leave open the order of the layers: {names}; number them"
            raise ValueError(msg)
    if not found:
        raise _no_order(layers)
    return found[0]


def _no_order(layers: Sequence[_Layer]) -> ValueError:
    return ValueError(f"the layers do not fit in the order of their numbers: {_shapes(layers)}")


def _orders(layers: Sequence[_Layer], layout: Layout) -> Iterator[list[_Layer]]:
    """Yield the orders in which the widths fit, and numbers in like names rise."""
    queues: dict[str, list[_Layer]] = {}
    for layer in sorted(layers, key=lambda layer: layer.key):
        queues.setdefault(layer.key[0], []).append(layer)
    groups = list(queues.values())
    if len(groups) > _MOST_GROUPS or len({layer.key for layer in layers}) < len(layers):
        raise _open_order()
    n_states = 0
    # Depth first: how many layers of each group are placed, and which, in order.
    stack: list[tuple[tuple[int, ...], list[_Layer]]] = [((0,) * len(groups), [])]
    while stack:
        placed, order = stack.pop()
        if len(order) == len(layers):
            yield order
        for i, group in enumerate(groups):
            if placed[i] == len(group):
                continue
            layer = group[placed[i]]
            if (
                not order
                or _oriented(order[-1], layout).shape[1] == _oriented(layer, layout).shape[0]
            ):
                after = (*placed[:i], placed[i] + 1, *placed[i + 1 :])
                stack.append((after, [*order, layer]))
                n_states += 1
                if n_states > _MOST_STATES:
                    raise _open_order()


def _open_order() -> ValueError:
    return ValueError("the names leave open the order of the layers; number them")


def _oriented(layer: _Layer, layout: Layout) -> NDArray[Any]:
    return layer.weight if layout == "in_out" else layer.weight.T


def _bias(layer: _Layer, layout: Layout) -> NDArray[Any]:
    n_out = _oriented(layer, layout).shape[1]
    bias = np.zeros(n_out, layer.weight.dtype) if layer.bias is None else layer.bias
    if bias.size != n_out:
        msg = f"the bias of {layer.weight_name} must have {n_out} values; got {bias.size}"
        raise ValueError(msg)
    return bias


def _activations(activation: str | Sequence[str], n_layers: int) -> list[str]:
    if isinstance(activation, str):
        activation = [activation] * (n_layers - 1) + ["identity"]
    if len(activation) != n_layers:
        msg = f"`activation` must name one for each of {n_layers} layers; got {len(activation)}"
        raise ValueError(msg)
    for name in activation:
        if name not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            msg = f"`activation` must be a known name; got {name!r}; known are {known}"
            raise ValueError(msg)
    return list(activation)
