"""Operators of ONNX as operations of a chain.

Attributes and shapes are read only as far as a chain needs them: the comparison with ONNX's
evaluator shows whether they mean what is read here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.chain import Affine, Linear, Part
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, activation_of

__all__ = ["OPERATORS", "SKIPPED", "operation_of"]

SKIPPED = frozenset(
    {"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
OPERATORS = SKIPPED | {operator.name for operator in ACTIVATION_OPERATORS.values()}
OPERATORS |= {"Add", "BatchNormalization", "Clip", "Div", "Gemm", "MatMul", "Mul", "Neg", "PRelu"}
OPERATORS |= {"Sub", "ai.onnx.ml:Scaler", "Concat", "Constant", "Gather", "Shape", "Slice"}
_EPSILON = float(np.float32(1e-5))  # of BatchNormalization


def operation_of(
    operator: str, attributes: Mapping[str, Any], values: Sequence[NDArray[Any] | None]
) -> Part | None:
    """Return the operation of a node; None if it is not part of a network.

    The values are those of its inputs, of floating-point numbers; None for the rows and for omitted
    inputs.
    """
    first, second, third, *_ = (*values, None, None)
    rows_first = first is None
    other: Any = second if rows_first else first
    part: Part | None = None
    match operator:
        case "Gemm" | "MatMul":
            is_turned = rows_first == bool(attributes.get("transB" if rows_first else "transA", 0))
            part = _linear(np.transpose(other) if is_turned else other, third, attributes)
        case "Add":
            part = Affine(1.0, other)
        case "Sub":
            part = Affine(1.0, -other) if rows_first else Affine(-1.0, other)
        case "Mul":
            part = Affine(other)
        case "Div" if rows_first:
            part = Affine(1.0 / np.asarray(other, np.float64))
        case "Neg":
            part = Affine(-1.0)
        case "BatchNormalization":
            gamma, beta, mean, variance = values[1:5]
            epsilon = attributes.get("epsilon", _EPSILON)
            part = Affine.normalization(mean, variance, epsilon, gamma, beta)
        case "ai.onnx.ml:Scaler":
            offset, scale = (np.asarray(attributes.get(x), float) for x in ("offset", "scale"))
            part = Affine(scale, -offset * scale)
        case _ if rows_first:
            part = activation_of(operator, attributes, values[1:])
    return part


def _linear(weight: Any, bias: Any, attributes: Mapping[str, Any]) -> Linear | None:
    if np.ndim(weight) != 2:
        return None
    alpha, beta = (weight.dtype.type(attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    if bias is not None and beta:
        return Linear(weight * alpha, np.broadcast_to(bias.ravel() * beta, weight.shape[1:]))
    return Linear(weight * alpha)
