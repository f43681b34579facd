"""What each operator of ONNX makes of rows and of constants: the table `MEANINGS`."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.onnx.graph import Layer, Node, Rows, Value
from xpnet.formats.onnx.library import onnx_library
from xpnet.formats.onnx.operators import CLIPS, OPERATORS, options_of
from xpnet.formats.onnx.shapes import SHAPE_MEANINGS
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = ["MEANINGS"]

Meaning = Callable[[Node], Value]
# The version of ONNX's operators from which on softmax is along one axis.
_ONE_AXIS = 13


def _split(node: Node) -> tuple[Rows, NDArray[Any], bool]:
    """Return the rows and the constant of an operator of two, and whether the rows come first."""
    first, second = (*node.inputs, None, None)[:2]
    if isinstance(first, Rows) and isinstance(second, np.ndarray):
        return first, second, True
    if isinstance(first, np.ndarray) and isinstance(second, Rows):
        return second, first, False
    return node.refuse("it must have one input that depends on the images, and a constant")


def _rows(node: Node) -> Rows:
    """Return the first input, which must be rows, and the others constants."""
    rows, *others = node.inputs
    if not isinstance(rows, Rows) or any(isinstance(x, Rows) for x in others):
        node.refuse("its first input alone must depend on the images")
    if rows.is_label:
        node.refuse("nothing may follow an ArgMax")
    return rows


# Fully connected layers


def _matmul(node: Node) -> Rows:
    rows, weight, comes_first = _split(node)
    weight = np.squeeze(weight, tuple(range(weight.ndim - 2))) if _is_padded(weight) else weight
    if weight.ndim != 2:  # noqa: PLR2004 (a matrix)
        node.refuse(f"its weight must be a matrix; got the shape {weight.shape}")
    if comes_first:
        n_in, n_out = weight.shape
        shape = rows.shape or (1, n_in)
        if shape[-1] != n_in or math.prod(shape) != n_in:
            _refuse_mismatch(node, shape, weight)
        return _weighted(node, rows, weight, (*shape[:-1], n_out))
    n_out, n_in = weight.shape
    shape = rows.shape or (n_in,)
    is_column = math.prod(shape) == n_in and (len(shape) == 1 or shape[-1] == 1)
    if not is_column or shape[-2:][0] != n_in:
        _refuse_mismatch(node, shape, weight)
    return _weighted(node, rows, weight.T, (*shape[:-2], n_out, 1) if shape[1:] else (n_out,))


def _is_padded(weight: NDArray[Any]) -> bool:
    return weight.ndim > 2 and math.prod(weight.shape[:-2]) == 1  # noqa: PLR2004 (a matrix)


def _refuse_mismatch(node: Node, shape: tuple[int, ...], weight: NDArray[Any]) -> NoReturn:
    node.refuse(f"its weight of shape {weight.shape} does not fit one row of shape {shape}")


def _weighted(node: Node, rows: Rows, weight: NDArray[Any], shape: tuple[int, ...]) -> Rows:
    if rows.is_label:
        node.refuse("nothing may follow an ArgMax")
    if rows.dtype.kind != "f" or weight.dtype != rows.dtype:
        node.refuse(f"its weight is of {weight.dtype}, its input of {rows.dtype}")
    if 0 in weight.shape:
        node.refuse(f"its weight must not be empty; got the shape {weight.shape}")
    layers = (*rows.layers, Layer(np.ascontiguousarray(weight)))
    return replace(rows, shape=shape, layers=layers, gate=None)


def _gemm(node: Node) -> Rows:
    a, b, c = (*node.inputs, None, None, None)[:3]
    if isinstance(c, Rows):
        node.refuse("its bias must be a constant")
    sides = [
        _transposed(x, is_asked=bool(node.attributes.get(name)))
        for x, name in ((a, "transA"), (b, "transB"))
    ]
    rows = _matmul(replace(node, inputs=sides))
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    if alpha != 1.0:
        weight = rows.layers[-1].weight
        layers = (*rows.layers[:-1], Layer(weight * weight.dtype.type(alpha)))
        rows = replace(rows, layers=layers)
    if c is None or beta == 0.0:
        return rows
    return _with_bias(node, rows, c * c.dtype.type(beta) if beta != 1.0 else c)


def _transposed(x: Value, *, is_asked: bool) -> Value:
    if not is_asked or x is None:
        return x
    if isinstance(x, Rows):
        return replace(x, shape=None if x.shape is None else x.shape[::-1])
    return x.T


def _with_bias(node: Node, rows: Rows, bias: NDArray[Any]) -> Rows:
    last = rows.layers[-1]
    values = _spread(node, rows, bias)
    if bias.dtype != last.weight.dtype:
        node.refuse(f"its constant is of {bias.dtype}, its weight of {last.weight.dtype}")
    whole = values if last.bias is None else last.bias + values
    layers = (*rows.layers[:-1], replace(last, bias=whole))
    return replace(rows, layers=layers, gate=None)


def _spread(node: Node, rows: Rows, constant: NDArray[Any]) -> NDArray[Any]:
    """Return a constant as one number for each number of a row."""
    if rows.shape is None:
        if constant.size != math.prod(constant.shape[-1:]):
            node.refuse(f"its constant of shape {constant.shape} does not fit a row")
        return constant.reshape(-1)
    try:
        shape = np.broadcast_shapes(constant.shape, rows.shape)
    except ValueError:
        shape = ()
    if math.prod(shape) != rows.size or not shape:
        why = f"its constant of shape {constant.shape} does not fit one row of shape {rows.shape}"
        node.refuse(why)
    return np.broadcast_to(constant, shape).reshape(-1)


# Arithmetic: preprocessing before the layers, biases behind their products


def _arithmetic(node: Node) -> Value:
    if all(isinstance(x, np.ndarray) for x in node.inputs):
        return _of_constants(node)
    if node.operator == "Mul" and (gated := _gated(*node.inputs) or _gated(*node.inputs[::-1])):
        return _activated(node, gated, "silu")
    rows, constant, comes_first = _split(node)
    if rows.is_label:
        node.refuse("nothing may follow an ArgMax")
    if rows.dtype.kind != "f" or constant.dtype != rows.dtype:
        node.refuse(f"its constant is of {constant.dtype}, its input of {rows.dtype}")
    if not rows.layers:
        steps = _steps(node, rows, constant, comes_first=comes_first)
        return replace(rows, steps=_joined((*rows.steps, *steps)), gate=None)
    if (
        not rows.layers[-1].is_open
        or node.operator not in {"Add", "Sub"}
        or (not comes_first and node.operator == "Sub")
    ):
        node.refuse("behind a layer, only its bias may be added")
    return _with_bias(node, rows, -constant if node.operator == "Sub" else constant)


def _gated(x: Value, gate: Value) -> Rows | None:
    """Return x if the other value is its sigmoid."""
    return x if isinstance(x, Rows) and isinstance(gate, Rows) and gate.gate is x else None


def _of_constants(node: Node) -> NDArray[Any]:
    a, b = node.inputs
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray) or a.dtype != b.dtype:
        node.refuse("its constants must be of one dtype")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        shape = (-1,)
    if math.prod(shape) not in {a.size, b.size}:
        node.refuse(f"its constants of shapes {a.shape} and {b.shape} do not fit")
    is_division = node.operator == "Div" and a.dtype.kind in "iu"
    if is_division and not np.all(b):
        node.refuse("it divides by zero")
    name = "floor_divide" if is_division else _UFUNCS[node.operator]
    with np.errstate(all="ignore"):
        return np.asarray(getattr(np, name)(a, b))


_UFUNCS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}


def _steps(
    node: Node, rows: Rows, constant: NDArray[Any], *, comes_first: bool
) -> tuple[Step, ...]:
    """Return arithmetic with a constant as steps of preprocessing."""
    value: Any = (
        float(constant.reshape(-1)[0]) if constant.size == 1 else _spread(node, rows, constant)
    )
    if not np.all(np.isfinite(value)) or (node.operator in {"Mul", "Div"} and not np.all(value)):
        node.refuse("its constant must be finite, and not zero for a product or quotient")
    if node.operator == "Add":
        return (Standardize(mean=-value),)
    if node.operator == "Sub":
        return (
            (Standardize(mean=value),) if comes_first else (Scale(-1.0), Standardize(mean=-value))
        )
    if node.operator == "Mul":
        return (Scale(value) if isinstance(value, float) else Standardize(scale=1.0 / value),)
    if not comes_first:
        node.refuse("a constant divided by inputs is no preprocessing")
    return (Standardize(scale=value),)


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


def _negative(node: Node) -> Value:
    (x,) = node.inputs
    if isinstance(x, np.ndarray):
        return np.negative(x)
    rows = _rows(node)
    if rows.layers or rows.dtype.kind != "f":
        node.refuse("it is no preprocessing here")
    return replace(rows, steps=(*rows.steps, Scale(-1.0)), gate=None)


# Activations


def _activation(node: Node) -> Rows:
    rows = _rows(node)
    attributes = dict(node.attributes)
    if node.operator in {"Softmax", "LogSoftmax"}:
        # Before, the axes from the given one on were one.
        is_one_axis = node.version >= _ONE_AXIS
        axis = attributes.pop("axis", -1 if is_one_axis else 1)
        _check_axis(node, rows, axis, and_following=not is_one_axis)
    for name, operator in OPERATORS.items():
        if operator.name == node.operator:
            options = options_of(operator, attributes)
            if options is not None:
                activated = _activated(node, rows, name, options)
                return replace(activated, gate=rows if name == "sigmoid" else None)
    return node.refuse(f"xpnet has no such activation with {attributes}")


def _check_axis(node: Node, rows: Rows, axis: int, *, and_following: bool = False) -> None:
    """Refuse a function along an axis that is not a whole row."""
    shape = rows.shape or ()
    along = shape[axis:] if and_following or axis == -1 else shape[axis : axis + 1]
    if math.prod(along) != rows.size:
        why = f"its axis {axis} must be that of the units; a row has the shape {shape}"
        node.refuse(why)


def _activated(node: Node, rows: Rows, name: str, options: Mapping[str, Any] | None = None) -> Rows:
    if not rows.layers or not rows.layers[-1].is_open:
        node.refuse("an activation must follow a fully connected layer")
    last = replace(rows.layers[-1], activation=name, options=options or {}, is_open=False)
    return replace(rows, layers=(*rows.layers[:-1], last), gate=None)


def _prelu(node: Node) -> Rows:
    rows, slope, comes_first = _split(node)
    slopes = np.unique(slope)
    if not comes_first or slopes.size != 1:
        node.refuse("its slope must be the same for all units")
    return _activated(node, rows, "leaky_relu", {"negative_slope": float(slopes[0])})


def _clip(node: Node) -> Rows:
    rows = _rows(node)
    bounds = [node.attributes.get("min"), node.attributes.get("max")]
    for i, x in enumerate(node.inputs[1:3]):
        bounds[i] = x if x is None else float(np.asarray(x).reshape(-1)[0])
    low, high = (
        -np.inf if bounds[0] is None else bounds[0],
        np.inf if bounds[1] is None else bounds[1],
    )
    largest = float(np.finfo(np.float32).max)  # what old exporters write for no bound
    for name, known in CLIPS.items():
        if low == known[0] and (high == known[1] or (high >= largest and known[1] == np.inf)):
            return _activated(node, rows, name)
    return node.refuse(f"xpnet has no activation that clips to {low} .. {high}")


# The rest


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
    return _through(node)


def _cast(node: Node) -> Value:
    dtype = np.dtype(onnx_library().helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    x = node.inputs[0]
    if isinstance(x, np.ndarray):
        with np.errstate(all="ignore"):
            return x.astype(dtype)
    rows = _through(node)
    if rows.is_label:
        return rows
    is_first = not rows.steps and not rows.layers
    if dtype.kind != "f" or not (is_first or np.can_cast(rows.dtype, dtype)):
        node.refuse(f"it rounds from {rows.dtype} to {dtype} within the network")
    return replace(rows, dtype=dtype)


def _constant(node: Node) -> NDArray[Any]:
    kinds = dict.fromkeys(("value_float", "value_floats"), "float32")
    kinds |= dict.fromkeys(("value_int", "value_ints"), "int64")
    for name, value in node.attributes.items():
        if name == "value" and isinstance(value, np.ndarray):
            return value
        if name in kinds:
            return np.asarray(value, kinds[name])
    return node.refuse("it must hold a tensor of numbers")


def _argmax(node: Node) -> Rows:
    rows = _rows(node)
    _check_axis(node, rows, node.attributes.get("axis", 0))
    if node.attributes.get("select_last_index"):
        node.refuse("it must choose the first of equal outputs")
    return replace(rows, is_label=True, dtype=np.dtype(np.int64))


MEANINGS: Mapping[str, Meaning] = {
    **SHAPE_MEANINGS,
    **{operator.name: _activation for operator in OPERATORS.values()},
    **dict.fromkeys(_UFUNCS, _arithmetic),
    "ArgMax": _argmax,
    "Cast": _cast,
    "Clip": _clip,
    "Constant": _constant,
    "Dropout": _dropout,
    "Gemm": _gemm,
    "Identity": _identity,
    "MatMul": _matmul,
    "Neg": _negative,
    "PRelu": _prelu,
}
