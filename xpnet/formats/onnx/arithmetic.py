"""Operators of layers and preprocessing: MatMul, Gemm, Add, Sub, Mul, Div, Neg and Scaler.

Products with a matrix are layers, sums after them are biases; arithmetic before the first layer is
preprocessing.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.activations import GATES, with_activation
from xpnet.formats.onnx.values import (
    BATCH,
    GraphLayer,
    GraphRows,
    Node,
    ShapeError,
    Value,
    broadcast_to_row,
    format_shape,
)
from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten

__all__ = ["UFUNCS", "WHITENING", "arithmetic", "gemm", "matmul", "negative", "scaler"]

UFUNCS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}
# Prefix of the names of MatMul nodes that xpnet writes for a preprocessing step.
WHITENING = "xpnet_whiten"


def matmul(node: Node) -> GraphRows:
    """Return rows, which may be columns, after a layer without a bias."""
    rows, weight, comes_first = node.rows_and_constant()
    n_axes = weight.ndim
    if n_axes > 2 and math.prod(weight.shape[:-2]) == 1:
        weight = np.squeeze(weight, tuple(range(n_axes - 2)))
    if weight.ndim != 2:
        node.reject(f"its weight must be a matrix; got the shape {weight.shape}")
    n_in, n_out = weight.shape if comes_first else weight.shape[::-1]
    if rows.shape is not None:
        shape = rows.shape
    else:
        shape = (BATCH, n_in) if comes_first else (n_in, BATCH)
    summed = shape[-1:] if comes_first else shape[-2:][:1]
    if summed != (n_in,) or math.prod(shape) != n_in * rows.n_rows:
        reason = f"its weight of shape {weight.shape} does not fit rows of shape"
        node.reject(f"{reason} {format_shape(shape)}", error=ShapeError)
    product = (*shape[:-1], n_out) if comes_first else (*shape[:-2], n_out, *shape[1:][-1:])
    # The weight's leading axes of length 1 remain; the only axis of a vector is summed over.
    n_leading = n_axes - (len(shape) == 1) - len(product)
    return _add_layer(node, rows, weight if comes_first else weight.T, (*[1] * n_leading, *product))


def _check_dtype(node: Node, rows: GraphRows, kind: str, x: NDArray[Any]) -> None:
    """Raise unless rows are floating-point numbers of the dtype of a weight or constant."""
    if rows.dtype.kind != "f" or x.dtype != rows.dtype:
        node.reject(f"its {kind} and input must have one float dtype; got {x.dtype}, {rows.dtype}")


def _add_layer(
    node: Node, rows: GraphRows, weight: NDArray[Any], shape: tuple[int, ...]
) -> GraphRows:
    _check_dtype(node, rows, "weight", weight)
    if 0 in weight.shape:
        node.reject(f"its weight must not be empty; got the shape {weight.shape}")
    if node.name.startswith(WHITENING) and not rows.layers:
        return rows.with_steps(node, shape, *_whiten(node, rows, weight))
    return rows.with_layers(node, shape, *rows.layers, GraphLayer(np.ascontiguousarray(weight)))


def _whiten(node: Node, rows: GraphRows, matrix: NDArray[Any]) -> tuple[Step, ...]:
    """Return the steps with the last one, which subtracts a mean, and a matrix combined."""
    last = rows.steps[-1] if rows.steps else None
    if not isinstance(last, Standardize) or not isinstance(last.scale, float) or last.scale != 1.0:
        node.reject("a mean must be subtracted before it")
    if not np.all(np.isfinite(matrix)) or matrix.shape[0] != matrix.shape[1]:
        node.reject(f"its matrix must be finite and square; got the shape {matrix.shape}")
    mean = np.broadcast_to(np.asarray(last.mean, matrix.dtype), matrix.shape[:1])
    return (*rows.steps[:-1], Whiten(mean.copy(), np.ascontiguousarray(matrix)))


def gemm(node: Node) -> GraphRows:
    """Return rows after a layer with a bias."""
    a, b, c = (*node.inputs, None, None, None)[:3]
    if isinstance(c, GraphRows):
        node.reject("its bias must be a constant")
    if c is not None and c.ndim > 2:
        node.reject(f"its bias must have at most two axes; got the shape {c.shape}")
    for x in (a, b):
        if isinstance(x, GraphRows) and x.shape is not None and len(x.shape) != 2:
            node.reject(f"its input must be a matrix; got rows of shape {format_shape(x.shape)}")
    factors = [
        _transpose(node, x) if node.attributes.get(name) else x
        for x, name in ((a, "transA"), (b, "transB"))
    ]
    rows = matmul(replace(node, inputs=factors))
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    if alpha != 1.0:
        weight = rows.layers[-1].weight
        with np.errstate(all="ignore"):
            layer = GraphLayer(weight * weight.dtype.type(alpha))
        rows = replace(rows, layers=(*rows.layers[:-1], layer))
    if c is None:
        return rows
    if beta == 0.0:
        broadcast_to_row(node, rows, c)  # validates the shape
        return rows
    with np.errstate(all="ignore"):
        return _add_bias(node, rows, c * c.dtype.type(beta) if beta != 1.0 else c)


def _transpose(node: Node, x: Value) -> Value:
    if x is None or isinstance(x, np.ndarray):
        return None if x is None else x.T
    if x.shape is None:
        node.reject("the shape of its input must be known")
    return replace(x, shape=x.shape[::-1])


def _add_bias(node: Node, rows: GraphRows, bias: NDArray[Any]) -> GraphRows:
    last = rows.layers[-1]
    values, shape = broadcast_to_row(node, rows, bias)
    if bias.dtype != last.weight.dtype:
        node.reject(f"its bias must have the dtype {last.weight.dtype}; got {bias.dtype}")
    with np.errstate(all="ignore"):
        total = values if last.bias is None else last.bias + values
    return rows.with_layers(node, shape or (), *rows.layers[:-1], replace(last, bias=total))


def arithmetic(node: Node) -> Value:
    """Return a sum, difference, product or quotient; for rows a step, bias or gate."""
    if all(isinstance(x, np.ndarray) for x in node.inputs):
        return _compute_constant(node)
    for x, gate in (node.inputs, node.inputs[::-1]):
        if node.operator == "Mul" and isinstance(gate, GraphRows) and gate.gate and gate.gate is x:
            return with_activation(node, gate.gate, GATES[gate.layers[-1].activation])
    rows, constant, comes_first = node.rows_and_constant()
    _check_dtype(node, rows, "constant", constant)
    if not rows.layers:
        return _add_steps(node, rows, constant, comes_first=comes_first)
    is_sum = node.operator == "Add" or (node.operator == "Sub" and comes_first)
    if not rows.layers[-1].is_open or not is_sum:
        node.reject("after a layer, only its bias may be added")
    return _add_bias(node, rows, -constant if node.operator == "Sub" else constant)


def _compute_constant(node: Node) -> NDArray[Any]:
    a, b = node.inputs
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray) or a.dtype != b.dtype:
        node.reject("its constants must be of one dtype")
    if a.dtype.hasobject:  # sums of strings may be far larger than the file
        node.reject("its constants must be numbers")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        shape = (-1,)
    if math.prod(shape) != max(a.size, b.size):
        node.reject(f"its constants of shapes {a.shape} and {b.shape} do not fit")
    is_integer = a.dtype.kind in "iu"
    if node.operator == "Div" and is_integer and not np.all(b):
        node.reject("it divides by zero")
    with np.errstate(all="ignore"):
        if node.operator == "Div" and is_integer:  # rounded towards zero
            return np.asarray(np.floor_divide(a - np.fmod(a, b), b))
        return np.asarray(getattr(np, UFUNCS[node.operator])(a, b))


def _add_steps(
    node: Node, rows: GraphRows, constant: NDArray[Any], *, comes_first: bool
) -> GraphRows:
    """Return rows after arithmetic with a constant, as preprocessing."""
    shape = rows.shape
    if constant.size == 1:
        value: Any = float(constant.reshape(-1)[0])
        if shape is None and constant.ndim > 2:
            node.reject(f"its constant of shape {constant.shape} does not fit a row")
        shape = None if shape is None else (*[1] * (constant.ndim - len(shape)), *shape)
    else:
        value, shape = broadcast_to_row(node, rows, constant)
    if not np.all(np.isfinite(value)) or (node.operator in {"Mul", "Div"} and not np.all(value)):
        node.reject("its constant must be finite, and not zero for a product or quotient")
    if node.operator == "Div" and not comes_first:
        node.reject("a constant divided by inputs is not preprocessing")
    *before, last = rows.steps or (None,)
    first, *others = _steps_of_value(node, value, comes_first=comes_first)
    # A mean and the scale that follows it are one step.
    if (
        isinstance(last, Standardize)
        and isinstance(first, Standardize)
        and _is_number(last.scale, 1.0)
        and _is_number(first.mean, 0.0)
    ):
        return rows.with_steps(node, shape, *before, Standardize(last.mean, first.scale))
    return rows.with_steps(node, shape, *rows.steps, first, *others)


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
        node.reject(f"its constant must have an inverse in {value.dtype}")
    return (Standardize(scale=scale),)


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, float) and value == number


def scaler(node: Node) -> Value:
    """Return rows after scikit-learn's scaler: (x - offset) * scale."""
    value: Value = node.rows()
    lengths = {len(node.attributes.get(name, ())) for name in ("offset", "scale")}
    if len(lengths) > 1 or 0 in lengths:
        node.reject("its offset and scale must be given, and of one length")
    for operator, name in (("Sub", "offset"), ("Mul", "scale")):
        constant = np.asarray(node.attributes[name], np.float32)
        inputs = [value, constant]
        value = arithmetic(replace(node, operator=operator, inputs=inputs, attributes={}))
    return value


def negative(node: Node) -> Value:
    """Return the input times -1."""
    x = node.inputs[0]
    if isinstance(x, np.ndarray):
        return np.negative(x)
    rows = node.rows()
    if rows.layers or rows.dtype.kind != "f":
        node.reject("it is not preprocessing here")
    return rows.with_steps(node, rows.shape, *rows.steps, Scale(-1.0))
