"""What each operator of ONNX makes of rows and of constants: the table `MEANINGS`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.activation_operators import OPERATORS
from xpnet.formats.onnx.arithmetic import UFUNCS, arithmetic, negative, scaler
from xpnet.formats.onnx.matrix_products import gemm, matmul, rows_of
from xpnet.formats.onnx.read_activations import activation, check_axis, clip, prelu
from xpnet.formats.onnx.shapes import SHAPE_MEANINGS
from xpnet.formats.onnx.tensors import numpy_dtype
from xpnet.formats.onnx.values import BATCH, Node, Rows, Value

__all__ = ["MEANINGS"]


def _identity(node: Node) -> Value:
    return node.inputs[0] if isinstance(node.inputs[0], np.ndarray) else _through(node)


def _through(node: Node) -> Rows:
    rows = node.inputs[0]
    if not isinstance(rows, Rows):
        node.refuse("it must have an input")
    return rows


def _dropout(node: Node) -> Value:
    if any(
        isinstance(x, np.ndarray) and x.dtype.kind == "b" and bool(np.any(x))
        for x in node.inputs[1:]
    ):
        node.refuse("it must not be in training mode")
    if any(isinstance(x, np.ndarray) and x.ndim for x in node.inputs[1:]):
        node.refuse("its ratio and mode must be scalars")
    return _through(node)


def _cast(node: Node) -> Value:
    number = node.attributes["to"]
    x = node.inputs[0]
    dtype = numpy_dtype(number, "what it casts to")
    if isinstance(x, np.ndarray):
        if dtype.kind == "f" and x.dtype.kind in "iu" and np.any((x != 0) & (x % BATCH == 0)):
            node.refuse("the number of rows must not be computed with")
        with np.errstate(all="ignore"):
            return x.astype(dtype)
    rows = _through(node)
    if rows.is_label:
        return rows
    is_first = not rows.steps and not rows.layers
    is_wider = bool(rows.layers) and np.can_cast(rows.dtype, dtype)
    if dtype.kind != "f" or not (is_first or is_wider or dtype == rows.dtype):
        node.refuse(f"it rounds from {rows.dtype} to {dtype} within the network")
    return replace(rows, dtype=dtype, gate=None)


def _constant(node: Node) -> NDArray[Any]:
    kinds = dict.fromkeys(("value_float", "value_floats"), "float32")
    kinds |= dict.fromkeys(("value_int", "value_ints"), "int64")
    for name, value in node.attributes.items() if len(node.attributes) == 1 else ():
        if name == "value" and isinstance(value, np.ndarray):
            return value
        if name in kinds:
            return np.asarray(value, kinds[name])
    return node.refuse("it must hold a tensor of numbers")


def _argmax(node: Node) -> Rows:
    rows = rows_of(node)
    axis = node.attributes.get("axis", 0)
    check_axis(node, rows, axis)
    if node.attributes.get("select_last_index"):
        node.refuse("it must choose the first of equal outputs")
    shape = list(rows.shape or ())
    shape[axis] = 1
    if node.attributes.get("keepdims", 1) != 1:
        del shape[axis]
    dtype = np.dtype(np.int64)
    return replace(rows, shape=tuple(shape), dtype=dtype, is_label=True, gate=None)


MEANINGS: Mapping[str, Callable[[Node], Value]] = {
    **SHAPE_MEANINGS,
    **{operator.name: activation for operator in OPERATORS.values()},
    **dict.fromkeys(UFUNCS, arithmetic),
    "ArgMax": _argmax,
    "Cast": _cast,
    "Clip": clip,
    "Constant": _constant,
    "Dropout": _dropout,
    "Gemm": gemm,
    "Identity": _identity,
    "MatMul": matmul,
    "Neg": negative,
    "PRelu": prelu,
    "ai.onnx.ml:Scaler": scaler,
}
