"""What a graph of ONNX does to one row of inputs, followed symbolically.

A value is either an array that does not depend on the inputs, or `Rows`: the shape that one row
has there, and the preprocessing and layers that it has come through. Each operator maps values to
values; what none of them knows is refused by name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.onnx.library import onnx_library
from xpnet.formats.onnx.tensors import Tensors
from xpnet.networks.preprocessing import Step

__all__ = ["Graph", "Layer", "Node", "Rows", "Value"]


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
        Of one row, its batch of 1 included; None where the file does not tell.
    dtype : numpy.dtype
        Of its numbers.
    steps, layers : tuple
        What they have come through.
    is_label : bool
        Whether it is no more than the place of the largest of them.
    gate : Rows, optional
        What this is the sigmoid of: together they make silu.
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
        return None if self.shape is None else math.prod(self.shape)


Value = Rows | NDArray[Any] | None


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
    lifted : int or None
        The batch that the file fixes, where it is above 1: a `Rows` has one row.
    """

    operator: str
    name: str
    inputs: Sequence[Value]
    attributes: Mapping[str, Any]
    version: int
    lifted: int | None

    def refuse(self, why: str) -> NoReturn:
        """Raise ValueError, which names the operation."""
        msg = f"ONNX operator {self.operator} ({quoted(self.name)}): {why}"
        raise ValueError(msg)


class Graph:
    """The graph of a model.

    Parameters
    ----------
    model : onnx.ModelProto
    tensors : Tensors
        What opens its numbers.
    meanings : mapping of str to callable
        What each operator makes of its inputs.

    Attributes
    ----------
    outputs : list of str
        The names of its results.
    fixed_batch : int or None
        The batch that the file fixes.
    """

    def __init__(
        self, model: Any, tensors: Tensors, meanings: Mapping[str, Callable[[Node], Value]]
    ) -> None:
        graph = model.graph
        self._onnx = onnx_library()
        self._tensors = tensors
        self._meanings = meanings
        self._version = _version_of(model)
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        if len(graph.sparse_initializer):
            msg = "ONNX must have dense weights; got sparse ones"
            raise ValueError(msg)
        self._makers: dict[str, Any] = {}
        for node in graph.node:
            for name in filter(None, node.output):
                if name in self._makers or name in self._constants:
                    msg = f"ONNX must make each value once; got {quoted(name)} twice"
                    raise ValueError(msg)
                self._makers[name] = node
        self.outputs = [output.name for output in graph.output]
        used = self._needed(self.outputs)
        inputs = [x for x in graph.input if x.name not in self._constants and x.name in used]
        if len(inputs) != 1:
            names = ", ".join(quoted(x.name) for x in inputs) or "none"
            msg = f"ONNX must have one input; got {names}"
            raise ValueError(msg)
        self._input = inputs[0]
        self.fixed_batch, self._shapes = self._shapes_of_row()
        self._values: list[dict[str, Value]] = [{} for _ in self._shapes]

    def _needed(self, names: Sequence[str]) -> set[str]:
        """Return the names of all values that some depend on."""
        needed: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(self._makers[name].input if name in self._makers else ())
        return needed

    def _shapes_of_row(self) -> tuple[int | None, list[tuple[int, ...] | None]]:
        """Return the batch that is fixed, and the shapes that one row of the input may have."""
        kind = self._input.type.tensor_type
        # 0 where the length is not fixed.
        dims = tuple(max(0, dim.dim_value) for dim in kind.shape.dim)
        if not kind.HasField("shape") or 0 in dims[1:] or dims == (0,):
            return None, [None]
        if len(dims) < 2:  # noqa: PLR2004 (no batch at all)
            return None, [dims]
        shapes: list[tuple[int, ...] | None] = [(1, *dims[1:])]
        if dims[0] > 1:  # one row as a column, and no batch, may be meant
            shapes.append(dims)
        return dims[0] or None, shapes

    def result(self, name: str) -> Rows:
        """Return what the graph makes of its input under a name.

        Raises
        ------
        ValueError
            If that is no network of fully connected layers; it names operator and node.
        """
        fault = None
        for shape, values in zip(self._shapes, self._values, strict=True):
            try:
                found = self._followed(name, shape, values)
            except ValueError as error:
                fault = fault or error
                continue
            if isinstance(found, Rows) and found.layers:
                return found
            msg = f"ONNX must have fully connected layers; its output {quoted(name)} has none"
            fault = fault or ValueError(msg)
        raise fault or ValueError(name)

    def _followed(
        self, name: str, shape: tuple[int, ...] | None, values: dict[str, Value]
    ) -> Value:
        """Return a value, after all that it depends on; no recursion, however deep the graph."""
        stack, open_names = [name], set()
        while stack:
            current = stack[-1]
            if current in values:
                stack.pop()
            elif current not in self._makers:
                values[current] = self._given(current, shape)
            elif missing := [x for x in self._makers[current].input if x and x not in values]:
                if current in open_names:
                    msg = f"ONNX must not have cycles; got one through {quoted(current)}"
                    raise ValueError(msg)
                open_names.add(current)
                stack.extend(missing)
            else:
                values[current] = self._computed(current, values)
        return values[name]

    def _given(self, name: str, shape: tuple[int, ...] | None) -> Value:
        if name in self._constants:
            return self._tensors.array(self._constants[name])
        if name != self._input.name:
            msg = f"ONNX must make every value that it uses; got {quoted(name)} from nowhere"
            raise ValueError(msg)
        number = self._input.type.tensor_type.elem_type
        return Rows(shape, np.dtype(self._onnx.helper.tensor_dtype_to_np_dtype(number)))

    def _computed(self, name: str, values: Mapping[str, Value]) -> Value:
        proto = self._makers[name]
        inputs = [values[x] if x else None for x in proto.input]
        attributes = {x.name: self._attribute(x) for x in proto.attribute}
        fixed = self.fixed_batch if self.fixed_batch != 1 else None
        operator = proto.op_type
        if proto.domain not in {"", "ai.onnx"}:
            operator = f"{proto.domain}:{operator}"
        node = Node(operator, proto.name or name, inputs, attributes, self._version, fixed)
        if operator not in self._meanings:
            node.refuse("no part of a network of fully connected layers")
        if name != proto.output[0]:
            node.refuse("only its first output is known")
        return self._meanings[operator](node)

    def _attribute(self, attribute: Any) -> Any:
        kinds = self._onnx.AttributeProto
        if attribute.type == kinds.TENSOR:
            return self._tensors.array(attribute.t)
        plain = {kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS}
        if attribute.type not in plain:
            return None
        value = self._onnx.helper.get_attribute_value(attribute)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _version_of(model: Any) -> int:
    versions = [x.version for x in model.opset_import if x.domain in {"", "ai.onnx"}]
    return max(versions, default=1)
