"""Arithmetic: preprocessing before the layers, biases behind their products."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.matrix_products import rows_of, split, spread, with_bias
from xpnet.formats.onnx.read_activations import GATES, activated
from xpnet.formats.onnx.values import Node, Rows, Value
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = ["UFUNCS", "arithmetic", "negative", "scaler"]


def arithmetic(node: Node) -> Value:
    """Return a sum, difference, product or quotient; of rows, as a step, bias or gate."""
    if all(isinstance(x, np.ndarray) for x in node.inputs):
        return _of_constants(node)
    for x, gate in (node.inputs, node.inputs[::-1]):
        if node.operator == "Mul" and isinstance(gate, Rows) and gate.gate and gate.gate is x:
            return activated(node, gate.gate, GATES[gate.layers[-1].activation])
    rows, constant, comes_first = split(node)
    if rows.is_label:
        node.refuse("nothing may follow an ArgMax")
    if rows.dtype.kind != "f" or constant.dtype != rows.dtype:
        node.refuse(f"its constant is of {constant.dtype}, its input of {rows.dtype}")
    if not rows.layers:
        steps, shape = _steps(node, rows, constant, comes_first=comes_first)
        return rows.with_steps(node, shape, *_joined((*rows.steps, *steps)))
    if (
        not rows.layers[-1].is_open
        or node.operator not in {"Add", "Sub"}
        or (not comes_first and node.operator == "Sub")
    ):
        node.refuse("behind a layer, only its bias may be added")
    return with_bias(node, rows, -constant if node.operator == "Sub" else constant)


def _of_constants(node: Node) -> NDArray[Any]:
    a, b = node.inputs
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray) or a.dtype != b.dtype:
        node.refuse("its constants must be of one dtype")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        shape = (-1,)
    if math.prod(shape) != max(a.size, b.size):
        node.refuse(f"its constants of shapes {a.shape} and {b.shape} do not fit")
    is_whole = a.dtype.kind in "iu"
    if node.operator == "Div" and is_whole and not np.all(b):
        node.refuse("it divides by zero")
    with np.errstate(all="ignore"):
        if node.operator == "Div" and is_whole:  # towards zero
            return np.asarray(np.floor_divide(a - np.fmod(a, b), b))
        return np.asarray(getattr(np, UFUNCS[node.operator])(a, b))


UFUNCS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}


def _steps(
    node: Node, rows: Rows, constant: NDArray[Any], *, comes_first: bool
) -> tuple[tuple[Step, ...], tuple[int, ...] | None]:
    """Return arithmetic with a constant as steps of preprocessing, and the shape that it gives."""
    shape = rows.shape
    if constant.size == 1:
        value: Any = float(constant.reshape(-1)[0])
        if shape is None and constant.ndim > 2:
            node.refuse(f"its constant of shape {constant.shape} does not fit a row")
        shape = None if shape is None else (*[1] * (constant.ndim - len(shape)), *shape)
    else:
        value, shape = spread(node, rows, constant)
    if not np.all(np.isfinite(value)) or (node.operator in {"Mul", "Div"} and not np.all(value)):
        node.refuse("its constant must be finite, and not zero for a product or quotient")
    if node.operator == "Div" and not comes_first:
        node.refuse("a constant divided by inputs is no preprocessing")
    return _steps_of_value(node, value, comes_first=comes_first), shape


def _steps_of_value(node: Node, value: Any, *, comes_first: bool) -> tuple[Step, ...]:
    if node.operator == "Add":
        return (Standardize(mean=-value),)
    if node.operator == "Sub":
        mean = Standardize(mean=value if comes_first else -value)
        return (mean,) if comes_first else (Scale(-1.0), mean)
    if node.operator == "Div":
        return (Standardize(scale=value),)
    if isinstance(value, float):
        return (Scale(value),)
    with np.errstate(all="ignore"):
        scale = 1.0 / value
    if not np.all(np.isfinite(scale)) or not np.all(scale):
        node.refuse(f"its constant must have an inverse in {value.dtype}")
    return (Standardize(scale=scale),)


def scaler(node: Node) -> Value:
    """Return rows through the scaler of scikit-learn: (x - offset) * scale."""
    value: Value = rows_of(node)
    lengths = {len(node.attributes.get(name, ())) for name in ("offset", "scale")}
    if len(lengths) > 1 or 0 in lengths:
        node.refuse("its offset and scale must be given, and of one length")
    for operator, name in (("Sub", "offset"), ("Mul", "scale")):
        constant = np.asarray(node.attributes[name], np.float32)
        inputs = [value, constant]
        value = arithmetic(replace(node, operator=operator, inputs=inputs, attributes={}))
    return value


def _joined(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return steps with a mean and the scale that follows it as one."""
    first, second = (None, *steps)[-2:]
    if not isinstance(first, Standardize) or not isinstance(second, Standardize):
        return steps
    if _is_number(first.scale, 1.0) and _is_number(second.mean, 0.0):
        return (*steps[:-2], Standardize(first.mean, second.scale))
    return steps


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, float) and value == number


def negative(node: Node) -> Value:
    """Return the input times -1."""
    x = node.inputs[0]
    if isinstance(x, np.ndarray):
        return np.negative(x)
    rows = rows_of(node)
    if rows.layers or rows.dtype.kind != "f":
        node.refuse("it is no preprocessing here")
    return rows.with_steps(node, rows.shape, *rows.steps, Scale(-1.0))
