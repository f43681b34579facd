"""Activations as ONNX operators: a table for reading and writing, and their reading."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.formats.onnx.values import GraphRows, Node, broadcast_to_row, format_shape
from xpnet.functions.activation import OnnxOperator
from xpnet.functions.activations import ACTIVATIONS

__all__ = [
    "ACTIVATION_OPERATORS",
    "CLIP_BOUNDS",
    "GATES",
    "activation",
    "check_axis",
    "clip",
    "prelu",
    "with_activation",
]

_ROWS = {name: row for name, row in ACTIVATIONS.items() if name == row.name}
ACTIVATION_OPERATORS = {name: row.onnx for name, row in _ROWS.items() if row.onnx}
# Activations that are a Clip between two bounds.
CLIP_BOUNDS = {name: row.onnx_clip for name, row in _ROWS.items() if row.onnx_clip}
# Activation -> activation of its product with its own argument.
GATES = {row.onnx_gate: name for name, row in _ROWS.items() if row.onnx_gate}

# Version of ONNX's operators from which on softmax works along one axis.
_SINGLE_AXIS = 13
# Attributes are float32, in which 1/6 is rounded differently.
_TOLERANCE = 1e-6


def activation(node: Node) -> GraphRows:
    """Return rows after the activation of an operator."""
    rows = node.rows()
    attributes = dict(node.attributes)
    if node.operator in {"Softmax", "LogSoftmax"}:
        # Earlier versions combine the given axis and all that follow.
        is_single = node.version >= _SINGLE_AXIS
        axis = attributes.pop("axis", -1 if is_single else 1)
        check_axis(node, rows, axis, and_following=not is_single)
    for name, operator in ACTIVATION_OPERATORS.items():
        if operator.name == node.operator:
            options = _read_options(operator, attributes)
            if options is not None:
                found = with_activation(node, rows, name, options)
                return replace(found, gate=rows if name in GATES else None)
    given = ", ".join(f"{name}={value}" for name, value in attributes.items()) or "its defaults"
    return node.reject(f"xpnet does not support it with {given}")


def _read_options(operator: OnnxOperator, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the options of an activation; None if the attributes do not match it."""
    values = {**operator.defaults, **attributes}
    if set(values) - set(operator.options) - set(operator.fixed):
        return None
    for name, expected in operator.fixed.items():
        value = values.get(name, expected)
        if not isinstance(value, int | float) or not abs(value - expected) <= _TOLERANCE:
            return None
    options: dict[str, Any] = {}
    for name, option in operator.options.items():
        value = values[name]
        if isinstance(value, float):  # the shortest decimal of the float32: 0.01, not 0.0099...
            value = float(str(np.float32(value)))
        if options.setdefault(option, value) != value:
            return None
    return {**options, **operator.given}


def check_axis(node: Node, rows: GraphRows, axis: int, *, and_following: bool = False) -> None:
    """Raise if a function works along an axis that is not a whole row."""
    shape = rows.shape or ()
    first = node.axis(axis, len(shape))
    along = shape[first:] if and_following else shape[first : first + 1]
    if math.prod(along) != rows.size:
        found = format_shape(shape)
        node.reject(f"its axis {axis} must be that of the units; rows have shape {found}")


def with_activation(
    node: Node, rows: GraphRows, name: str, options: Mapping[str, Any] | None = None
) -> GraphRows:
    """Return rows after an activation, which the last layer must not have yet."""
    if not rows.layers or not rows.layers[-1].is_open:
        node.reject("an activation must follow a fully connected layer")
    last = replace(rows.layers[-1], activation=name, options=options or {}, is_open=False)
    return rows.with_layers(node, rows.shape or (), *rows.layers[:-1], last)


def prelu(node: Node) -> GraphRows:
    """Return rows after leaky ReLU, whose slope is an input."""
    rows, slope, comes_first = node.rows_and_constant()
    slopes = np.unique(slope)
    if not comes_first or slopes.size != 1:
        node.reject("its slope must be the same for all units")
    _, shape = broadcast_to_row(node, rows, slope)
    if shape != rows.shape:
        node.reject(f"its slope of shape {slope.shape} must not add axes")
    return with_activation(node, rows, "leaky_relu", {"negative_slope": float(slopes[0])})


def clip(node: Node) -> GraphRows:
    """Return rows after the activation that clips between the given bounds."""
    rows = node.rows()
    bounds = [node.attributes.get("min"), node.attributes.get("max")]
    for i, x in enumerate(node.inputs[1:3]):
        if isinstance(x, np.ndarray) and x.ndim > 1:
            node.reject(f"its bounds must be scalars; got the shape {x.shape}")
        bounds[i] = None if x is None else float(np.asarray(x).reshape(()))
    low = -np.inf if bounds[0] is None else bounds[0]
    high = np.inf if bounds[1] is None else bounds[1]
    largest = float(np.finfo(np.float32).max)  # old exporters write it for a missing bound
    for name, known in CLIP_BOUNDS.items():
        if low == known[0] and (high == known[1] or (high >= largest and known[1] == np.inf)):
            return with_activation(node, rows, name)
    return node.reject(f"xpnet has no activation that clips to {low} .. {high}")
