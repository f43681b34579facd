"""Operators of ONNX that move no number to another place in its row, and what they are told."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.values import BATCH, Node, OperatorError, Rows, ShapeError, Value, shown

__all__ = ["SHAPE_MEANINGS"]

# Only shapes are put together out of constants; weights are not.
_MOST_NUMBERS = 1 << 16
# NumPy has no more axes.
_MOST_AXES = 64


def _reshaped(node: Node, shape: Sequence[int]) -> Value:
    """Return the first input in another shape."""
    x = node.inputs[0]
    if len(shape) > _MOST_AXES:
        node.refuse(f"there must be at most {_MOST_AXES} axes; got {len(shape)}")
    if isinstance(x, Rows):
        if x.shape is not None and not _is_same(x.shape, shape):
            why = f"rows of shape {shown(x.shape)} cannot have the shape {shown(shape)}"
            is_possible = math.prod(x.shape) == math.prod(shape)
            node.refuse(why, error=OperatorError if is_possible else ShapeError)
        return replace(x, shape=tuple(shape), gate=None)
    if not isinstance(x, np.ndarray) or math.prod(shape) != x.size:
        node.refuse(f"its constant cannot have the shape {tuple(shape)}")
    return x.reshape(shape)


def _is_same(before: Sequence[int], after: Sequence[int]) -> bool:
    """Tell whether rows are the same in another shape."""
    long_before, long_after = ([n for n in shape if n != 1] for shape in (before, after))
    if math.prod(before) % BATCH or long_before == long_after:
        return math.prod(before) == math.prod(after)
    # Row after row, on both sides: else numbers of one would get into another.
    is_in_front = not long_before[0] % BATCH and long_after != [] and not long_after[0] % BATCH
    return is_in_front and math.prod(before) == math.prod(after)


def _shape_of(node: Node) -> tuple[int, ...] | None:
    x = node.inputs[0] if node.inputs else None
    if x is None:
        node.refuse("it must have an input")
    return x.shape


def _told(node: Node, name: str, place: int) -> list[int] | None:
    """Return whole numbers that are an attribute, or in newer versions an input."""
    value = node.attributes.get(name)
    if value is None and len(node.inputs) > place:
        value = node.inputs[place]
    if value is None:
        return None
    if isinstance(value, Rows):
        node.refuse(f"its {name} must be constant")
    numbers = np.asarray(value).reshape(-1)
    if numbers.size > _MOST_AXES or (numbers.size and numbers.dtype.kind not in "iu"):
        node.refuse(f"its {name} must be at most {_MOST_AXES} whole numbers")
    return [int(number) for number in numbers]


def _flatten(node: Node) -> Value:
    shape = _shape_of(node)
    if shape is None:  # one row, whatever it is
        return _rows(node)
    axis = int(node.attributes.get("axis", 1))
    axis = axis if axis == len(shape) else node.place_of(axis, len(shape))
    return _reshaped(node, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _rows(node: Node) -> Rows:
    x = node.inputs[0]
    if not isinstance(x, Rows):
        node.refuse("its input must have a shape")
    return x


def _reshape(node: Node) -> Value:
    shape, target = _shape_of(node), _told(node, "shape", 1)
    if target is None:
        node.refuse("its shape must be constant")
    x = node.inputs[0]
    if isinstance(x, Rows) and x.n_rows == BATCH and target and target[0] == node.fixed_batch:
        target[0] = BATCH
    if shape is None:
        if len(target) != 2 or target[0] not in {-1, 0, 1}:
            node.refuse("the shape of its input must be known")
        return _reshaped(node, (BATCH, target[1])) if target[1] > 0 else _rows(node)
    if not node.attributes.get("allowzero"):
        target = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(target)]
    if target.count(-1) == 1:
        rest = math.prod(n for n in target if n != -1)
        target[target.index(-1)] = math.prod(shape) // rest if rest > 0 else 0
    if any(n < 0 for n in target):
        node.refuse(f"its shape must be known; got {target}")
    return _reshaped(node, target)


def _squeeze(node: Node) -> Value:
    shape, axes = _shape_of(node), _told(node, "axes", 1)
    if shape is None:
        return _rows(node)
    if axes == []:
        node.refuse("its axes must be left out or be some; got none of them")
    places = _places(node, axes, len(shape)) if axes else {i for i, n in enumerate(shape) if n == 1}
    if any(shape[i] != 1 for i in places):
        node.refuse(f"its axes {axes} must be of length 1; got the shape {shape}")
    return _reshaped(node, [n for i, n in enumerate(shape) if i not in places])


def _unsqueeze(node: Node) -> Value:
    shape, axes = _shape_of(node), _told(node, "axes", 1)
    if shape is None:
        return _rows(node)
    axes = axes or []
    places = _places(node, axes, len(shape) + len(axes))
    lengths = iter(shape)
    n_axes = len(shape) + len(places)
    return _reshaped(node, [1 if i in places else next(lengths) for i in range(n_axes)])


def _places(node: Node, axes: Sequence[int], n_axes: int) -> set[int]:
    places = {node.place_of(axis, n_axes) for axis in axes}
    if len(places) < len(axes):
        node.refuse(f"its axes {list(axes)} must be different ones")
    return places


def _transpose(node: Node) -> Value:
    x, shape = node.inputs[0], _shape_of(node)
    if shape is None:
        node.refuse("its input must have a shape")
    order = node.attributes.get("perm") or list(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        node.refuse(f"its order {list(order)} must be one of {len(shape)} axes")
    if isinstance(x, np.ndarray):
        return x.transpose(order)
    kept = [axis for axis in order if shape[axis] not in {1, BATCH}]
    if kept != sorted(kept):
        node.refuse("it must not move the numbers of a row")
    return replace(_rows(node), shape=tuple(shape[axis] for axis in order), gate=None)


def _shape(node: Node) -> NDArray[Any]:
    shape = _shape_of(node)
    if shape is None or node.attributes.get("start") or node.attributes.get("end"):
        node.refuse("the shape of its input must be known, and be asked for as a whole")
    return np.asarray(shape, np.int64)


def _constants(node: Node) -> list[NDArray[Any]]:
    """Return the inputs, which must be small constants, such as shapes are made of."""
    arrays = [x for x in node.inputs if isinstance(x, np.ndarray)]
    if len(arrays) != len(node.inputs) or sum(x.size for x in arrays) > _MOST_NUMBERS:
        node.refuse("its inputs must be the numbers of a shape")
    return arrays


def _gather(node: Node) -> NDArray[Any]:
    values, places = _constants(node)
    if places.dtype.kind not in "iu":
        node.refuse("it must be told places")
    axis = node.place_of(int(node.attributes.get("axis", 0)), values.ndim)
    if values.size // max(1, values.shape[axis]) * places.size > _MOST_NUMBERS:
        node.refuse("it must give the numbers of a shape")
    return np.asarray(np.take(values, places, axis=axis))


def _concat(node: Node) -> NDArray[Any]:
    arrays = _constants(node)
    return np.concatenate(arrays, axis=node.place_of(node.attributes["axis"], arrays[0].ndim))


SHAPE_MEANINGS: Mapping[str, Callable[[Node], Value]] = {
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _gather,
    "Reshape": _reshape,
    "Shape": _shape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
