"""Layers of named arrays, such as the book's W1, b1, W2 ... or a ``state_dict`` of torch.

A layer is a matrix and, with the same name, a vector. ``W1`` and ``dense/kernel`` have the shape
(n_in, n_out), ``fc1.weight`` (n_out, n_in), as the book, Keras and torch have them. Numbers in the
names give the order; if the names differ in more than numbers, the widths must permit exactly one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.checked_parameters import check_parameters
from xpnet.networks.dense import Dense, output_of
from xpnet.networks.network import Network

__all__ = ["network_of_arrays"]

_WEIGHT = re.compile(
    r"(?P<book>[Ww])(?P<number>\d+)|(?P<path>(.*[./])?)(?P<kind>weight|kernel)(:0)?"
)
_BIASES = {"W": "b", "w": "b", "weight": "bias", "kernel": "bias"}
_MOST_UNNUMBERED = 8


def network_of_arrays(
    arrays: Mapping[str, NDArray[Any]], activation: str | Sequence[str] | None
) -> Network:
    """Return the network of arrays; raise TypeError or ValueError if they are not one of layers."""
    check_parameters(arrays)
    left = dict(arrays)
    found: list[tuple[str, NDArray[Any], NDArray[Any]]] = []
    for name in arrays:
        match = _WEIGHT.fullmatch(name)
        if match is None:
            continue
        kind = match["book"] or match["kind"]
        weight = left.pop(name)
        weight = weight.T if kind == "weight" else weight
        start, end = match.span("book" if match["book"] else "kind")
        bias = left.pop(name[:start] + _BIASES[kind] + name[end:], None)
        if weight.ndim == 2:
            bias = np.zeros(weight.shape[1], weight.dtype) if bias is None else bias.reshape(-1)
        found.append((name, weight, bias))
    if left or not found:
        msg = f"not the arrays of Dense layers: {', '.join(left or ['none'])}"
        raise ValueError(msg)
    is_book = all(re.fullmatch(r"W\d+", name) for name, *_ in found)
    if activation is None and not is_book:
        msg = "the file does not contain the activations: give them, such as activation='relu'"
        raise ValueError(msg)
    names = activation or "sigmoid"
    if isinstance(names, str):
        names = [names] * (len(found) - 1) + ["identity"]
    layers = [Dense(w, b, x) for (_, w, b), x in zip(_in_order(found), names, strict=True)]
    return Network(layers, output=output_of(layers))


def _in_order(found: list[Any]) -> Sequence[Any]:
    keys = {name: [int(x) for x in re.findall(r"\d+", name)] for name, *_ in found}
    if len({re.sub(r"[\d.]+", "#", name) for name in keys}) == 1:
        return sorted(found, key=lambda x: keys[x[0]])
    orders = list(_orders(found)) if len(found) <= _MOST_UNNUMBERED else []
    if len(orders) != 1:
        msg = f"the names must give one order of the layers: number {', '.join(keys)}"
        raise ValueError(msg)
    return orders[0]


def _orders(left: list[Any], done: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the orders in which each layer takes as many values as the one before it gives."""
    if not left:
        yield done
    for i, layer in enumerate(left):
        if not done or done[-1][1].shape[1] == layer[1].shape[0]:
            yield from _orders(left[:i] + left[i + 1 :], (*done, layer))
