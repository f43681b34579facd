"""Layers of named arrays, such as the book's W1, b1, W2 ... or a ``state_dict`` of torch.

A layer is a matrix and, with the same name, a vector. ``W1`` and ``dense/kernel`` have the shape
(n_in, n_out), ``fc1.weight`` (n_out, n_in), as the book, Keras and torch have them. Numbers in
similar names give the order; if the names differ in more, the widths must permit exactly one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

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
_MOST_LISTED, _MOST_UNNUMBERED = 5, 8

_Layers: TypeAlias = list[tuple[str, NDArray[Any], NDArray[Any]]]  # name, weight, bias


def network_of_arrays(
    arrays: Mapping[str, NDArray[Any]], activation: str | Sequence[str] | None
) -> Network:
    """Return the network of arrays; raise TypeError or ValueError if they are not one of layers."""
    layers = _in_order(_layers(arrays))
    for (name, weight, _), (following, other, _) in pairwise(layers):
        if weight.shape[1] != other.shape[0]:
            found = f"{quoted(name)} of {weight.shape} before {quoted(following)} of {other.shape}"
            msg = f"a layer must take the values of the one before; got, as (n_in, n_out), {found}"
            raise ValueError(msg)
    if activation is None and not re.fullmatch(r"W\d+", layers[0][0]):
        msg = "the file does not contain the activations: give them, such as activation='relu'"
        raise ValueError(msg)
    dtype = np.result_type(*(x.dtype for x in arrays.values()))
    named: dict[str, NDArray[Any]] = {}
    for i, (_, weight, bias) in enumerate(layers, start=1):
        named |= {f"W{i}": weight.astype(dtype), f"b{i}": bias.astype(dtype)}
    dense = layers_from_arrays(named, activation)
    return Network(dense, output=output_of(dense))


def _layers(arrays: Mapping[str, NDArray[Any]]) -> _Layers:
    """Return the layers, in any order; raise unless each array belongs to one."""
    left, layers, forms = dict(arrays), [], set()
    for match in filter(None, map(_WEIGHT.fullmatch, arrays)):
        before, kind, after = match.groups()
        weight, bias = left.pop(match[0]), left.pop(before + _BIAS[kind] + after, None)
        layers.append((match[0], weight.T if kind == "weight" else weight, bias))
        forms.add((kind, after.lstrip("0123456789")))
    if left or not layers:
        rule = "must be weights and biases, such as W1 and b1, or fc1.weight and fc1.bias"
        msg = f"the arrays {rule}; got {_listed(left) or 'none'}"
        raise ValueError(msg)
    check_parameters(arrays)
    if len(forms) > 1:
        msg = f"the weights must be named alike; got {_listed(arrays)}"
        raise ValueError(msg)
    return [(name, weight, _bias(name, weight, bias)) for name, weight, bias in layers]


def _listed(arrays: Mapping[str, NDArray[Any]]) -> str:
    texts = [f"{quoted(name)} of shape {x.shape}" for name, x in arrays.items()]
    more = [f"{len(texts) - _MOST_LISTED} more"] if len(texts) > _MOST_LISTED else []
    return ", ".join(texts[:_MOST_LISTED] + more)


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


def _in_order(layers: _Layers) -> _Layers:
    """Return the layers in the only possible order; raise ValueError if there are more, or none."""
    keys = {name: _key(name) for name, *_ in layers}
    layers = sorted(layers, key=lambda layer: keys[layer[0]])
    texts, numbers = {text for text, _ in keys.values()}, sorted(x for _, x in keys.values())
    counted = [[(i,) for i in range(first, first + len(layers))] for first in (0, 1)]
    if texts <= {"W#", "w#"} and numbers not in counted:
        msg = f"the numbers must count the layers from 1 on; got {_names(layers)}"
        raise ValueError(msg)
    orders = [layers] if len(texts) == 1 else list(_orders(layers))
    if len(orders) != 1 or len(set(keys.values())) < len(layers):
        msg = f"the names must give one order of the layers: number {_names(layers)}"
        raise ValueError(msg)
    return orders[0]


def _key(name: str) -> tuple[str, tuple[int, ...]]:
    """Return the name without its numbers, and the numbers."""
    return _NUMBERS.sub("#", name), tuple(int(x) for x in re.findall(r"\d+", name))


def _names(layers: _Layers) -> str:
    return _listed({name: weight for name, weight, _ in layers})


def _orders(left: _Layers, done: _Layers | None = None) -> Iterator[_Layers]:
    """Yield the orders in which widths fit and the numbers of similar names increase."""
    done = done or []
    if not left:
        yield done
    if len(left) + len(done) > _MOST_UNNUMBERED:
        return
    for i, layer in enumerate(left):
        fits = not done or done[-1][1].shape[1] == layer[1].shape[0]
        if fits and all(_key(x[0])[0] != _key(layer[0])[0] for x in left[:i]):
            yield from _orders(left[:i] + left[i + 1 :], [*done, layer])
