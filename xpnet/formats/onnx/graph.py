"""Symbolic execution of an ONNX graph on one row of inputs.

Each operator maps values to a value (`xpnet.formats.onnx.values`); the first operator that is not
part of a network of fully connected layers is rejected by name.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.onnx.operator_table import OPERATORS
from xpnet.formats.onnx.parsing import onnx_library
from xpnet.formats.onnx.schemas import Schemas
from xpnet.formats.onnx.tensors import Tensors, numpy_dtype
from xpnet.formats.onnx.values import BATCH, GraphRows, Node, OperatorError, ShapeError, Value
from xpnet.networks.preprocessing import arrays_of

__all__ = ["Graph"]

# Limit of computed values: a multiple of the constants of the file, and a fixed number of bytes.
_MAX_RATIO = 4
_MAX_BYTES = 1 << 26
_OWN_DOMAINS = frozenset({"", "ai.onnx"})
_Shape = tuple[int, ...] | None


class Graph:
    """The graph of an ``onnx.ModelProto``; `outputs` are ``onnx.ValueInfoProto`` by name."""

    def __init__(self, model: Any, tensors: Tensors) -> None:
        graph = model.graph
        self._onnx = onnx_library()
        self._tensors = tensors
        _check_unambiguous(model)
        self._schemas = Schemas(model)
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {name: node for node in graph.node for name in node.output if name}
        self.outputs = {output.name: output for output in graph.output}
        used = self._dependencies(list(self.outputs))
        inputs = [x for x in graph.input if x.name not in self._constants and x.name in used]
        if len(inputs) != 1:
            names = ", ".join(quoted(x.name) for x in inputs) or "none"
            msg = f"ONNX must have one input; got {names}"
            raise ValueError(msg)
        for node in graph.node:
            self._schemas.check(node, is_known=self._schemas.operator_name(node) in OPERATORS)
        self._input = inputs[0]
        # Each candidate is a shape of the input, the fixed batch, and the values so far.
        self._candidates: list[tuple[_Shape, int | None, dict[str, Value]]] = []
        self._opened: dict[str, Value] = {}
        self._computed: dict[int, Any] = {}
        self._n_bytes = 0
        self._start(self._input_shapes())

    def _dependencies(self, names: Sequence[str]) -> set[str]:
        """Return the names of all values on which the given ones depend."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self._producers[name].input if name in self._producers else ())
        return found

    def _input_shapes(self, n_in: int = 0) -> list[tuple[_Shape, int | None]]:
        """Return the possible shapes of the input, each with the batch that the file fixes.

        `n_in` is the number of inputs of the first layer, 0 while it is unknown.
        """
        kind = self._input.type.tensor_type
        if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in kind.shape.dim):
            name = quoted(self._input.name)
            msg = f"ONNX must have an input with values; got a length of 0 in {name}"
            raise ValueError(msg)
        # 0 is a free length.
        dims = tuple(max(0, dim.dim_value) for dim in kind.shape.dim)
        n_free = dims.count(0)
        if not kind.HasField("shape") or n_free > 1 or dims == (0,) or (n_free and dims[0] == 1):
            by_layer: dict[tuple[int, ...], list[tuple[_Shape, int | None]]] = {
                (0,): [((n_in,), None)],
                (0, 0): [((BATCH, n_in), None), ((n_in, BATCH), None)],
                (1, 0): [((1, n_in), 1)],
            }
            return by_layer.get(dims if n_in else (), [(None, None)])
        if n_free:
            shapes: list[tuple[_Shape, int | None]] = [(tuple(n or BATCH for n in dims), None)]
            # Some graphs leave the batch free, but work for one row only.
            return [*shapes, ((1, *dims[1:]), 1)] if dims[0] == 0 else shapes
        if len(dims) < 2 or dims[0] == 1:
            return [(dims, 1 if len(dims) > 1 else None)]
        # The shape may also be that of one row as a column, without a batch.
        return [((BATCH, *dims[1:]), dims[0]), (dims, None)]

    def result(self, name: str) -> tuple[GraphRows, int | None]:
        """Return the output of a name as rows, and the batch that the file fixes.

        Raise ValueError, with operator and node, if it is not the output of fully connected layers.
        """
        first_error = None
        for shape, fixed_batch, values in self._candidates:
            if first_error and fixed_batch == 1 and not isinstance(first_error, ShapeError):
                continue  # the graph works for several rows, but is not a network
            try:
                found = self._evaluate(name, shape, fixed_batch, values)
            except ValueError as error:
                first_error = first_error or error
                continue
            if isinstance(found, GraphRows) and found.layers:
                shapes = self._input_shapes(len(found.layers[0].weight))
                if shape is not None or (None, None) in shapes:
                    return found, fixed_batch
                self._start(shapes)  # the first layer determines the shape of the input
                return self.result(name)
            msg = f"ONNX must have fully connected layers; got none before output {quoted(name)}"
            first_error = first_error or ValueError(msg)
        raise first_error or ValueError(name)

    def _start(self, shapes: Sequence[tuple[_Shape, int | None]]) -> None:
        """Start the execution with the possible shapes of the input, each with its batch."""
        self._candidates = [(shape, fixed_batch, {}) for shape, fixed_batch in shapes]
        self._computed, self._n_bytes = {}, 0

    def _evaluate(
        self, name: str, shape: _Shape, fixed_batch: int | None, values: dict[str, Value]
    ) -> Value:
        """Return a value after all its dependencies, without recursion."""
        stack, open_names = [name], set()
        while stack:
            current = stack[-1]
            if current in values:
                stack.pop()
            elif current not in self._producers:
                values[current] = self._constant_or_input(current, shape)
            elif missing := [x for x in self._producers[current].input if x and x not in values]:
                if current in open_names:
                    msg = f"ONNX must not have cycles; got one through {quoted(current)}"
                    raise ValueError(msg)
                open_names.add(current)
                stack.extend(missing)
            else:
                values[current] = self._compute(current, fixed_batch, values)
        return values[name]

    @property
    def input_dtype(self) -> "np.dtype[Any]":
        """Declared dtype of the input."""
        number = self._input.type.tensor_type.elem_type
        return numpy_dtype(number, f"input {quoted(self._input.name)}")

    def _constant_or_input(self, name: str, shape: _Shape) -> Value:
        if name in self._constants:
            if name not in self._opened:
                self._opened[name] = self._tensors.array(self._constants[name])
            return self._opened[name]
        if name != self._input.name:
            msg = f"ONNX must produce every value that it uses; {quoted(name)} has no producer"
            raise ValueError(msg)
        return GraphRows(shape, self.input_dtype)

    def _compute(self, name: str, fixed_batch: int | None, values: Mapping[str, Value]) -> Value:
        proto = self._producers[name]
        operator = self._schemas.operator_name(proto)
        inputs = [values[x] if x else None for x in proto.input]
        version = self._schemas.version
        n_left = _MAX_BYTES + _MAX_RATIO * self._tensors.n_bytes - self._n_bytes
        node = Node(operator, proto.name or name, inputs, {}, version, fixed_batch, n_left)
        if operator not in OPERATORS:
            node.reject("not part of a network of fully connected layers")
        if name != proto.output[0]:
            node.reject("only its first output is supported")
        try:
            attributes = {x.name: self._attribute(x) for x in proto.attribute}
            value = OPERATORS[operator](replace(node, attributes=attributes))
        except (OperatorError, WeightsError):
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            node.reject(f"{type(error).__name__}: {error}")
        self._schemas.check_dtypes(proto, inputs)
        self._count_bytes(value)
        if self._n_bytes > _MAX_BYTES + _MAX_RATIO * self._tensors.n_bytes:
            node.reject("the graph must not compute far more values than the file contains")
        return value

    def _count_bytes(self, value: Value) -> None:
        """Count the bytes of the arrays that an operation has computed."""
        arrays: list[Any] = [value]
        if isinstance(value, GraphRows):
            last = value.layers[-1:]
            arrays = [x for layer in last for x in (layer.weight, layer.bias)]
            arrays += [x for step in value.steps[-1:] for x in arrays_of(step).values()]
        for array in arrays:
            owner = array
            while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
                owner = owner.base
            if isinstance(owner, np.ndarray) and id(owner) not in self._computed:
                self._computed[id(owner)] = owner
                self._n_bytes += owner.nbytes

    def _attribute(self, attribute: Any) -> Any:
        kinds = self._onnx.AttributeProto
        if attribute.type == kinds.TENSOR:
            return self._tensors.array(attribute.t)
        plain = {kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS}
        if attribute.type not in plain:
            return None
        value = self._onnx.helper.get_attribute_value(attribute)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _check_unambiguous(model: Any) -> None:
    """Raise if a name has two meanings, or if the model has values that are not read."""
    graph = model.graph
    if len(graph.sparse_initializer):
        msg = "ONNX must have dense weights; got sparse ones"
        raise ValueError(msg)
    for function in model.functions:
        if function.domain in _OWN_DOMAINS:
            msg = f"ONNX must not redefine its own operators; got {quoted(function.name)}"
            raise ValueError(msg)
    constants = [tensor.name for tensor in graph.initializer]
    inputs = {x.name for x in graph.input} - set(constants)
    outputs = [name for node in graph.node for name in node.output if name]
    nodes = [node.name for node in graph.node if node.name]
    for rule, names in (
        ("produce each value once", [*constants, *inputs, *outputs]),
        ("have unique names of nodes", nodes),
    ):
        for name, count in Counter(names).items():
            if count > 1:
                msg = f"ONNX must {rule}; got {quoted(name)} twice"
                raise ValueError(msg)
