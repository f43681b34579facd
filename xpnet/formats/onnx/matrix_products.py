"""Fully connected layers: MatMul and Gemm, and the biases behind them."""

import math
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.values import BATCH, Layer, Node, Rows, ShapeError, Value, row_of, shown
from xpnet.networks.preprocessing import Standardize, Step, Whiten

__all__ = ["WHITENING", "gemm", "matmul", "rows_of", "split", "spread", "with_bias"]

# How the name of a MatMul begins that xpnet writes for a step of preprocessing.
WHITENING = "xpnet_whiten"


def split(node: Node) -> tuple[Rows, NDArray[Any], bool]:
    """Return the rows and the constant of an operator of two, and whether the rows come first."""
    first, second = (*node.inputs, None, None)[:2]
    if isinstance(first, Rows) and isinstance(second, np.ndarray):
        return first, second, True
    if isinstance(first, np.ndarray) and isinstance(second, Rows):
        return second, first, False
    return node.refuse("it must have one input that depends on the images, and a constant")


def rows_of(node: Node) -> Rows:
    """Return the first input, which must be rows, and the others constants."""
    rows, *others = node.inputs
    if not isinstance(rows, Rows) or any(isinstance(x, Rows) for x in others):
        node.refuse("its first input alone must depend on the images")
    if rows.is_label:
        node.refuse("nothing may follow an ArgMax")
    return rows


def matmul(node: Node) -> Rows:
    """Return rows through a layer without a bias; they may be columns."""
    rows, weight, comes_first = split(node)
    n_axes = weight.ndim
    weight = np.squeeze(weight, tuple(range(weight.ndim - 2))) if _is_padded(weight) else weight
    if weight.ndim != 2:
        node.refuse(f"its weight must be a matrix; got the shape {weight.shape}")
    if comes_first:
        n_in, n_out = weight.shape
        shape = (BATCH, n_in) if rows.shape is None else rows.shape
        if shape[-1:] != (n_in,) or math.prod(shape) != n_in * rows.n_rows:
            _refuse_mismatch(node, shape, weight)
        return _weighted(node, rows, weight, _padded(shape, (*shape[:-1], n_out), n_axes))
    n_out, n_in = weight.shape
    shape = (n_in, BATCH) if rows.shape is None else rows.shape
    if shape[-2:][:1] != (n_in,) or math.prod(shape) != n_in * rows.n_rows:
        _refuse_mismatch(node, shape, weight)
    result = (*shape[:-2], n_out, *shape[1:][-1:])
    return _weighted(node, rows, weight.T, _padded(shape, result, n_axes))


def _padded(shape: tuple[int, ...], result: tuple[int, ...], n_axes: int) -> tuple[int, ...]:
    """Return the shape of a result, with the axes of length 1 that come from the weight."""
    n_axes -= len(shape) == 1  # a vector's own axis is summed over
    return (*[1] * (n_axes - len(result)), *result)


def _is_padded(weight: NDArray[Any]) -> bool:
    return weight.ndim > 2 and math.prod(weight.shape[:-2]) == 1


def _refuse_mismatch(node: Node, shape: tuple[int, ...], weight: NDArray[Any]) -> NoReturn:
    why = f"its weight of shape {weight.shape} does not fit rows of shape {shown(shape)}"
    node.refuse(why, error=ShapeError)


def _weighted(node: Node, rows: Rows, weight: NDArray[Any], shape: tuple[int, ...]) -> Rows:
    if rows.is_label:
        node.refuse("nothing may follow an ArgMax")
    if rows.dtype.kind != "f" or weight.dtype != rows.dtype:
        node.refuse(f"its weight is of {weight.dtype}, its input of {rows.dtype}")
    if 0 in weight.shape:
        node.refuse(f"its weight must not be empty; got the shape {weight.shape}")
    if node.name.startswith(WHITENING) and not rows.layers:
        return rows.with_steps(node, shape, *_whitened(node, rows, weight))
    return rows.with_layers(node, shape, *rows.layers, Layer(np.ascontiguousarray(weight)))


def _whitened(node: Node, rows: Rows, matrix: NDArray[Any]) -> tuple[Step, ...]:
    """Return the steps of rows with the last one, which subtracts a mean, and a matrix as one."""
    last = rows.steps[-1] if rows.steps else None
    if not isinstance(last, Standardize) or not isinstance(last.scale, float) or last.scale != 1.0:
        node.refuse("a mean must be subtracted before it")
    if not np.all(np.isfinite(matrix)) or matrix.shape[0] != matrix.shape[1]:
        node.refuse(f"its matrix must be finite and square; got the shape {matrix.shape}")
    mean = np.broadcast_to(np.asarray(last.mean, matrix.dtype), matrix.shape[:1])
    return (*rows.steps[:-1], Whiten(mean.copy(), np.ascontiguousarray(matrix)))


def gemm(node: Node) -> Rows:
    """Return rows through a layer."""
    a, b, c = (*node.inputs, None, None, None)[:3]
    if isinstance(c, Rows):
        node.refuse("its bias must be a constant")
    if c is not None and c.ndim > 2:
        node.refuse(f"its bias must have at most two axes; got the shape {c.shape}")
    for x in (a, b):
        if isinstance(x, Rows) and x.shape is not None and len(x.shape) != 2:
            node.refuse(f"its input must be a matrix; got rows of shape {shown(x.shape)}")
    sides = [
        _transposed(node, x, is_asked=bool(node.attributes.get(name)))
        for x, name in ((a, "transA"), (b, "transB"))
    ]
    rows = matmul(replace(node, inputs=sides))
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    if alpha != 1.0:
        weight = rows.layers[-1].weight
        with np.errstate(all="ignore"):
            layer = Layer(weight * weight.dtype.type(alpha))
        rows = replace(rows, layers=(*rows.layers[:-1], layer))
    if c is None:
        return rows
    if beta == 0.0:
        spread(node, rows, c)  # which must fit all the same
        return rows
    with np.errstate(all="ignore"):
        return with_bias(node, rows, c * c.dtype.type(beta) if beta != 1.0 else c)


def _transposed(node: Node, x: Value, *, is_asked: bool) -> Value:
    if not is_asked or x is None:
        return x
    if isinstance(x, np.ndarray):
        return x.T
    if x.shape is None:
        node.refuse("the shape of its input must be known")
    return replace(x, shape=x.shape[::-1])


def with_bias(node: Node, rows: Rows, bias: NDArray[Any]) -> Rows:
    """Return rows with a bias added in their last layer."""
    last = rows.layers[-1]
    values, shape = spread(node, rows, bias)
    if bias.dtype != last.weight.dtype:
        node.refuse(f"its constant is of {bias.dtype}, its weight of {last.weight.dtype}")
    with np.errstate(all="ignore"):
        whole = values if last.bias is None else last.bias + values
    return rows.with_layers(node, shape or (), *rows.layers[:-1], replace(last, bias=whole))


def spread(
    node: Node, rows: Rows, constant: NDArray[Any]
) -> tuple[NDArray[Any], tuple[int, ...] | None]:
    """Return a constant as one number for each number of a row, and the shape of both together."""
    if rows.shape is None:
        if constant.size != math.prod(constant.shape[-1:]) or constant.ndim > 2:
            node.refuse(f"its constant of shape {constant.shape} does not fit a row")
        return constant.reshape(-1), None
    try:
        shape = np.broadcast_shapes(constant.shape, rows.shape)
    except ValueError:
        shape = ()
    if math.prod(shape) != math.prod(rows.shape) or not shape:
        why = f"its constant of shape {constant.shape} does not fit rows of shape"
        node.refuse(f"{why} {shown(rows.shape)}")
    if (rows.size or 0) * constant.itemsize > node.most_bytes:
        node.refuse(f"a row of shape {shown(rows.shape)} is far larger than the file")
    return np.broadcast_to(constant, row_of(shape)).reshape(-1), shape
