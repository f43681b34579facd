"""The activations that ONNX has operators for: one table, read from either side."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CLIPS", "OPERATORS", "Operator", "options_of"]

# An attribute is a float32, in which 1/6 is another number.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Operator:
    """How ONNX says an activation.

    Attributes
    ----------
    name : str
        The operator.
    since : int
        The version of ONNX's operators in which it came.
    options : mapping of str to str
        For each of its attributes that is free, the option of the activation.
    fixed : mapping of str to number
        The attributes that must have one value.
    defaults : mapping of str to number or str
        What ONNX takes for an attribute that is left out.
    given : mapping of str to number
        The options that must have one value, since no attribute tells them.
    """

    name: str
    since: int = 6
    options: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, float] = field(default_factory=dict)


OPERATORS: Mapping[str, Operator] = {
    "celu": Operator("Celu", 12, {"alpha": "alpha"}, defaults={"alpha": 1.0}),
    "elu": Operator("Elu", options={"alpha": "alpha"}, defaults={"alpha": 1.0}),
    "erf": Operator("Erf", 9),
    "exponential": Operator("Exp"),
    "gelu": Operator("Gelu", 20, {"approximate": "approximate"}, defaults={"approximate": "none"}),
    "hard_shrink": Operator(
        "Shrink", 9, {"lambd": "threshold"}, {"bias": 0.0}, {"lambd": 0.5, "bias": 0.0}
    ),
    "hard_sigmoid": Operator(
        "HardSigmoid",
        fixed={"alpha": 1.0 / 6.0, "beta": 0.5},
        defaults={"alpha": 0.2, "beta": 0.5},
    ),
    "hard_silu": Operator("HardSwish", 14),
    "identity": Operator("Identity", 1),
    "leaky_relu": Operator(
        "LeakyRelu", options={"alpha": "negative_slope"}, defaults={"alpha": 0.01}
    ),
    "log_softmax": Operator("LogSoftmax", 13, fixed={"axis": -1}),
    "mish": Operator("Mish", 18),
    "relu": Operator("Relu"),
    "selu": Operator(
        "Selu",
        fixed={"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
        defaults={"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
    ),
    "sigmoid": Operator("Sigmoid"),
    "soft_shrink": Operator(
        "Shrink",
        9,
        {"lambd": "threshold", "bias": "threshold"},
        defaults={"lambd": 0.5, "bias": 0.0},
    ),
    "softmax": Operator("Softmax", 13, fixed={"axis": -1}),
    "softplus": Operator("Softplus", 1, given={"beta": 1.0}),
    "softsign": Operator("Softsign", 1),
    "tanh": Operator("Tanh"),
    "threshold": Operator(
        "ThresholdedRelu",
        10,
        {"alpha": "threshold"},
        defaults={"alpha": 1.0},
        given={"value": 0.0},
    ),
}
# Clip between these bounds is an activation, too.
CLIPS: Mapping[str, tuple[float, float]] = {
    "hard_tanh": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
}


def options_of(operator: Operator, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an activation's options from the attributes of a node; None if it is another one."""
    values = {**operator.defaults, **attributes}
    if set(values) - set(operator.options) - set(operator.fixed):
        return None
    for name, value in operator.fixed.items():
        if name in values and not _is_close(values[name], value):
            return None
    options: dict[str, Any] = {}
    for name, option in operator.options.items():
        value = _shortest(values[name])
        if options.setdefault(option, value) != value:
            return None
    return {**options, **operator.given}


def _is_close(value: Any, expected: float) -> bool:
    return isinstance(value, int | float) and abs(value - expected) <= _TOLERANCE


def _shortest(value: Any) -> Any:
    """Return the number with the fewest digits that is the same in float32: 0.01, not 0.0099..."""
    return float(str(np.float32(value))) if isinstance(value, float) else value
