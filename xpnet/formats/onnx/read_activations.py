"""The activations behind layers, whichever way a graph says them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.formats.onnx.activation_operators import CLIPS, OPERATORS, options_of
from xpnet.formats.onnx.matrix_products import rows_of, split, spread
from xpnet.formats.onnx.values import Node, Rows, shown

__all__ = ["GATES", "activated", "activation", "check_axis", "clip", "prelu"]

# The version of ONNX's operators from which on softmax is along one axis.
_ONE_AXIS = 13
# What these are the gates of, where they multiply their own inputs.
GATES = {"sigmoid": "silu", "hard_sigmoid": "hard_silu"}


def activation(node: Node) -> Rows:
    """Return rows through the activation that the operator is."""
    rows = rows_of(node)
    attributes = dict(node.attributes)
    if node.operator in {"Softmax", "LogSoftmax"}:
        # Before, the axes from the given one on were one.
        is_one_axis = node.version >= _ONE_AXIS
        axis = attributes.pop("axis", -1 if is_one_axis else 1)
        check_axis(node, rows, axis, and_following=not is_one_axis)
    for name, operator in OPERATORS.items():
        if operator.name == node.operator:
            options = options_of(operator, attributes)
            if options is not None:
                found = activated(node, rows, name, options)
                return replace(found, gate=rows if name in GATES else None)
    shown = ", ".join(f"{name}={value}" for name, value in attributes.items()) or "its defaults"
    return node.refuse(f"xpnet has no such activation with {shown}")


def check_axis(node: Node, rows: Rows, axis: int, *, and_following: bool = False) -> None:
    """Refuse a function along an axis that is not a whole row."""
    shape = rows.shape or ()
    place = node.place_of(axis, len(shape))
    along = shape[place:] if and_following else shape[place : place + 1]
    if math.prod(along) != rows.size:
        node.refuse(f"its axis {axis} must be that of the units; rows have shape {shown(shape)}")


def activated(node: Node, rows: Rows, name: str, options: Mapping[str, Any] | None = None) -> Rows:
    """Return rows with an activation at the end of their last layer, which has none yet."""
    if not rows.layers or not rows.layers[-1].is_open:
        node.refuse("an activation must follow a fully connected layer")
    last = replace(rows.layers[-1], activation=name, options=options or {}, is_open=False)
    return rows.with_layers(node, rows.shape or (), *rows.layers[:-1], last)


def prelu(node: Node) -> Rows:
    """Return rows through leaky ReLU, whose slope is an input."""
    rows, slope, comes_first = split(node)
    slopes = np.unique(slope)
    if not comes_first or slopes.size != 1:
        node.refuse("its slope must be the same for all units")
    _, shape = spread(node, rows, slope)
    if shape != rows.shape:
        node.refuse(f"its slope of shape {slope.shape} must not add axes")
    return activated(node, rows, "leaky_relu", {"negative_slope": float(slopes[0])})


def clip(node: Node) -> Rows:
    """Return rows through the activation that clips between these bounds."""
    rows = rows_of(node)
    bounds = [node.attributes.get("min"), node.attributes.get("max")]
    for i, x in enumerate(node.inputs[1:3]):
        if isinstance(x, np.ndarray) and x.ndim > 1:
            node.refuse(f"its bounds must be scalars; got the shape {x.shape}")
        bounds[i] = None if x is None else float(np.asarray(x).reshape(()))
    low, high = (
        -np.inf if bounds[0] is None else bounds[0],
        np.inf if bounds[1] is None else bounds[1],
    )
    largest = float(np.finfo(np.float32).max)  # what old exporters write for no bound
    for name, known in CLIPS.items():
        if low == known[0] and (high == known[1] or (high >= largest and known[1] == np.inf)):
            return activated(node, rows, name)
    return node.refuse(f"xpnet has no activation that clips to {low} .. {high}")
