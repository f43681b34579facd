"""Table of the ONNX operators that xpnet reads, each with a function of a `Node`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.activations import (
    ACTIVATION_OPERATORS,
    activation,
    check_axis,
    clip,
    prelu,
)
from xpnet.formats.onnx.arithmetic import UFUNCS, arithmetic, gemm, matmul, negative, scaler
from xpnet.formats.onnx.shape_operators import SHAPE_OPERATORS
from xpnet.formats.onnx.tensors import numpy_dtype
from xpnet.formats.onnx.values import BATCH, GraphRows, Node, Value

__all__ = ["OPERATORS"]


def _identity(node: Node) -> Value:
    return node.inputs[0] if isinstance(node.inputs[0], np.ndarray) else node.input_rows()


def _dropout(node: Node) -> Value:
    constants = [x for x in node.inputs[1:] if isinstance(x, np.ndarray)]
    if any(x.dtype.kind == "b" and bool(np.any(x)) for x in constants):
        node.reject("it must not be in training mode")
    if any(x.ndim for x in constants):
        node.reject("its ratio and mode must be scalars")
    return node.input_rows()


def _cast(node: Node) -> Value:
    x = node.inputs[0]
    dtype = numpy_dtype(node.attributes["to"], "the result of the cast")
    if isinstance(x, np.ndarray):
        if dtype.kind == "f" and x.dtype.kind in "iu" and np.any((x != 0) & (x % BATCH == 0)):
            node.reject("the number of rows must not enter the arithmetic")
        with np.errstate(all="ignore"):
            return x.astype(dtype)
    rows = node.input_rows()
    if rows.is_label:
        names = np.asarray(rows.classes, object).astype(dtype)
        return replace(rows, classes=tuple(names.tolist()))
    is_first = not rows.steps and not rows.layers
    is_wider = bool(rows.layers) and np.can_cast(rows.dtype, dtype)
    if dtype.kind != "f" or not (is_first or is_wider or dtype == rows.dtype):
        node.reject(f"it rounds from {rows.dtype} to {dtype} within the network")
    return replace(rows, dtype=dtype, gate=None)


def _constant(node: Node) -> NDArray[Any]:
    dtypes = dict.fromkeys(("value_float", "value_floats"), "float32")
    dtypes |= dict.fromkeys(("value_int", "value_ints"), "int64")
    for name, value in node.attributes.items() if len(node.attributes) == 1 else ():
        if name == "value" and isinstance(value, np.ndarray):
            return value
        if name in dtypes:
            return np.asarray(value, dtypes[name])
    return node.reject("it must hold a tensor of numbers")


def _argmax(node: Node) -> GraphRows:
    rows = node.rows()
    axis = node.attributes.get("axis", 0)
    check_axis(node, rows, axis)
    if node.attributes.get("select_last_index"):
        node.reject("it must choose the first of equal outputs")
    shape = list(rows.shape or ())
    shape[axis] = 1
    if node.attributes.get("keepdims", 1) != 1:
        del shape[axis]
    dtype = np.dtype(np.int64)
    return replace(rows, shape=tuple(shape), dtype=dtype, is_label=True, gate=None)


def _name_labels(node: Node) -> GraphRows:
    """Return labels whose index chooses from a constant: the names of the classes."""
    names, rows = node.inputs
    if not isinstance(names, np.ndarray) or not isinstance(rows, GraphRows) or not rows.is_label:
        node.reject("it must choose from a constant by the index of the largest output")
    if rows.classes or names.shape[-1:] != (names.size,):
        node.reject("it must choose once, and from a list")
    return replace(rows, shape=(1, rows.n_rows), classes=tuple(names.reshape(-1).tolist()))


OPERATORS: Mapping[str, Callable[[Node], Value]] = {
    **SHAPE_OPERATORS,
    **{operator.name: activation for operator in ACTIVATION_OPERATORS.values()},
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
    "ai.onnx.ml:ArrayFeatureExtractor": _name_labels,
    "ai.onnx.ml:Scaler": scaler,
}
