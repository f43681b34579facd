"""What a graph of ONNX does to a row of inputs, followed symbolically.

Each operator maps values to values (`xpnet.formats.onnx.values`); what none of them knows is
refused by name.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.onnx.import_onnx import onnx_library
from xpnet.formats.onnx.schemas import Schemas
from xpnet.formats.onnx.tensors import Tensors, numpy_dtype
from xpnet.formats.onnx.values import BATCH, Node, OperatorError, Rows, ShapeError, Value
from xpnet.networks.preprocessing import arrays_of

__all__ = ["Graph"]

# What a graph may compute of its constants: a few times what the file has of them, and this.
_MOST_TIMES = 4
_MOST_BYTES = 1 << 26
_OWN_DOMAINS = frozenset({"", "ai.onnx"})
_Shape = tuple[int, ...] | None


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
    outputs : dict of str to onnx.ValueInfoProto
        Its results by name.
    """

    def __init__(
        self, model: Any, tensors: Tensors, meanings: Mapping[str, Callable[[Node], Value]]
    ) -> None:
        graph = model.graph
        self._onnx = onnx_library()
        self._tensors = tensors
        self._meanings = meanings
        _check_whole(model)
        self._schemas = Schemas(model)
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self.outputs = {output.name: output for output in graph.output}
        used = self._needed(list(self.outputs))
        inputs = [x for x in graph.input if x.name not in self._constants and x.name in used]
        if len(inputs) != 1:
            names = ", ".join(quoted(x.name) for x in inputs) or "none"
            msg = f"ONNX must have one input; got {names}"
            raise ValueError(msg)
        for node in graph.node:
            self._schemas.check(node, is_known=self._schemas.name_of(node) in meanings)
        self._input = inputs[0]
        self._readings: list[tuple[_Shape, int | None, dict[str, Value]]] = [
            (shape, fixed_batch, {}) for shape, fixed_batch in self._shapes()
        ]
        self._opened: dict[str, Value] = {}
        self._made: dict[int, Any] = {}
        self._n_made = 0

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

    def _shapes(self, n_in: int = 0) -> list[tuple[_Shape, int | None]]:
        """Return the shapes that the input may have, each with the batch that is fixed.

        `n_in` is the number of inputs of the first layer, 0 as long as no layer is known.
        """
        kind = self._input.type.tensor_type
        if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in kind.shape.dim):
            name = quoted(self._input.name)
            msg = f"ONNX must have an input with values; got a length of 0 in {name}"
            raise ValueError(msg)
        # 0 where the length is not fixed.
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
        # One row as a column, and no batch, may be meant, too.
        return [((BATCH, *dims[1:]), dims[0]), (dims, None)]

    def result(self, name: str) -> tuple[Rows, int | None]:
        """Return what the graph makes of its input under a name, and the batch that it fixes.

        Raises
        ------
        ValueError
            If that is no network of fully connected layers; it names operator and node.
        """
        fault = None
        for shape, fixed_batch, values in self._readings:
            if fault and fixed_batch == 1 and not isinstance(fault, ShapeError):
                continue  # for more than one row, the graph works, but is no network
            try:
                found = self._followed(name, shape, fixed_batch, values)
            except ValueError as error:
                fault = fault or error
                continue
            if isinstance(found, Rows) and found.layers:
                if shape is None and self._read_again(len(found.layers[0].weight)):
                    return self.result(name)
                return found, fixed_batch
            msg = f"ONNX must have fully connected layers; its output {quoted(name)} has none"
            fault = fault or ValueError(msg)
        raise fault or ValueError(name)

    def _read_again(self, n_in: int) -> bool:
        """Return whether the first layer tells the shape of the input, to go by that."""
        shapes = self._shapes(n_in)
        if (None, None) in shapes:
            return False
        self._readings = [(shape, fixed_batch, {}) for shape, fixed_batch in shapes]
        self._made, self._n_made = {}, 0
        return True

    def _followed(
        self, name: str, shape: _Shape, fixed_batch: int | None, values: dict[str, Value]
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
                values[current] = self._computed(current, fixed_batch, values)
        return values[name]

    @property
    def input_dtype(self) -> "np.dtype[Any]":
        """The dtype that the input is declared in."""
        number = self._input.type.tensor_type.elem_type
        return numpy_dtype(number, f"input {quoted(self._input.name)}")

    def _given(self, name: str, shape: _Shape) -> Value:
        if name in self._constants:
            if name not in self._opened:
                self._opened[name] = self._tensors.array(self._constants[name])
            return self._opened[name]
        if name != self._input.name:
            msg = f"ONNX must make every value that it uses; got {quoted(name)} from nowhere"
            raise ValueError(msg)
        return Rows(shape, self.input_dtype)

    def _computed(self, name: str, fixed_batch: int | None, values: Mapping[str, Value]) -> Value:
        proto = self._makers[name]
        operator = self._schemas.name_of(proto)
        inputs = [values[x] if x else None for x in proto.input]
        most = _MOST_BYTES + _MOST_TIMES * self._tensors.n_bytes - self._n_made
        node = Node(
            operator, proto.name or name, inputs, {}, self._schemas.version, fixed_batch, most
        )
        if operator not in self._meanings:
            node.refuse("no part of a network of fully connected layers")
        if name != proto.output[0]:
            node.refuse("only its first output is known")
        try:
            attributes = {x.name: self._attribute(x) for x in proto.attribute}
            value = self._meanings[operator](replace(node, attributes=attributes))
        except (OperatorError, WeightsError):
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            node.refuse(f"{type(error).__name__}: {error}")
        self._schemas.check_types(proto, inputs)
        self._count(node, value)
        return value

    def _count(self, node: Node, value: Value) -> None:
        """Refuse to make far more numbers than the file has."""
        arrays: list[Any] = [value]
        if isinstance(value, Rows):
            last = value.layers[-1:]
            arrays = [x for layer in last for x in (layer.weight, layer.bias)]
            arrays += [x for step in value.steps[-1:] for x in arrays_of(step).values()]
        for array in arrays:
            owner = array
            while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
                owner = owner.base
            if isinstance(owner, np.ndarray) and id(owner) not in self._made:
                self._made[id(owner)] = owner
                self._n_made += owner.nbytes
        if self._n_made > _MOST_BYTES + _MOST_TIMES * self._tensors.n_bytes:
            node.refuse("the graph must not make far more numbers than the file has")

    def _attribute(self, attribute: Any) -> Any:
        kinds = self._onnx.AttributeProto
        if attribute.type == kinds.TENSOR:
            return self._tensors.array(attribute.t)
        plain = {kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS}
        if attribute.type not in plain:
            return None
        value = self._onnx.helper.get_attribute_value(attribute)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _check_whole(model: Any) -> None:
    """Refuse what would give a name two meanings, or numbers that are not looked at."""
    graph = model.graph
    if len(graph.sparse_initializer):
        msg = "ONNX must have dense weights; got sparse ones"
        raise ValueError(msg)
    for function in model.functions:
        if function.domain in _OWN_DOMAINS:
            msg = f"ONNX must not define its own operators anew; got {quoted(function.name)}"
            raise ValueError(msg)
    constants = [tensor.name for tensor in graph.initializer]
    inputs = {x.name for x in graph.input} - set(constants)
    seen: set[str] = set()
    for name in (*constants, *inputs, *(x for node in graph.node for x in node.output if x)):
        if name in seen:
            msg = f"ONNX must make each value once; got {quoted(name)} twice"
            raise ValueError(msg)
        seen.add(name)
    for name, count in Counter(node.name for node in graph.node if node.name).items():
        if count > 1:
            msg = f"ONNX must name each of its nodes differently; got {quoted(name)} twice"
            raise ValueError(msg)
