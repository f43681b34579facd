"""Values of a graph: constant arrays, or rows that depend on the input; and the nodes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.networks.preprocessing import Step

__all__ = [
    "BATCH",
    "GraphLayer",
    "GraphRows",
    "Node",
    "OperatorError",
    "ShapeError",
    "Value",
    "broadcast_to_row",
    "format_shape",
]

# Length of the batch in a graph that accepts any: a prime, so that a product of lengths reveals
# whether the batch is a factor, and the largest number that both int32 and int64 hold.
BATCH = (1 << 31) - 1
# Version of ONNX's operators from which on axes may be negative.
_NEGATIVE_AXES = 11
# Limit of layers and of steps; a file of a larger network is an attack on memory.
_MAX_LAYERS = 1000


class OperatorError(ValueError):
    """An operation that no network of fully connected layers contains."""


class ShapeError(OperatorError):
    """Shapes that do not fit: no runtime can execute the graph."""


@dataclass(frozen=True, eq=False)
class GraphLayer:
    """A fully connected layer; a bias may be added while it has no activation."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None
    activation: str = "identity"
    options: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = True


@dataclass(frozen=True, eq=False)
class GraphRows:
    """A value that depends on the input through preprocessing and layers.

    The length of the batch in `shape` is `BATCH`, unless the file fixes it at 1.
    """

    shape: tuple[int, ...] | None  # None if unknown
    dtype: np.dtype[Any]
    steps: tuple[Step, ...] = ()
    layers: tuple[GraphLayer, ...] = ()
    is_label: bool = False  # whether the value is the index of the largest output, or its name
    classes: tuple[Any, ...] = ()  # the names from which that index chooses
    # Argument of the sigmoid or hard sigmoid that gave this value; their product is silu.
    gate: "GraphRows | None" = None

    @property
    def size(self) -> int | None:
        """Number of values per row."""
        return None if self.shape is None else math.prod(self.shape) // self.n_rows

    @property
    def n_rows(self) -> int:
        """`BATCH`, or 1 if the file fixes the batch at 1."""
        return BATCH if self.shape is None or math.prod(self.shape) % BATCH == 0 else 1

    def with_layers(self, node: "Node", shape: Sequence[int], *layers: GraphLayer) -> "GraphRows":
        """Return rows with another shape and these layers."""
        if len(layers) > _MAX_LAYERS:
            node.reject(f"the network must have at most {_MAX_LAYERS} layers")
        return replace(self, shape=tuple(shape), layers=layers, gate=None)

    def with_steps(self, node: "Node", shape: Sequence[int] | None, *steps: Step) -> "GraphRows":
        """Return rows with another shape and these steps of preprocessing."""
        if len(steps) > _MAX_LAYERS:
            node.reject(f"the network must have at most {_MAX_LAYERS} steps of preprocessing")
        return replace(self, shape=None if shape is None else tuple(shape), steps=steps, gate=None)


Value = GraphRows | NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class Node:
    """An operation with its inputs."""

    operator: str
    name: str
    inputs: Sequence[Value]  # None for an omitted input
    attributes: Mapping[str, Any]
    version: int  # of ONNX's operators
    fixed_batch: int | None  # length of the batch if the file fixes it
    max_bytes: int  # of the result

    def rows(self) -> GraphRows:
        """Return the first input, which must be rows; the others must be constants."""
        rows, *others = self.inputs
        if not isinstance(rows, GraphRows) or any(isinstance(x, GraphRows) for x in others):
            self.reject("only its first input may depend on the images")
        if rows.is_label:
            self.reject("nothing may follow an ArgMax")
        return rows

    def rows_and_constant(self) -> tuple[GraphRows, NDArray[Any], bool]:
        """Return the two inputs, rows and a constant, and whether the rows come first."""
        first, second = (*self.inputs, None, None)[:2]
        comes_first = isinstance(first, GraphRows)
        rows, constant = (first, second) if comes_first else (second, first)
        if not isinstance(rows, GraphRows) or not isinstance(constant, np.ndarray):
            self.reject("it must have one input that depends on the images, and a constant")
        if rows.is_label:
            self.reject("nothing may follow an ArgMax")
        return rows, constant, comes_first

    def input_rows(self) -> GraphRows:
        """Return the first input, which must be rows."""
        if not isinstance(self.inputs[0], GraphRows):
            self.reject("its first input must depend on the images")
        return self.inputs[0]

    def axis(self, axis: int, n_axes: int) -> int:
        """Return an axis as a non-negative number; raise if it is out of range."""
        if not -n_axes <= axis < n_axes:
            self.reject(f"its axis {axis} must be one of {n_axes}")
        if axis < 0 and self.version < _NEGATIVE_AXES:
            self.reject(f"its axis {axis} must not be negative before version {_NEGATIVE_AXES}")
        return axis % n_axes

    def reject(self, reason: str, *, error: type[OperatorError] = OperatorError) -> NoReturn:
        """Raise an error that names the operation."""
        msg = f"ONNX operator {self.operator} ({quoted(self.name)}): {reason}"
        raise error(msg)


def broadcast_to_row(
    node: Node, rows: GraphRows, constant: NDArray[Any]
) -> tuple[NDArray[Any], tuple[int, ...] | None]:
    """Return a constant as one number per value of a row, and the shape of the result."""
    if rows.shape is None:
        if constant.size != math.prod(constant.shape[-1:]) or constant.ndim > 2:
            node.reject(f"its constant of shape {constant.shape} does not fit a row")
        return constant.reshape(-1), None
    try:
        shape = np.broadcast_shapes(constant.shape, rows.shape)
    except ValueError:
        shape = ()
    if math.prod(shape) != math.prod(rows.shape) or not shape:
        reason = f"its constant of shape {constant.shape} does not fit rows of shape"
        node.reject(f"{reason} {format_shape(rows.shape)}")
    if (rows.size or 0) * constant.itemsize > node.max_bytes:
        node.reject(f"a row of shape {format_shape(rows.shape)} is far larger than the file")
    row_shape = tuple(n if n % BATCH else n // BATCH for n in shape)
    return np.broadcast_to(constant, row_shape).reshape(-1), shape


def format_shape(shape: Sequence[int]) -> str:
    """Return a shape for a message, with N as the batch."""
    lengths = []
    for n in shape:
        count = "" if n == BATCH else n // BATCH
        lengths.append(str(n) if n == 0 or n % BATCH else f"{count}N")
    return f"({', '.join(lengths)})"
