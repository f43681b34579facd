"""Operators that change shapes and keep the order of values in a row: Reshape, Transpose etc."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.values import (
    BATCH,
    GraphRows,
    Node,
    OperatorError,
    ShapeError,
    Value,
    format_shape,
)

__all__ = ["SHAPE_OPERATORS"]

# Limit of computed constants, which are shapes, not weights.
_MAX_NUMBERS = 1 << 16
# NumPy's limit.
_MAX_AXES = 64


def _reshaped(node: Node, shape: Sequence[int]) -> Value:
    """Return the first input in another shape."""
    x = node.inputs[0]
    if len(shape) > _MAX_AXES:
        node.reject(f"its result must have at most {_MAX_AXES} axes; got {len(shape)}")
    if isinstance(x, GraphRows):
        if x.shape is not None and not _has_same_rows(x.shape, shape):
            before, after = format_shape(x.shape), format_shape(shape)
            is_possible = math.prod(x.shape) == math.prod(shape)
            error = OperatorError if is_possible else ShapeError
            node.reject(f"rows of shape {before} cannot have the shape {after}", error=error)
        return replace(x, shape=tuple(shape), gate=None)
    if not isinstance(x, np.ndarray) or math.prod(shape) != x.size:
        node.reject(f"its constant cannot have the shape {tuple(shape)}")
    return x.reshape(shape)


def _has_same_rows(before: Sequence[int], after: Sequence[int]) -> bool:
    """Return whether two shapes contain the same rows."""
    if math.prod(before) != math.prod(after):
        return False
    long_before, long_after = ([n for n in shape if n != 1] for shape in (before, after))
    if math.prod(before) % BATCH or long_before == long_after:
        return True
    # The batch must come first in both: otherwise rows would mix.
    return not long_before[0] % BATCH and long_after != [] and not long_after[0] % BATCH


def _input_shape(node: Node) -> tuple[int, ...] | None:
    x = node.inputs[0] if node.inputs else None
    if x is None:
        node.reject("it must have an input")
    return x.shape


def _integers(node: Node, name: str, position: int) -> list[int] | None:
    """Return integers from an attribute, or in newer versions from an input."""
    value = node.attributes.get(name)
    if value is None and len(node.inputs) > position:
        value = node.inputs[position]
    if value is None:
        return None
    if isinstance(value, GraphRows):
        node.reject(f"its {name} must be constant")
    numbers = np.asarray(value).reshape(-1)
    if numbers.size > _MAX_AXES or (numbers.size and numbers.dtype.kind not in "iu"):
        node.reject(f"its {name} must be at most {_MAX_AXES} integers")
    return [int(number) for number in numbers]


def _flatten(node: Node) -> Value:
    shape = _input_shape(node)
    if shape is None:  # one row of unknown shape
        return node.input_rows()
    axis = int(node.attributes.get("axis", 1))
    axis = axis if axis == len(shape) else node.axis(axis, len(shape))
    return _reshaped(node, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _reshape(node: Node) -> Value:
    shape, target = _input_shape(node), _integers(node, "shape", 1)
    if target is None:
        node.reject("its shape must be constant")
    x = node.inputs[0]
    if isinstance(x, GraphRows) and x.n_rows == BATCH and target and target[0] == node.fixed_batch:
        target[0] = BATCH
    if shape is None:
        if len(target) != 2 or target[0] not in {-1, 0, 1}:
            node.reject("the shape of its input must be known")
        return _reshaped(node, (BATCH, target[1])) if target[1] > 0 else node.input_rows()
    if not node.attributes.get("allowzero"):
        target = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(target)]
    if target.count(-1) == 1:
        rest = math.prod(n for n in target if n != -1)
        target[target.index(-1)] = math.prod(shape) // rest if rest > 0 else 0
    if any(n < 0 for n in target):
        node.reject(f"its shape must be known; got {target}")
    return _reshaped(node, target)


def _squeeze(node: Node) -> Value:
    shape, axes = _input_shape(node), _integers(node, "axes", 1)
    if shape is None:
        return node.input_rows()
    if axes == []:
        node.reject("its axes must be omitted or not empty; got an empty list")
    removed = _axes(node, axes, len(shape)) if axes else {i for i, n in enumerate(shape) if n == 1}
    if any(shape[i] != 1 for i in removed):
        node.reject(f"its axes {axes} must be of length 1; got the shape {shape}")
    return _reshaped(node, [n for i, n in enumerate(shape) if i not in removed])


def _unsqueeze(node: Node) -> Value:
    shape, axes = _input_shape(node), _integers(node, "axes", 1) or []
    if shape is None:
        return node.input_rows()
    n_axes = len(shape) + len(axes)
    added = _axes(node, axes, n_axes)
    lengths = iter(shape)
    return _reshaped(node, [1 if i in added else next(lengths) for i in range(n_axes)])


def _axes(node: Node, axes: Sequence[int], n_axes: int) -> set[int]:
    found = {node.axis(axis, n_axes) for axis in axes}
    if len(found) < len(axes):
        node.reject(f"its axes {list(axes)} must differ")
    return found


def _transpose(node: Node) -> Value:
    x, shape = node.inputs[0], _input_shape(node)
    if shape is None:
        node.reject("its input must have a shape")
    order = node.attributes.get("perm") or list(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        node.reject(f"its order {list(order)} must be one of {len(shape)} axes")
    if isinstance(x, np.ndarray):
        return x.transpose(order)
    kept = [axis for axis in order if shape[axis] not in {1, BATCH}]
    if kept != sorted(kept):
        node.reject("it must not move the values of a row")
    return replace(node.input_rows(), shape=tuple(shape[axis] for axis in order), gate=None)


def _shape(node: Node) -> NDArray[Any]:
    shape = _input_shape(node)
    if shape is None or node.attributes.get("start") or node.attributes.get("end"):
        node.reject("the shape of its input must be known, and must not be sliced")
    return np.asarray(shape, np.int64)


def _small_constants(node: Node) -> list[NDArray[Any]]:
    arrays = [x for x in node.inputs if isinstance(x, np.ndarray)]
    if len(arrays) != len(node.inputs) or sum(x.size for x in arrays) > _MAX_NUMBERS:
        node.reject("its inputs must be the numbers of a shape")
    return arrays


def _gather(node: Node) -> NDArray[Any]:
    values, indices = _small_constants(node)
    if indices.dtype.kind not in "iu":
        node.reject("its indices must be integers")
    axis = node.axis(int(node.attributes.get("axis", 0)), values.ndim)
    if values.size // max(1, values.shape[axis]) * indices.size > _MAX_NUMBERS:
        node.reject("it must give the numbers of a shape")
    return np.asarray(np.take(values, indices, axis=axis))


def _concat(node: Node) -> NDArray[Any]:
    arrays = _small_constants(node)
    return np.concatenate(arrays, axis=node.axis(node.attributes["axis"], arrays[0].ndim))


SHAPE_OPERATORS: Mapping[str, Callable[[Node], Value]] = {
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _gather,
    "Reshape": _reshape,
    "Shape": _shape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
