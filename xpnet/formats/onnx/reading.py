"""Networks from ONNX graphs: a chain of operators, compared with ONNX's reference evaluator.

A graph is read from its output to its input. Each operator must have one input that depends on the
rows; the others are constants. Operators that change only shapes and dtypes are skipped: if one of
them moves or rounds the values of a row, the comparison fails.
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataWarning, WeightsError, quoted
from xpnet.formats.chain import Activate, Part, network_of_chain
from xpnet.formats.description import arrays_by_name, describe, network_from_description
from xpnet.formats.onnx.activations import GATES, activation_of
from xpnet.formats.onnx.operations import OPERATORS, SKIPPED, operation_of
from xpnet.formats.onnx.writing import EXACT_KEY, METADATA_KEY, model_of, onnx_library
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.network import Network

__all__ = ["ExactFileError", "read"]


class ExactFileError(WeightsError):
    """A file with an exact forward pass, from which no network can be read."""


@np.errstate(all="ignore")  # numbers that are not finite are found by the checks
def read(path: Path) -> tuple[Network, bool]:
    """Return the network of a file, and whether xpnet wrote the file.

    Raise WeightsError if the file is damaged, `ExactFileError` if it has an exact forward pass, and
    TypeError or ValueError if the graph is not one of fully connected layers, or ONNX's evaluator
    gives other outputs for random rows than the network.
    """
    onnx = onnx_library()
    model, arrays = _parsed(onnx, path)
    metadata = {x.key: x.value for x in model.metadata_props}
    if EXACT_KEY in metadata:
        msg = "no network can be read from an exact forward pass: load the file of the network"
        raise ExactFileError(msg, file=path)
    graph = _Graph(onnx, model, arrays)
    entries = _entries(metadata.get(METADATA_KEY, "{}"))
    if "activations" in entries:
        own = {x: y for x, y in arrays.items() if str(x).startswith(("layers.", "preprocessing."))}
        network = network_from_description(metadata[METADATA_KEY], own)
        if model_of(network, graph.input_dtype).graph == model.graph:
            return network, True
    network = network_of_chain(graph.chain(), graph.outputs, batches=(10,))
    if entries:  # of a changed file; or of xpnet 0.1 and 0.2, without activations and preprocessing
        kept = {x: y for x, y in entries.items() if x not in {"activations", "preprocessing"}}
        description = json.dumps({**json.loads(describe(network)), **kept})
        return network_from_description(description, arrays_by_name(network)), True
    if graph.input_dtype.startswith(("int", "uint")):  # raw pixels
        network = replace(network, metadata={"input_range": "0..255"})
    if len(model.graph.output) > 1:
        names = _quoted(*(x.name for x in model.graph.output))
        msg = f"{path}: of {names}, labels are not read; `classes` of a network names its classes"
        warnings.warn(msg, DataWarning, stacklevel=5)
    return network, False


def _parsed(onnx: Any, path: Path) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the model of a file and its constants, also of files beside it that onnx allows."""
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
        onnx.load_external_data_for_model(model, str(path.parent))
        to_array = onnx.numpy_helper.to_array
        return model, {x.name: _native(to_array(x)) for x in model.graph.initializer}
    except Exception as error:  # of protobuf, onnx and the system
        msg = f"not valid ONNX: {_first_line(error)}"
        raise WeightsError(msg, file=path) from error


def _entries(text: str) -> dict[str, Any]:
    """Return xpnet's entry in the metadata."""
    try:
        entries = json.loads(text)
    except RecursionError:
        entries = None
    if not isinstance(entries, dict):
        msg = "xpnet's entry in the metadata must be a JSON object"
        raise TypeError(msg)
    return entries


def _native(x: NDArray[Any]) -> NDArray[Any]:
    """Return an array; bfloat16, which NumPy lacks, becomes float32."""
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _quoted(*names: str) -> str:
    return ", ".join(quoted(str(name)) for name in names)  # those that are not UTF-8 are bytes


class _Graph:
    """The nodes and constants of a model, its input and its floating-point output."""

    def __init__(self, onnx: Any, model: Any, arrays: dict[str, NDArray[Any]]) -> None:
        graph, types = model.graph, onnx.TensorProto
        self._onnx, self._opsets, self._arrays = onnx, model.opset_import, arrays
        self._floating = {types.FLOAT16, types.BFLOAT16, types.FLOAT, types.DOUBLE}
        inputs = [x for x in graph.input if x.name not in arrays]
        outputs = [x for x in graph.output if x.type.tensor_type.elem_type in self._floating]
        if (len(inputs), len(outputs)) != (1, 1):
            found = _quoted(*(x.name for x in (*inputs, *graph.output))) or "none"
            msg = f"ONNX must have one input and one floating-point output; got {found}"
            raise ValueError(msg)
        if model.functions:
            msg = f"ONNX must have no functions; got {_quoted(model.functions[0].name)}"
            raise ValueError(msg)
        self._input, self._output = inputs[0].name, outputs[0].name
        kind = inputs[0].type.tensor_type
        self._shape = [x.dim_value for x in kind.shape.dim] or [0, 0]
        name = types.DataType.Name(kind.elem_type)
        self.input_dtype = "float32" if name == "FLOAT" else name.lower()
        # Old exporters write the nodes of constants last.
        self._nodes = sorted(graph.node, key=lambda node: node.op_type != "Constant")
        self._of_rows = {self._input}  # the names of values that depend on the input
        for node in self._nodes:
            if self._of_rows.intersection(node.input):
                self._of_rows.update(x for x in node.output if x)

    def chain(self) -> list[tuple[str, Part]]:
        """Return the operations from the input to the output, each with its position."""
        chain: list[tuple[str, Part]] = []
        name = self._output
        for node in reversed(self._needed(name)):
            if name not in node.output:
                continue
            operator, rows = _operator(node), [x for x in node.input if x in self._of_rows]
            if operator in SKIPPED and node.input:
                name = node.input[0]
                continue
            part: Part | None = None
            if operator == "Mul" and len(rows) == 2:
                name, part = self._gated(*rows)
            elif len(rows) == 1:
                (name,) = rows
                values = [None if x in {name, ""} else self._constant(x) for x in node.input]
                part = operation_of(operator, self._attributes(node), values)
            if part is None:
                raise _refusal(node)
            chain.append((_where(node), part))
        if name != self._input:
            msg = (
                f"ONNX must compute {_quoted(name)} from {_quoted(self._input)}, before it is used"
            )
            raise ValueError(msg)
        return chain[::-1]

    def _gated(self, *rows: str) -> tuple[str, Part | None]:
        """Return the argument and the activation of a product of a value and its own sigmoid."""
        for node in self._nodes:
            if node.output and (*node.input, *node.output) in {rows, rows[::-1]}:
                found = activation_of(_operator(node), self._attributes(node))
                if found is not None and found.name in GATES:
                    return node.input[0], Activate(GATES[found.name])
        return rows[0], None

    def _attributes(self, node: Any) -> dict[str, Any]:
        """Return the attributes of a node, without its axis, which the comparison checks."""
        get = self._onnx.helper.get_attribute_value
        found = {x.name: get(x) for x in node.attribute if x.name != "axis"}
        return {x: y.decode() if isinstance(y, bytes) else y for x, y in found.items()}

    def _needed(self, name: str) -> list[Any]:
        """Return the nodes that a value needs, in order; raise ValueError for other operators."""
        needed, nodes = {name}, []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                if _operator(node) not in OPERATORS:
                    raise _refusal(node)
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1]

    def _constant(self, name: str) -> NDArray[Any]:
        """Return a constant, which is computed if no initializer has it."""
        if name not in self._arrays:
            (found,) = self._computed(name, self._needed(name), [self._arrays])
            self._arrays[name] = _native(found)
        return self._arrays[name]

    def outputs(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return what ONNX's evaluator gives for rows, each by itself, in float64.

        Rounding would move values across the jumps of an activation.
        """
        nodes = [x for x in self._needed(self._output) if self._of_rows.intersection(x.input)]
        for attribute in (x for node in nodes if node.op_type == "Cast" for x in node.attribute):
            if attribute.i in self._floating:
                attribute.i = self._onnx.TensorProto.DOUBLE
        used = {x for node in nodes for x in node.input} - {"", *self._of_rows}
        arrays = {x: self._constant(x) for x in used}
        doubles = {x: y.astype("f8") if y.dtype.kind == "f" else y for x, y in arrays.items()}
        # One row, or as many as the file fixes.
        shape = [self._shape[0] or 1, *(n or -1 for n in self._shape[1:])]
        n_copies = 1 if abs(prod(shape)) == rows.shape[1] else shape[0]
        inputs = (np.tile(row, n_copies).reshape(shape) for row in rows.astype(np.float64))
        values = ({**doubles, self._input: x} for x in inputs)
        found = [y.ravel() for y in self._computed(self._output, nodes, values)]
        return np.stack([y[: len(y) // n_copies] for y in found])

    def _computed(
        self, name: str, nodes: Sequence[Any], inputs: Iterable[Mapping[str, NDArray[Any]]]
    ) -> list[NDArray[Any]]:
        """Return the value that ONNX's evaluator computes, for each of several inputs by name."""
        from onnx.reference import ReferenceEvaluator
        from onnx.reference.op_run import OpRun

        class Gelu(OpRun):  # type: ignore[misc]
            """ONNX's own is composed of other operators, with an erf of float32."""

            op_domain = ""

            def _run(self, x: Any, *, approximate: str) -> tuple[Any]:
                return (ACTIVATIONS["gelu"](x, np, approximate=approximate),)

        class LogSoftmax(OpRun):  # type: ignore[misc]
            """ONNX's own is the logarithm of a softmax, which underflows."""

            op_domain = ""

            def _run(self, x: Any, *, axis: int) -> tuple[Any]:
                shifted = x - x.max(axis, keepdims=True)
                return (shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)),)

        onnx = self._onnx
        try:
            graph = onnx.helper.make_graph(nodes, "graph", [], [onnx.ValueInfoProto(name=name)])
            model = onnx.helper.make_model(graph, opset_imports=self._opsets)
            evaluator = ReferenceEvaluator(model, new_ops=[Gelu, LogSoftmax])
            return [np.asarray(evaluator.run(None, dict(x))[0]) for x in inputs]
        except Exception as error:  # of any operator
            msg = f"ONNX's evaluator must compute the graph: {_first_line(error)}"
            raise ValueError(msg) from error


def _operator(node: Any) -> str:
    own = node.domain in {"", "ai.onnx"}
    return str(node.op_type) if own else f"{node.domain}:{node.op_type}"


def _where(node: Any) -> str:
    return f"ONNX operator {_operator(node)} ({_quoted(node.name or node.output[0])})"


def _refusal(node: Any) -> ValueError:
    return ValueError(f"{_where(node)} is not part of a network of fully connected layers")
