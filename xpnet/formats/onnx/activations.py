"""Activations as ONNX operators: a table for reading and writing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.formats.chain import Activate
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["ACTIVATION_OPERATORS", "CLIP_BOUNDS", "GATES", "activation_of"]

_ROWS = {name: row for name, row in ACTIVATIONS.items() if name == row.name}
ACTIVATION_OPERATORS = {name: row.onnx for name, row in _ROWS.items() if row.onnx}
# Activations that are a Clip between two bounds.
CLIP_BOUNDS = {name: row.onnx_clip for name, row in _ROWS.items() if row.onnx_clip}
# Activation -> activation of its product with its own argument.
GATES = {row.onnx_gate: name for name, row in _ROWS.items() if row.onnx_gate}

_LARGEST = float(np.finfo(np.float32).max)  # old exporters write it for a missing bound


def activation_of(
    operator: str, attributes: Mapping[str, Any], constants: Sequence[Any]
) -> Activate | None:
    """Return the activation of an operator with attributes, and inputs after the first."""
    if operator == "PRelu":
        slopes = np.unique(constants)
        is_one = slopes.size == 1
        return Activate("leaky_relu", {"negative_slope": float(slopes[0])}) if is_one else None
    if operator == "Clip":  # the bounds are attributes in old versions
        given = [None if x is None else x.item() for x in (*constants, None, None)]
        low = attributes.get("min", -np.inf) if given[0] is None else given[0]
        high = attributes.get("max", np.inf) if given[1] is None else given[1]
        bounds = (low, high if high < _LARGEST else np.inf)
        return next((Activate(name) for name, x in CLIP_BOUNDS.items() if x == bounds), None)
    for name, row in ACTIVATION_OPERATORS.items():
        values = {**row.fixed, **row.defaults, **attributes}
        # Attributes are float32, in which 1/6 is rounded differently.
        if row.name == operator and all(abs(values[x] - y) < 1e-6 for x, y in row.fixed.items()):
            return Activate(name, {y: _shortest(values[x]) for x, y in row.options.items()})
    return None


def _shortest(value: Any) -> Any:
    """Return the shortest decimal of a number of float32: 0.01, not 0.0099..."""
    return float(str(np.float32(value))) if isinstance(value, float) else value
