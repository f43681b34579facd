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

# Attributes are float32, in which 1/6 is rounded differently.
_TOLERANCE = 1e-6
_LARGEST = float(np.finfo(np.float32).max)  # old exporters write it for a missing bound


def activation_of(
    operator: str, attributes: Mapping[str, Any], constants: Sequence[Any] = ()
) -> Activate | None:
    """Return the activation of an operator with attributes, and inputs after the first."""
    if operator == "Clip":
        return _clip(attributes, *constants[:2])
    if operator == "PRelu":
        slopes = np.unique(constants[:1])
        if slopes.size != 1:
            return None
        return Activate("leaky_relu", {"negative_slope": float(slopes[0])})
    for name, row in ACTIVATION_OPERATORS.items():
        values = {**row.fixed, **row.defaults, **attributes}
        is_it = row.name == operator and set(values) <= {*row.options, *row.fixed}
        if is_it and all(_is_near(values[x], number) for x, number in row.fixed.items()):
            return Activate(name, {y: _shortest(values[x]) for x, y in row.options.items()})
    return None


def _clip(attributes: Mapping[str, Any], low: Any = None, high: Any = None) -> Activate | None:
    """Return the activation with these bounds, which are attributes in old versions."""
    low = attributes.get("min", -np.inf) if low is None else low.item()
    high = attributes.get("max", np.inf) if high is None else high.item()
    bounds = (low, high if high < _LARGEST else np.inf)
    return next((Activate(name) for name, known in CLIP_BOUNDS.items() if known == bounds), None)


def _is_near(value: Any, number: float) -> bool:
    return isinstance(value, int | float) and abs(value - number) <= _TOLERANCE


def _shortest(value: Any) -> Any:
    """Return the shortest decimal of a number of float32: 0.01, not 0.0099..."""
    return float(str(np.float32(value))) if isinstance(value, float) else value
