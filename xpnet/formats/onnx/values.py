"""What is known of a value of a graph: an array of constants, or rows that depend on the input."""

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
    "Layer",
    "Node",
    "OperatorError",
    "Rows",
    "ShapeError",
    "Value",
    "row_of",
    "shown",
]

# The length of the batch wherever a graph works for any: a prime, so that a product of lengths
# tells whether the batch is in it, and the largest that both int32 and int64 hold.
BATCH = (1 << 31) - 1
# The version of ONNX's operators from which on an axis may be negative, counted from the end.
_NEGATIVE_AXES = 11
# A network of more is taken for one that was made to fill the memory.
_MOST_LAYERS = 1000


class OperatorError(ValueError):
    """An operation that no network of fully connected layers has."""


class ShapeError(OperatorError):
    """Shapes that do not fit, so that no runtime could go on either."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A fully connected layer on the way; without an activation yet, it may get a bias."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None
    activation: str = "identity"
    options: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = True

    @property
    def whole_bias(self) -> NDArray[Any]:
        """The bias, zero if there is none."""
        if self.bias is not None:
            return self.bias
        return np.zeros(self.weight.shape[1], self.weight.dtype)


@dataclass(frozen=True, eq=False)
class Rows:
    """A value that depends on the inputs.

    Attributes
    ----------
    shape : tuple of int, or None
        `BATCH` where its batch is, unless the file fixes it at 1; None where the file does not
        tell.
    dtype : numpy.dtype
        Of its numbers.
    steps, layers : tuple
        What they have come through.
    is_label : bool
        Whether it is no more than the place of the largest of them.
    gate : Rows, optional
        What this is the sigmoid of, or its like: together they make silu.
    """

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]
    steps: tuple[Step, ...] = ()
    layers: tuple[Layer, ...] = ()
    is_label: bool = False
    gate: "Rows | None" = None

    @property
    def size(self) -> int | None:
        """How many numbers a row has."""
        return None if self.shape is None else math.prod(self.shape) // self.n_rows

    @property
    def n_rows(self) -> int:
        """`BATCH`, or 1 where the file fixes that."""
        return BATCH if self.shape is None or math.prod(self.shape) % BATCH == 0 else 1

    def with_layers(self, node: "Node", shape: Sequence[int], *layers: Layer) -> "Rows":
        """Return rows of another shape that have come through these layers."""
        if len(layers) > _MOST_LAYERS:
            node.refuse(f"there must be at most {_MOST_LAYERS} layers")
        return replace(self, shape=tuple(shape), layers=layers, gate=None)

    def with_steps(self, node: "Node", shape: Sequence[int] | None, *steps: Step) -> "Rows":
        """Return rows of another shape that have come through this preprocessing."""
        if len(steps) > _MOST_LAYERS:
            node.refuse(f"there must be at most {_MOST_LAYERS} steps of preprocessing")
        return replace(self, shape=None if shape is None else tuple(shape), steps=steps, gate=None)


Value = Rows | NDArray[Any] | None


def row_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a single row."""
    return tuple(n if n % BATCH else n // BATCH for n in shape)


def shown(shape: Sequence[int]) -> str:
    """Return a shape for a message, with N for the batch."""
    return f"({', '.join(map(_length, shape))})"


def _length(n: int) -> str:
    if n == 0 or n % BATCH:
        return str(n)
    return "N" if n == BATCH else f"{n // BATCH}N"


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes
    ----------
    operator, name : str
    inputs : sequence of Value
        None where one is left out.
    attributes : mapping of str to value
    version : int
        Of ONNX's operators.
    fixed_batch : int or None
        The batch that the file fixes.
    most_bytes : int
        How many bytes what it makes may take.
    """

    operator: str
    name: str
    inputs: Sequence[Value]
    attributes: Mapping[str, Any]
    version: int
    fixed_batch: int | None
    most_bytes: int

    def place_of(self, axis: int, n_axes: int) -> int:
        """Return an axis counted from the first one; raise if it is out of range."""
        if not -n_axes <= axis < n_axes:
            self.refuse(f"its axis {axis} must be one of {n_axes}")
        if axis < 0 and self.version < _NEGATIVE_AXES:
            self.refuse(f"its axis {axis} must not be negative before version {_NEGATIVE_AXES}")
        return axis % n_axes

    def refuse(self, why: str, *, error: type[OperatorError] = OperatorError) -> NoReturn:
        """Raise an error that names the operation."""
        msg = f"ONNX operator {self.operator} ({quoted(self.name)}): {why}"
        raise error(msg)
