"""Activations as ONNX operators: a table for reading and writing."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ACTIVATION_OPERATORS",
    "CLIP_BOUNDS",
    "GATES",
    "ActivationOperator",
    "options_of",
]


_NONE: Mapping[str, Any] = MappingProxyType({})


class ActivationOperator(NamedTuple):
    """Operator of ONNX for an activation."""

    name: str
    since: int = 6  # version of ONNX's operators that introduced it
    options: Mapping[str, str] = _NONE  # free attribute -> option of the activation
    fixed: Mapping[str, float] = _NONE  # attributes with a required value
    defaults: Mapping[str, Any] = _NONE  # ONNX's values of omitted attributes
    given: Mapping[str, float] = _NONE  # options with a required value, without an attribute


_HARD_SIGMOID = {"alpha": 1.0 / 6.0, "beta": 0.5}
_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
_SHRINK = {"lambd": 0.5, "bias": 0.0}
ACTIVATION_OPERATORS: Mapping[str, ActivationOperator] = {
    "celu": ActivationOperator("Celu", 12, {"alpha": "alpha"}, defaults={"alpha": 1.0}),
    "elu": ActivationOperator("Elu", options={"alpha": "alpha"}, defaults={"alpha": 1.0}),
    "erf": ActivationOperator("Erf", 9),
    "exponential": ActivationOperator("Exp"),
    "gelu": ActivationOperator(
        "Gelu", 20, {"approximate": "approximate"}, defaults={"approximate": "none"}
    ),
    "hard_shrink": ActivationOperator("Shrink", 9, {"lambd": "threshold"}, {"bias": 0.0}, _SHRINK),
    "hard_sigmoid": ActivationOperator(
        "HardSigmoid", fixed=_HARD_SIGMOID, defaults={"alpha": 0.2, "beta": 0.5}
    ),
    "hard_silu": ActivationOperator("HardSwish", 14),
    "identity": ActivationOperator("Identity", 1),
    "leaky_relu": ActivationOperator(
        "LeakyRelu", options={"alpha": "negative_slope"}, defaults={"alpha": 0.01}
    ),
    "log_softmax": ActivationOperator("LogSoftmax", 13, fixed={"axis": -1}),
    "mish": ActivationOperator("Mish", 18),
    "relu": ActivationOperator("Relu"),
    "selu": ActivationOperator("Selu", fixed=_SELU, defaults=_SELU),
    "sigmoid": ActivationOperator("Sigmoid"),
    "soft_shrink": ActivationOperator(
        "Shrink", 9, dict.fromkeys(_SHRINK, "threshold"), defaults=_SHRINK
    ),
    "softmax": ActivationOperator("Softmax", 13, fixed={"axis": -1}),
    "softplus": ActivationOperator("Softplus", 1, given={"beta": 1.0}),
    "softsign": ActivationOperator("Softsign", 1),
    "tanh": ActivationOperator("Tanh"),
    "threshold": ActivationOperator(
        "ThresholdedRelu", 10, {"alpha": "threshold"}, {}, {"alpha": 1.0}, given={"value": 0.0}
    ),
}
# Activations that are a Clip between two bounds.
CLIP_BOUNDS: Mapping[str, tuple[float, float]] = {
    "hard_tanh": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
}
# Activation -> activation of its product with its own argument.
GATES = {"sigmoid": "silu", "hard_sigmoid": "hard_silu"}

# Attributes are float32, in which 1/6 is rounded differently.
_TOLERANCE = 1e-6


def options_of(
    operator: ActivationOperator, attributes: Mapping[str, Any]
) -> dict[str, Any] | None:
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
