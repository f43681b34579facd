"""The chain of operations of an ONNX graph, as far as it is read."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.chain import Linear, Part
from xpnet.formats.onnx.schemas import Operation, Spec

__all__ = ["Arrays", "ChainBuilder", "Link", "weight_of"]

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


class Link(NamedTuple):
    """An operation between the input of a graph and its output."""

    node: Operation
    rows: str  # name of the input that depends on the images
    gate: str | None = None  # activation that the product of two such inputs is

    @property
    def comes_first(self) -> bool:
        """Whether the rows are the first input."""
        return bool(self.node.proto.input[0] == self.rows)


@dataclass(eq=False)
class ChainBuilder:
    """The chain of the operations so far, and the names of the classes after an ArgMax."""

    constants: Arrays
    specs: Mapping[str, Spec]  # dtypes and shapes of the values for one row
    count: Callable[[Operation, int], None]  # of the bytes that an operation computes
    parts: list[tuple[str, Part]] = field(default_factory=list)
    has_layers: bool = False
    is_label: bool = False
    classes: tuple[Any, ...] = ()

    @property
    def last(self) -> Part | None:
        """The last operation."""
        return self.parts[-1][1] if self.parts else None

    def append(self, node: Operation, *parts: Part, n_replaced: int = 0) -> None:
        """Append operations, for which the last ones are removed."""
        self.parts[len(self.parts) - n_replaced :] = [(node.where, part) for part in parts]
        self.has_layers |= isinstance(self.last, Linear)
        arrays = [x for part in parts for x in vars(part).values() if isinstance(x, np.ndarray)]
        self.count(node, sum(x.nbytes for x in arrays))

    def constant(self, link: Link, i: int) -> NDArray[Any] | None:
        """Return another input than the rows; None if it is omitted."""
        names = link.node.proto.input
        return self.constants[names[i]] if i < len(names) and names[i] else None

    def operand(self, link: Link) -> NDArray[Any]:
        """Return the other one of two inputs, which inference has found to be of one dtype."""
        dtype = self.specs[link.rows].dtype
        if dtype.kind != "f":
            link.node.reject(f"its inputs must be floating-point numbers; got {dtype}")
        return self.constants[link.node.proto.input[link.comes_first]]

    def row_of(self, node: Operation, name: str, x: NDArray[Any]) -> NDArray[Any]:
        """Return a constant as one number per value of a row."""
        shape = self.specs[name].shape
        try:
            joint = np.broadcast_shapes(x.shape, shape)
        except ValueError:
            joint = (0,)
        if math.prod(joint) != math.prod(shape):
            node.reject(f"its constant of shape {x.shape} does not fit a row of shape {shape}")
        return np.broadcast_to(x, joint).reshape(-1)


def weight_of(link: Link, weight: NDArray[Any]) -> NDArray[Any]:
    """Return the weight of a Gemm or MatMul in the shape (n_in, n_out), without its factor."""
    if weight.ndim > 2 and math.prod(weight.shape[:-2]) == 1:
        weight = weight.reshape(weight.shape[-2:])
    if weight.ndim != 2 or 0 in weight.shape:
        link.node.reject(f"its weight must be a matrix; got the shape {weight.shape}")
    is_turned = link.node.attributes.get("transB" if link.comes_first else "transA", 0) != 0
    return weight if link.comes_first != is_turned else weight.T
