"""Layers of named arrays, such as the book's W1, b1, W2 ... or a ``state_dict`` of torch.

A layer is a matrix and, with the same name, a vector. ``W1`` and ``dense/kernel`` have the shape
(n_in, n_out), ``fc1.weight`` (n_out, n_in), as the book, Keras and torch have them. Numbers in
similar names give the order; if the names differ in more, the widths must permit exactly one.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.checked_parameters import check_parameters
from xpnet.networks.dense import output_of
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import layers_from_arrays

__all__ = ["network_of_arrays"]

_WEIGHT = re.compile(r"((?:.*[./])?)(weight|kernel|[Ww])(\d*(?::0)?)")
_BIAS = {"weight": "bias", "kernel": "bias", "W": "b", "w": "b"}
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")  # 0.weight, 1.0.weight and 2.weight are similar
_MOST_LISTED, _MOST_UNNUMBERED = 8, 8


def network_of_arrays(
    arrays: Mapping[str, NDArray[Any]], activation: str | Sequence[str] | None
) -> Network:
    """Return the network of arrays; raise TypeError or ValueError if they are not one of layers."""
    layers = _layers(arrays)
    names = _in_order({name: weight.shape for name, (weight, _) in layers.items()})
    if activation is None and not re.fullmatch(r"W\d+", names[0]):
        msg = "the file does not contain the activations: give them, such as activation='relu'"
        raise ValueError(msg)
    dtype = np.result_type(*(x.dtype for x in arrays.values()))
    parameters = [x.astype(dtype) for name in names for x in layers[name]]
    book_names = [f"{kind}{i}" for i in range(1, len(names) + 1) for kind in "Wb"]
    dense = layers_from_arrays(dict(zip(book_names, parameters, strict=True)), activation)
    return Network(dense, output=output_of(dense))


def _layers(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Return weights of shape (n_in, n_out) and biases by the names of the weights."""
    left, layers, forms = dict(arrays), {}, set()
    for match in filter(None, map(_WEIGHT.fullmatch, arrays)):
        before, kind, after = match.groups()
        weight, bias = left.pop(match[0]), left.pop(before + _BIAS[kind] + after, None)
        layers[match[0]] = weight.T if kind == "weight" else weight, bias
        forms.add((kind, after.lstrip("0123456789")))
    if left or not layers:
        rule = "must be weights and biases, such as W1 and b1, or fc1.weight and fc1.bias"
        msg = f"the arrays {rule}; got {_listed({name: x.shape for name, x in left.items()})}"
        raise ValueError(msg)
    check_parameters(arrays)
    if len(forms) > 1:
        msg = f"the weights must be named alike; got {', '.join(map(quoted, [*layers][:8]))}"
        raise ValueError(msg)
    return {name: (weight, _bias(name, weight, bias)) for name, (weight, bias) in layers.items()}


def _bias(name: str, weight: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    """Return the bias as a vector, of zeros if it is None; raise unless it suits the weight."""
    if weight.ndim != 2 or 0 in weight.shape:
        msg = f"{quoted(name)} must be a matrix; got the shape {weight.shape}"
        raise ValueError(msg)
    n_out = weight.shape[1]
    if bias is None:
        return np.zeros(n_out, weight.dtype)
    if bias.shape not in {(n_out,), (1, n_out), (n_out, 1)}:
        rule = f"must have the shape ({n_out},) for {weight.shape}, its (n_in, n_out)"
        msg = f"the bias of {quoted(name)} {rule}; got {bias.shape}"
        raise ValueError(msg)
    return bias.reshape(-1)


def _in_order(shapes: Mapping[str, tuple[int, ...]]) -> Sequence[str]:
    """Return the names in the only order that numbers and widths permit, or raise ValueError."""
    keys = {x: (_NUMBERS.sub("#", x), tuple(map(int, re.findall(r"\d+", x)))) for x in shapes}
    names = sorted(shapes, key=lambda name: keys[name])
    texts, numbers = {text for text, _ in keys.values()}, sorted(x for _, x in keys.values())
    counted = [[(i,) for i in range(first, first + len(names))] for first in (0, 1)]
    orders: list[Sequence[str]] = [names] if len(texts) == 1 else []
    if len(texts) > 1 and len(names) <= _MOST_UNNUMBERED:
        # The sort is stable: numbers of similar names must increase.
        perms = permutations(names)
        orders = [x for x in perms if sorted(x, key=lambda name: keys[name][0]) == names]
    orders = [x for x in orders if all(shapes[a][1] == shapes[b][0] for a, b in pairwise(x))]
    is_book_with_gap = texts <= {"W#", "w#"} and numbers not in counted
    if len(orders) != 1 or len({*keys.values()}) < len(names) or is_book_with_gap:
        rule = "have one order, by the numbers in their names and by their widths, (n_in, n_out)"
        msg = f"the layers must {rule}; got {_listed(shapes)}"
        raise ValueError(msg)
    return orders[0]


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    texts = [f"{quoted(name)} of shape {shape}" for name, shape in shapes.items()]
    more = [f"{len(texts) - _MOST_LISTED} more"] if len(texts) > _MOST_LISTED else []
    return ", ".join(texts[:_MOST_LISTED] + more) or "none"
