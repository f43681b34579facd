"""Activations as ONNX operators: a table for reading and writing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet.functions.activation import OnnxOperator
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["ACTIVATION_OPERATORS", "CLIP_BOUNDS", "GATES", "options_of"]

_ROWS = {name: row for name, row in ACTIVATIONS.items() if name == row.name}
ACTIVATION_OPERATORS = {name: row.onnx for name, row in _ROWS.items() if row.onnx}
# Activations that are a Clip between two bounds.
CLIP_BOUNDS = {name: row.onnx_clip for name, row in _ROWS.items() if row.onnx_clip}
# Activation -> activation of its product with its own argument.
GATES = {row.onnx_gate: name for name, row in _ROWS.items() if row.onnx_gate}

# Attributes are float32, in which 1/6 is rounded differently.
_TOLERANCE = 1e-6


def options_of(operator: OnnxOperator, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the options of an activation; None if the attributes do not match it."""
    values = {**operator.defaults, **attributes}
    if set(values) - set(operator.options) - set(operator.fixed):
        return None
    for name, expected in operator.fixed.items():
        value = values.get(name, expected)
        if not isinstance(value, int | float) or not abs(value - expected) <= _TOLERANCE:
            return None
    options = {}
    for name, option in operator.options.items():
        value = values[name]
        # The shortest decimal of the float32: 0.01, not 0.0099...
        options[option] = float(str(np.float32(value))) if isinstance(value, float) else value
    return options
