"""Graph of an ONNX model: its operations in order, and the shapes and constants of its values.

Graphs come from anywhere, so nothing is computed before its size is known: ONNX's shape inference
gives the size of each result, and then ONNX's reference evaluator gives the result.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.onnx.chain_builder import Arrays, Link
from xpnet.formats.onnx.operations import FOLDED, KNOWN, gated
from xpnet.formats.onnx.parsing import onnx_library
from xpnet.formats.onnx.schemas import Operation, Schemas, Spec
from xpnet.formats.onnx.tensors import Tensors, numpy_dtype

__all__ = ["Graph", "Layout"]

# Far more than a network needs; each output and each possible shape of the input counts.
_MAX_RESULTS = 5000
# Limit of computed values: a multiple of the constants of the file, and a fixed number of bytes.
_MAX_RATIO, _MAX_BYTES = 4, 1 << 26
_OWN_DOMAINS = frozenset({"", "ai.onnx"})
_CONSTANTS = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}


@dataclass(frozen=True)
class Layout:
    """The shape of an input of one row, and its axis of the batch, if it can have more rows."""

    shape: tuple[int, ...]
    axis: int | None
    fixed_batch: int | None  # if the file fixes it

    def input_of(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows as an input."""
        if self.axis is None:
            return rows.reshape(self.shape)
        lengths = [n for i, n in enumerate(self.shape) if i != self.axis]
        return np.moveaxis(rows.reshape(len(rows), *lengths), 0, self.axis)


class Graph:
    """The graph of an ``onnx.ModelProto``; `outputs` are ``onnx.ValueInfoProto`` by name."""

    def __init__(self, model: Any, tensors: Tensors) -> None:
        _check_unambiguous(model)
        graph = model.graph
        self._tensors = tensors
        self._schemas = Schemas(model)
        self._order = _in_order([self._schemas.operation(x, KNOWN) for x in graph.node])
        self._producers = {x: node for node in self._order for x in node.proto.output if x}
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._constants: dict[str, NDArray[Any]] = {}
        self._n_results = self._n_bytes = 0
        self.outputs = {output.name: output for output in graph.output}
        used = self._needed(list(self.outputs))[1]
        inputs = [x for x in graph.input if x.name not in self._initializers and x.name in used]
        if len(inputs) != 1:
            names = ", ".join(quoted(x.name) for x in inputs) or "none"
            msg = f"ONNX must have one input; got {names}"
            raise ValueError(msg)
        self._input = inputs[0]
        self.input_name = quoted(inputs[0].name)

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Declared dtype of the input."""
        number = self._input.type.tensor_type.elem_type
        return numpy_dtype(number, f"input {self.input_name}")

    def _needed(self, names: Sequence[str]) -> tuple[list[Operation], set[str]]:
        """Return the operations before some values, in order, and the names of all values."""
        found, needed = [], set(names)
        for node in reversed(self._order):
            if not needed.isdisjoint(node.proto.output):
                needed.update(node.inputs)
                found.append(node)
        return found[::-1], needed

    def operations(self, name: str) -> tuple[list[Operation], dict[str, NDArray[Any]]]:
        """Return the operations that compute a value, in order, and the constants among them.

        Raise ValueError, with operator and node, if they are not those of a network.
        """
        operations, names = self._needed([name])
        firsts = {node.output for node in operations}
        for node in operations:
            if node.operator not in KNOWN:
                node.reject("not part of a network of fully connected layers")
            if not names.isdisjoint(node.proto.output[1:]):
                node.reject("only its first output is supported")
            if node.operator == "Cast":
                # bfloat16, which NumPy lacks, becomes float32 as in tensors.
                dtype = numpy_dtype(node.attributes["to"], f"{node.where}: its result")
                (attribute,) = (x for x in node.proto.attribute if x.name == "to")
                attribute.i = onnx_library().helper.np_dtype_to_tensor_dtype(dtype)
        for x in sorted(names - firsts - {self._input.name} - self._constants.keys()):
            if x not in self._initializers:
                msg = f"ONNX must produce every value that it uses; {quoted(x)} has no producer"
                raise ValueError(msg)
            self._constants[x] = self._tensors.array(self._initializers[x])
        values = {x: self._constants[x] for x in names if x in self._constants}
        self._propagate(operations, {}, values)
        return [node for node in operations if node.output not in values], values

    def specs(
        self, operations: Sequence[Operation], constants: Arrays, layout: Layout
    ) -> tuple[dict[str, Spec], dict[str, NDArray[Any]]]:
        """Return dtypes and shapes of all values for one row, and all constants.

        Raise ShapeError, with operator and node, if they do not fit.
        """
        specs = {self._input.name: Spec(self.input_dtype, layout.shape)}
        values = {**constants, **lifted(operations, constants, layout, 1)}
        specs.update((x, Spec(array.dtype, array.shape)) for x, array in values.items())
        self._propagate(operations, specs, values)
        return specs, values

    def _propagate(
        self,
        operations: Sequence[Operation],
        specs: dict[str, Spec],
        values: dict[str, NDArray[Any]],
    ) -> None:
        """Add the results of operations on `values` to these, and dtypes and shapes to `specs`.

        An operation on a value that is in neither, an input of unknown shape, is left out.
        """
        for node in operations:
            inputs = {x: values[x] for x in node.inputs if x in values}
            if node.operator == "Shape" and node.inputs[0] in specs:
                dtype, shape = specs[node.inputs[0]]
                inputs = {node.inputs[0]: np.broadcast_to(np.zeros((), dtype), shape)}
            if len(inputs) == len(set(node.inputs)):
                result = values[node.output] = self._folded(node, inputs)
                specs[node.output] = Spec(result.dtype, result.shape)
            elif all(x in specs for x in node.inputs):
                spec = specs[node.output] = self._schemas.spec_of_result(node, specs, inputs)
                self.count(node, prod(spec.shape) * spec.dtype.itemsize)

    def _folded(self, node: Operation, inputs: Arrays) -> NDArray[Any]:
        """Return the result of an operation on constants."""
        if node.operator == "Constant":
            return self._constant(node)
        if node.operator not in FOLDED:
            node.reject("it must have one input that depends on the images")
        specs = {x: Spec(array.dtype, array.shape) for x, array in inputs.items()}
        spec = self._schemas.spec_of_result(node, specs, inputs)
        self.count(node, prod(spec.shape) * spec.dtype.itemsize)
        is_integer = spec.dtype.kind in "iu"
        if node.operator == "Div" and is_integer and not np.all(inputs[node.inputs[1]]):
            node.reject("it divides by zero")
        return self._schemas.evaluator([node.proto], inputs, [node.output])(inputs)[0]

    def _constant(self, node: Operation) -> NDArray[Any]:
        for attribute in node.proto.attribute if len(node.proto.attribute) == 1 else ():
            if attribute.name == "value" and attribute.HasField("t"):
                return self._tensors.array(attribute.t)
            if attribute.name in _CONSTANTS:
                return np.asarray(node.attributes[attribute.name], _CONSTANTS[attribute.name])
        return node.reject("it must hold a tensor of numbers")

    def count(self, node: Operation, n_bytes: int) -> None:
        """Count a result and its bytes; raise ValueError if there are too many."""
        self._n_results += 1
        self._n_bytes += n_bytes
        if self._n_bytes > _MAX_BYTES + _MAX_RATIO * self._tensors.n_bytes:
            node.reject("the graph must not compute far more values than the file contains")
        if self._n_results > _MAX_RESULTS:
            node.reject("the graph must not have far more operations than a network")

    def path(self, name: str, constants: Arrays) -> list[Link]:
        """Return the operations from the input to a value, whose other inputs are constants."""
        found: list[Link] = []
        while name != self._input.name:
            node = self._producers[name]
            inputs = [x for x in node.proto.input if x and x not in constants]
            link = Link(node, inputs[0]) if len(inputs) == 1 else None
            if link is None and node.operator == "Mul":
                link = gated(node, self._producers)
            if link is None:
                node.reject("it must have one input that depends on the images, and a constant")
            found.append(link)
            name = link.rows
        return found[::-1]

    def layouts(self, n_in: int) -> Iterator[Layout]:
        """Yield the possible shapes of an input of rows of `n_in` values, likely ones first."""
        kind = self._input.type.tensor_type
        if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in kind.shape.dim):
            msg = f"ONNX must have an input with values; got a length of 0 in {self.input_name}"
            raise ValueError(msg)
        # 0 is a free length.
        dims = [max(0, x.dim_value) for x in kind.shape.dim] if kind.HasField("shape") else [0, 0]
        free = [i for i, n in enumerate(dims) if n == 0]
        axes = [None] if dims[:1] == [1] else [0, *(i for i in free if i), None]
        for axis in axes if dims else ():
            lengths = [1 if i == axis else n for i, n in enumerate(dims)]
            n_known = prod(n for n in lengths if n)
            inner = [i for i in free if i != axis]
            if inner:
                lengths[inner[-1]] = n_in // n_known
            shape = tuple(n or 1 for n in lengths)
            is_single = axis is None and len(dims) > 1 and shape[0] == 1
            if prod(shape) == n_in:
                yield Layout(shape, axis, 1 if is_single else (axis == 0 and dims[0]) or None)

    def evaluator(
        self,
        operations: Sequence[Operation],
        constants: Arrays,
        names: Sequence[str],
        layout: Layout,
    ) -> Callable[[NDArray[Any]], list[NDArray[Any]]]:
        """Return the function of rows to values, as ONNX's reference evaluator computes them.

        It computes in float64, whatever the dtype of the graph: rounding would hide differences,
        and move values across the jumps of an activation.
        """
        used = {x: constants[x] for node in operations for x in node.inputs if x in constants}
        used |= {x: y.astype(np.float64) for x, y in used.items() if y.dtype.kind == "f"}
        nodes = [_in_float64(node) for node in operations]
        evaluate = self._schemas.evaluator(nodes, [self._input.name, *used], names)

        def evaluate_rows(rows: NDArray[Any]) -> list[NDArray[Any]]:
            fixed = lifted(operations, used, layout, len(rows))
            return evaluate({**used, **fixed, self._input.name: layout.input_of(rows)})

        return evaluate_rows


def lifted(
    operations: Sequence[Operation], constants: Arrays, layout: Layout, n_rows: int
) -> dict[str, NDArray[Any]]:
    """Return the shapes of Reshape in which `n_rows` replaces the batch that the file fixes."""
    names = [x.proto.input[1] for x in operations if x.operator == "Reshape"]
    found = {}
    for name in names if layout.axis == 0 and layout.fixed_batch else ():
        shape = constants.get(name)
        if shape is not None and shape.size and shape.flat[0] == layout.fixed_batch:
            found[name] = np.concatenate([[n_rows], shape.flat[1:]]).astype(shape.dtype)
    return found


def _in_float64(node: Operation) -> Any:
    """Return a node, or for a cast to floating-point numbers, the cast to float64."""
    if node.operator != "Cast" or numpy_dtype(node.attributes["to"], "a cast").kind != "f":
        return node.proto
    library = onnx_library()
    double = library.TensorProto.DOUBLE
    return library.helper.make_node("Cast", node.proto.input, node.proto.output, to=double)


def _in_order(nodes: Sequence[Operation]) -> list[Operation]:
    """Return nodes after the nodes whose results they use."""
    producers = {x: i for i, node in enumerate(nodes) for x in node.proto.output if x}
    before = {
        i: [producers[x] for x in node.inputs if x in producers] for i, node in enumerate(nodes)
    }
    try:
        return [nodes[i] for i in TopologicalSorter(before).static_order()]
    except CycleError as error:
        name = quoted(nodes[error.args[1][0]].output)
        msg = f"ONNX must not have cycles; got one through {name}"
        raise ValueError(msg) from error


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
