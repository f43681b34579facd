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
_BINARY = frozenset({"Add", "Div", "Gemm", "MatMul", "Mul", "Sub"})
_UNARY = frozenset(operator.name for operator in ACTIVATION_OPERATORS.values())
_UNARY |= {"BatchNormalization", "Clip", "Neg", "PRelu", "ai.onnx.ml:Scaler"}
_OF_CONSTANTS = frozenset({"Concat", "Constant", "Gather", "Shape", "Slice"})
OPERATORS = SKIPPED | _BINARY | _UNARY | _OF_CONSTANTS
_EPSILON = float(np.float32(1e-5))  # of BatchNormalization


def operation_of(
    operator: str, attributes: Mapping[str, Any], values: Sequence[NDArray[Any] | None]
) -> Part | None:
    """Return the operation of a node; None if it is not part of a network.

    The values are those of its inputs, None for the rows and for omitted inputs.
    """
    first, second, third, *_ = (*values, None, None)
    rows_first = first is None
    other: Any = second if rows_first else first
    if any(x is not None and x.dtype.kind != "f" for x in values):
        return None
    if operator not in _BINARY:
        return _normalization(operator, attributes, values[1:]) if rows_first else None
    if other is None or not (rows_first or second is None):
        return None
    if operator in {"Gemm", "MatMul"}:
        is_turned = rows_first == bool(attributes.get("transB" if rows_first else "transA", 0))
        return _linear(other.T if is_turned else other, third, attributes)
    return _arithmetic(operator, _columns(other), rows_first=rows_first)


def _linear(weight: Any, bias: Any, attributes: Mapping[str, Any]) -> Linear | None:
    if weight.ndim != 2:
        return None
    alpha, beta = (weight.dtype.type(attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    if bias is not None and beta:
        return Linear(weight * alpha, np.broadcast_to(bias.ravel() * beta, weight.shape[1:]))
    return Linear(weight * alpha)


def _arithmetic(operator: str, x: NDArray[Any], *, rows_first: bool) -> Affine | None:
    if operator == "Add":
        return Affine(1.0, x)
    if operator == "Mul":
        return Affine(x)
    if operator == "Sub":
        return Affine(1.0, -x) if rows_first else Affine(-1.0, x)
    return Affine(1.0 / x) if rows_first else None


def _normalization(
    operator: str, attributes: Mapping[str, Any], constants: Sequence[Any]
) -> Part | None:
    """Return the operation of a node whose first input are the rows."""
    if operator == "Neg":
        return Affine(-1.0)
    if operator == "ai.onnx.ml:Scaler":
        offset, scale = (_columns(attributes.get(name, np.nan)) for name in ("offset", "scale"))
        return Affine(scale, -offset * scale)
    if operator == "BatchNormalization":
        gamma, beta, mean, variance = constants[:4]
        epsilon = attributes.get("epsilon", _EPSILON)
        return Affine.normalization(mean, variance, epsilon, gamma, beta)
    return activation_of(operator, attributes, constants)


def _columns(numbers: Any) -> NDArray[Any]:
    """Return a number, or one value per column, in float64."""
    x = np.asarray(numbers, np.float64)
    return x.reshape(-1 if x.size != 1 else ())
