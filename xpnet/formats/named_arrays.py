"""Layers of named arrays, such as the book's W1, b1, W2 ... or a ``state_dict`` of torch.

A layer is a matrix and, with the same name, a vector. ``W1`` and ``dense/kernel`` have the shape
(n_in, n_out), ``fc1.weight`` (n_out, n_in), as the book, Keras and torch have them. Numbers in
similar names give the order; if the names differ in more, the widths must permit exactly one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.description import check_parameters
from xpnet.networks.dense import output_of
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import layers_from_arrays

__all__ = ["network_of_arrays"]

_WEIGHT = re.compile(r"((?:.*[./])?)(weight|kernel|[Ww])(\d*(?::0)?)")
_BIAS = {"weight": "bias", "kernel": "bias", "W": "b", "w": "b"}
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")  # 0.weight, 1.0.weight and 2.weight are similar
_MOST = 8  # names in an error, and layers whose orders are tried


def network_of_arrays(
    arrays: Mapping[str, NDArray[Any]], activation: str | Sequence[str] | None
) -> Network:
    """Return the network of arrays; raise TypeError or ValueError if they are not one of layers."""
    layers = _layers(arrays)
    names = _in_order({name: weight for name, (weight, _) in layers.items()})
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
        layers[match[0]] = weight, bias
        forms.add((kind, after.lstrip("0123456789")))
    if left or len(forms) != 1:
        rule = "must be weights and biases named alike: W1 and b1, or fc1.weight and fc1.bias"
        msg = f"the arrays {rule}; got {_listed(left or arrays)}"
        raise ValueError(msg)
    check_parameters(arrays)
    is_turned = {kind for kind, _ in forms} == {"weight"}
    return {name: _parameters(name, *pair, is_turned=is_turned) for name, pair in layers.items()}


def _parameters(
    name: str, weight: NDArray[Any], bias: NDArray[Any] | None, *, is_turned: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a weight of shape (n_in, n_out) and its bias as a vector, of zeros if it is None."""
    if weight.ndim != 2 or 0 in weight.shape:
        msg = f"{quoted(name)} must be a matrix; got the shape {weight.shape}"
        raise ValueError(msg)
    weight = weight.T if is_turned else weight
    bias = np.zeros(weight.shape[1], weight.dtype) if bias is None else bias
    return weight, bias.reshape(-1)


def _in_order(weights: Mapping[str, NDArray[Any]]) -> Sequence[str]:
    """Return the names in the only order that numbers and widths permit, or raise ValueError."""
    numbers = {name: tuple(map(int, re.findall(r"\d+", name))) for name in weights}
    texts = {name: _NUMBERS.sub("#", name) for name in weights}
    names = sorted(weights, key=lambda name: (texts[name], numbers[name]))
    orders: Iterable[Sequence[str]] = [names]
    if len({*texts.values()}) > 1:
        # The sort is stable: the numbers of similar names must increase.
        few = names if len(names) <= _MOST else []
        orders = (x for x in permutations(few) if sorted(x, key=texts.__getitem__) == names)
    n_in, n_out = ({name: x.shape[axis] for name, x in weights.items()} for axis in (0, 1))
    fitting = [x for x in orders if all(n_out[a] == n_in[b] for a, b in pairwise(x))]
    are_different = len({(texts[name], numbers[name]) for name in names}) == len(names)
    counted = [[(i,) for i in range(first, first + len(names))] for first in (0, 1)]
    has_gap = {*texts.values()} <= {"W#", "w#"} and sorted(numbers.values()) not in counted
    if len(fitting) != 1 or not are_different or has_gap:
        rule = "have one order, by the numbers in their names and by their widths, (n_in, n_out)"
        msg = f"the layers must {rule}; got {_listed(weights)}"
        raise ValueError(msg)
    return fitting[0]


def _listed(arrays: Mapping[str, NDArray[Any]]) -> str:
    texts = [f"{quoted(name)} of shape {x.shape}" for name, x in arrays.items()]
    return ", ".join([*texts[:_MOST], *(["..."] if len(texts) > _MOST else [])]) or "none"
