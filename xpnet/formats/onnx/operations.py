"""Operators of ONNX as operations of a chain: layers, activations and preprocessing.

Products with a matrix are layers, sums after them are biases; arithmetic before the first layer is
preprocessing. An operation is rejected here if it is not part of such a network. Whether rows stay
apart and keep the order of their values is left to the comparison with ONNX's evaluator.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.chain import Activate, Affine, Linear
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS, GATES, options_of
from xpnet.formats.onnx.chain_builder import ChainBuilder, Link, weight_of
from xpnet.formats.onnx.schemas import SINGLE_AXIS, Operation, ShapeError
from xpnet.networks.preprocessing import Scale, Standardize, Whiten

__all__ = ["FOLDED", "KNOWN", "WHITENING", "gated", "read_operation"]

# Prefix of the names of MatMul nodes that xpnet writes for a preprocessing step.
WHITENING = "xpnet_whiten"
_NEUTRAL = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_AFTER_ARGMAX = _NEUTRAL | {"Cast", "ai.onnx.ml:ArrayFeatureExtractor"}


def read_operation(link: Link, chain: ChainBuilder) -> None:
    """Append an operation to a chain; raise ValueError if it is not part of a network."""
    operator = link.node.operator
    if operator not in _READERS:
        link.node.reject("its inputs must be the numbers of a shape")
    if chain.is_label and operator not in _AFTER_ARGMAX:
        link.node.reject("nothing may follow an ArgMax")
    _READERS[operator](link, chain)


def _layer(link: Link, chain: ChainBuilder) -> None:
    node = link.node
    weight = weight_of(link, chain.operand(link))
    row = chain.specs[link.rows].shape
    if len(weight) not in row:  # which inference does not notice in old versions
        reason = f"its weight of shape {weight.shape} does not fit a row of shape {row}"
        node.reject(reason, error=ShapeError)
    if node.proto.name.startswith(WHITENING) and not chain.has_layers:
        _whiten(node, chain, weight)
        return
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    with np.errstate(all="ignore"):
        weight = weight if alpha == 1.0 else weight * weight.dtype.type(alpha)
        bias = chain.constant(link, 2)
        if bias is not None and bias.ndim > 2:
            node.reject(f"its bias must have at most two axes; got the shape {bias.shape}")
        if bias is not None:
            bias = chain.row_of(node, node.proto.output[0], bias)
            bias = None if beta == 0.0 else bias * bias.dtype.type(beta)
    chain.append(node, Linear(weight, bias))


def _whiten(node: Operation, chain: ChainBuilder, matrix: NDArray[Any]) -> None:
    """Combine the last step, which subtracts a mean, and a matrix."""
    last = chain.last
    if not isinstance(last, Standardize) or not _is_number(last.scale, 1.0):
        node.reject("a mean must be subtracted before it")
    if not np.all(np.isfinite(matrix)) or matrix.shape[0] != matrix.shape[1]:
        node.reject(f"its matrix must be finite and square; got the shape {matrix.shape}")
    mean = np.broadcast_to(np.asarray(last.mean, matrix.dtype), matrix.shape[:1])
    chain.append(node, Whiten(mean.copy(), np.ascontiguousarray(matrix)), n_replaced=1)


def _arithmetic(link: Link, chain: ChainBuilder) -> None:
    node, last, operator = link.node, chain.last, link.node.operator
    if link.gate is not None:
        chain.append(node, Activate(link.gate))
        return
    constant = chain.operand(link)
    if not chain.has_layers:
        _preprocess(link, chain, operator, constant)
        return
    is_sum = operator == "Add" or (operator == "Sub" and link.comes_first)
    if not is_sum or not isinstance(last, Linear):
        node.reject("after a layer, only its bias may be added")
    bias = chain.row_of(node, link.rows, -constant if operator == "Sub" else constant)
    with np.errstate(all="ignore"):
        bias = bias if last.bias is None else last.bias + bias
    chain.append(node, replace(last, bias=bias), n_replaced=1)


def _preprocess(link: Link, chain: ChainBuilder, operator: str, constant: NDArray[Any]) -> None:
    """Append arithmetic before the first layer, as steps."""
    node, is_product = link.node, operator in {"Mul", "Div"}
    x: Any = constant.item() if constant.size == 1 else chain.row_of(node, link.rows, constant)
    if not np.all(np.isfinite(x)) or (is_product and not np.all(x)):
        node.reject("its constant must be finite, and not zero for a product or quotient")
    if operator == "Div" and not link.comes_first:
        node.reject("a constant divided by inputs is not preprocessing")
    if not is_product:
        is_difference = operator == "Sub" and link.comes_first
        turned = [Scale(-1.0)] if operator == "Sub" and not link.comes_first else []
        chain.append(node, *turned, Standardize(mean=x if is_difference else -x))
        return
    if operator == "Mul" and constant.size == 1:
        chain.append(node, Scale(x))
        return
    with np.errstate(all="ignore"):
        scale = 1.0 / x if operator == "Mul" else x
    if not np.all(np.isfinite(scale)) or not np.all(scale):
        node.reject(f"its constant must have an inverse in {constant.dtype}")
    last = chain.last
    # A mean and the scale that follows it are one step.
    if isinstance(last, Standardize) and _is_number(last.scale, 1.0):
        chain.append(node, Standardize(last.mean, scale), n_replaced=1)
    else:
        chain.append(node, Standardize(scale=scale))


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, float) and value == number


def _negative(link: Link, chain: ChainBuilder) -> None:
    if chain.has_layers or chain.specs[link.rows].dtype.kind != "f":
        link.node.reject("it is not preprocessing here")
    chain.append(link.node, Scale(-1.0))


def _scaler(link: Link, chain: ChainBuilder) -> None:
    """Append scikit-learn's scaler: (x - offset) * scale."""
    numbers = [np.asarray(link.node.attributes.get(x, ()), "f4") for x in ("offset", "scale")]
    if len({x.size for x in numbers}) > 1 or not numbers[0].size or chain.has_layers:
        link.node.reject("its offset and scale must be given, of one length, before the layers")
    if chain.specs[link.rows].dtype != np.float32:
        link.node.reject(f"its input must be float32; got {chain.specs[link.rows].dtype}")
    for operator, constant in zip(("Sub", "Mul"), numbers, strict=True):
        _preprocess(link, chain, operator, constant)


def _batch_normalization(link: Link, chain: ChainBuilder) -> None:
    node = link.node
    gamma, beta, mean, variance = (chain.constant(link, i) for i in range(1, 5))
    if node.attributes.get("training_mode") or len(node.proto.output) > 1:
        node.reject("it must not be in training mode")
    epsilon = node.attributes["epsilon"]
    chain.append(node, Affine.normalization(mean, variance, epsilon, gamma, beta))


def _dropout(link: Link, chain: ChainBuilder) -> None:
    mode = chain.constant(link, 2)
    if mode is not None and np.any(mode):
        link.node.reject("it must not be in training mode")


def _transpose(link: Link, chain: ChainBuilder) -> None:
    shape = chain.specs[link.rows].shape
    order = link.node.attributes.get("perm") or list(reversed(range(len(shape))))
    kept = [axis for axis in order if shape[axis] != 1]
    if kept != sorted(kept):
        link.node.reject("it must not move the values of a row")


def _cast(link: Link, chain: ChainBuilder) -> None:
    before, after = (chain.specs[x].dtype for x in (link.rows, link.node.proto.output[0]))
    if chain.is_label:
        chain.classes = tuple(np.asarray(chain.classes, object).astype(after).tolist())
        return
    is_wider = chain.has_layers and np.can_cast(before, after)
    if after.kind != "f" or not (not chain.parts or is_wider or before == after):
        link.node.reject(f"it rounds from {before} to {after} within the network")


def _activation_of(node: Operation) -> Activate | None:
    attributes = {name: value for name, value in node.attributes.items() if name != "axis"}
    for name, operator in ACTIVATION_OPERATORS.items():
        if operator.name == node.operator:
            options = options_of(operator, attributes)
            if options is not None:
                return Activate(name, options)
    return None


def gated(node: Operation, producers: Mapping[str, Operation]) -> Link | None:
    """Return the product of a value and its own sigmoid as an activation, if it is that."""
    first, second = node.proto.input
    for rows, name in ((first, second), (second, first)):
        gate = producers.get(name)
        found = None if gate is None or gate.inputs != [rows] else _activation_of(gate)
        if found is not None and found.name in GATES:
            return Link(node, rows, GATES[found.name])
    return None


def _activation(link: Link, chain: ChainBuilder) -> None:
    node = link.node
    if "axis" in node.attributes:
        _check_axis(link, chain, and_following=node.schema.since_version < SINGLE_AXIS)
    found = _activation_of(node)
    if found is None:
        shown = ", ".join(f"{name}={value}" for name, value in node.attributes.items())
        node.reject(f"xpnet does not support it with {shown or 'its defaults'}")
    chain.append(node, found)


def _check_axis(link: Link, chain: ChainBuilder, *, and_following: bool = False) -> None:
    """Raise if a function works along an axis that is not a whole row."""
    axis, shape = link.node.attributes["axis"], chain.specs[link.rows].shape
    first = axis % max(1, len(shape))
    along = shape[first:] if and_following else shape[first : first + 1]
    if math.prod(along) != math.prod(shape):
        link.node.reject(f"its axis {axis} must be that of the units; a row has the shape {shape}")


def _clip(link: Link, chain: ChainBuilder) -> None:
    node = link.node
    given = [chain.constant(link, i) for i in (1, 2)]
    if any(x is not None and x.ndim > 1 for x in given):
        node.reject("its bounds must be scalars")
    low, high = (
        node.attributes.get(name, default) if x is None else float(x.item())
        for x, name, default in zip(given, ("min", "max"), (-np.inf, np.inf), strict=True)
    )
    largest = float(np.finfo(np.float32).max)  # old exporters write it for a missing bound
    high = np.inf if high >= largest else high
    for name, known in CLIP_BOUNDS.items():
        if (low, high) == known:
            chain.append(node, Activate(name))
            return
    node.reject(f"xpnet has no activation that clips to {low} .. {high}")


def _prelu(link: Link, chain: ChainBuilder) -> None:
    """Append leaky ReLU, whose slope is an input."""
    slope = chain.constants[link.node.proto.input[link.comes_first]]
    slopes, shape = np.unique(slope), chain.specs[link.rows].shape
    if not link.comes_first or slopes.size != 1:
        link.node.reject("its slope must be the same for all units")
    chain.row_of(link.node, link.rows, slope)
    if slope.ndim > len(shape):
        link.node.reject(f"its slope of shape {slope.shape} must not add axes")
    chain.append(link.node, Activate("leaky_relu", {"negative_slope": float(slopes[0])}))


def _argmax(link: Link, chain: ChainBuilder) -> None:
    _check_axis(link, chain)
    if link.node.attributes.get("select_last_index"):
        link.node.reject("it must choose the first of equal outputs")
    chain.is_label = True


def _name_labels(link: Link, chain: ChainBuilder) -> None:
    """Read the names of the classes: the constant from which the index of an ArgMax chooses."""
    if link.comes_first or not chain.is_label:
        link.node.reject("it must choose from a constant by the index of the largest output")
    names = chain.constants[link.node.proto.input[link.comes_first]]
    if chain.classes or names.shape[-1:] != (names.size,):
        link.node.reject("it must choose once, and from a list")
    chain.classes = tuple(names.reshape(-1).tolist())


_READERS: Mapping[str, Callable[[Link, ChainBuilder], None]] = {
    **dict.fromkeys((operator.name for operator in ACTIVATION_OPERATORS.values()), _activation),
    **dict.fromkeys(_NEUTRAL, lambda *_: None),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
    **dict.fromkeys(("Gemm", "MatMul"), _layer),
    "ArgMax": _argmax,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Dropout": _dropout,
    "Neg": _negative,
    "PRelu": _prelu,
    "Transpose": _transpose,
    "ai.onnx.ml:ArrayFeatureExtractor": _name_labels,
    "ai.onnx.ml:Scaler": _scaler,
}
# Operators that are computed if all their inputs are constants.
FOLDED = _NEUTRAL | {"Add", "Cast", "Concat", "Div", "Gather", "Mul", "Neg", "Shape", "Sub"}
KNOWN = frozenset({*_READERS, *FOLDED, "Constant"})
