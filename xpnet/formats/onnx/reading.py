"""Networks from ONNX graphs: a chain of operators, compared with ONNX's reference evaluator.

A graph is read from its output to its input. Each operator must have one input that depends on the
rows; the others are constants. Operators that change only shapes and dtypes are skipped: if one of
them moves or rounds the values of a row, the comparison fails. It also fails if a constant is
missing, an attribute is left out here, or the nodes do not lead to the input.
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataWarning, WeightsError
from xpnet.formats.chain import Activate, Part, network_of_chain
from xpnet.formats.description import arrays_by_name, describe, network_from_description
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, GATES
from xpnet.formats.onnx.operations import OPERATORS, SKIPPED, operation_of
from xpnet.formats.onnx.writing import EXACT_KEY, METADATA_KEY, model_of, onnx_library
from xpnet.networks.network import Network

__all__ = ["ExactFileError", "read"]

# Operator -> the activation that is the product of a value and the operator's result.
_GATED = {ACTIVATION_OPERATORS[gate].name: name for gate, name in GATES.items()}
# Of the evaluator: options of activations, and erf, are of float32; the comparison allows 64 times.
_EPSILON = 2.0**-28


class ExactFileError(WeightsError):
    """A file with an exact forward pass, from which no network can be read."""


@np.errstate(all="ignore")  # numbers that are not finite are found by the checks
def read(path: Path) -> tuple[Network, bool]:
    """Return the network of a file, and whether xpnet wrote the file.

    Raise `ExactFileError` if the file has an exact forward pass, and TypeError or ValueError if it
    is damaged, the graph is not one of fully connected layers, or ONNX's evaluator gives other
    outputs for random rows than the network.
    """
    onnx = onnx_library()
    model, arrays = _parsed(onnx, path)
    metadata = {x.key: x.value for x in model.metadata_props}
    if EXACT_KEY in metadata:
        msg = "no network can be read from an exact forward pass: load the file of the network"
        raise ExactFileError(msg, file=path)
    graph = _Graph(onnx, model, arrays)
    entries = json.loads(metadata.get(METADATA_KEY, "{}"))
    if "activations" in entries:
        own = {x: y for x, y in arrays.items() if x.startswith(("layers.", "preprocessing."))}
        with suppress(TypeError, ValueError):  # for other arrays, the graph counts
            network = network_from_description(metadata[METADATA_KEY], own)
            if model_of(network, graph.input_dtype).graph == model.graph:
                return network, True
    network = network_of_chain(graph.chain(), graph.outputs, epsilon=_EPSILON, batches=(10,))
    if entries:  # of a changed file; or of xpnet 0.1 and 0.2, which wrote neither of these two
        of_graph = json.loads(describe(network))
        entries |= {x: of_graph[x] for x in ("activations", "preprocessing")}
        return network_from_description(json.dumps(entries), arrays_by_name(network)), True
    if graph.input_dtype.startswith(("int", "uint")):  # raw pixels
        network = replace(network, metadata={"input_range": "0..255"})
    if len(model.graph.output) > 1:
        msg = f"{path}: labels are not read; `classes` of a network names its classes"
        warnings.warn(msg, DataWarning, stacklevel=2)
    return network, False


def _parsed(onnx: Any, path: Path) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the model of a file and its constants, also of files beside it that onnx allows."""
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
        onnx.load_external_data_for_model(model, str(path.parent))
        names = [x.name for x in model.graph.initializer]
        if len({*names}) < len(names):  # ONNX Runtime takes the first
            msg = "constants must have different names"
            raise ValueError(msg)
        arrays = map(onnx.numpy_helper.to_array, model.graph.initializer)
        return model, dict(zip(names, map(_native, arrays), strict=True))
    except Exception as error:  # of protobuf, onnx and the system
        msg = f"not valid ONNX: {error!r}"
        raise ValueError(msg) from error


def _native(x: NDArray[Any]) -> NDArray[Any]:
    """Return an array; bfloat16, which NumPy lacks, becomes float32."""
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


class _Graph:
    """The nodes and constants that the output of a model needs."""

    def __init__(self, onnx: Any, model: Any, arrays: dict[str, NDArray[Any]]) -> None:
        graph, types = model.graph, onnx.TensorProto
        self._onnx, self._opsets = onnx, model.opset_import
        self._floating = {types.FLOAT16, types.BFLOAT16, types.FLOAT, types.DOUBLE}
        inputs = [x for x in graph.input if x.name not in arrays]
        outputs = [x for x in graph.output if x.type.tensor_type.elem_type in self._floating]
        if (len(inputs), len(outputs), len(model.functions)) != (1, 1, 0):
            names = [x.name for x in (*inputs, *graph.output, *model.functions)]
            msg = f"ONNX must have one input and one floating-point output, alone; got {names}"
            raise ValueError(msg)
        self._input, self._output = inputs[0].name, outputs[0].name
        kind = inputs[0].type.tensor_type
        self._shape = [x.dim_value for x in kind.shape.dim] or [0, 0]
        name = types.DataType.Name(kind.elem_type)
        self.input_dtype = "float32" if name == "FLOAT" else name.lower()
        # Old exporters write the nodes of constants last.
        ordered = sorted(graph.node, key=lambda node: node.op_type != "Constant")
        needed, nodes = {self._output}, []
        for node in reversed(ordered):
            if needed.intersection(node.output):
                if _operator(node) not in OPERATORS:
                    raise _refusal(node)
                needed.update(node.input)
                nodes.append(node)
        self._of_rows = {self._input}  # the names of values that depend on the input
        self._nodes = []  # which compute them
        of_constants = []
        for node in reversed(nodes):
            if self._of_rows.intersection(node.input):
                self._of_rows.update(filter(None, node.output))
                self._nodes.append(node)
            else:
                of_constants.append(node)
        used = {x for node in self._nodes for x in node.input} - {"", *self._of_rows}
        computed = used.intersection(x for node in of_constants for x in node.output)
        if missing := used - computed - arrays.keys():
            msg = f"ONNX must compute a value before it is used; got {sorted(missing)}"
            raise ValueError(msg)
        self._constants = {x: arrays[x] for x in used - computed}
        if computed:
            (values,) = self._computed(of_constants, [*computed], [arrays])
            self._constants |= zip(computed, map(_native, values), strict=True)

    def chain(self) -> list[tuple[str, Part]]:
        """Return the operations from the input to the output, each with its position."""
        chain: list[tuple[str, Part]] = []
        name = self._output
        for node in reversed(self._nodes):
            if name not in node.output:
                continue
            operator, rows = _operator(node), [x for x in node.input if x in self._of_rows]
            name, part = rows[0], None
            if operator in SKIPPED:
                continue
            if len(rows) == 1:
                values = [self._constants.get(x) for x in node.input]
                if all(x is None or x.dtype.kind == "f" for x in values):  # no integers, that wrap
                    part = operation_of(operator, self._attributes(node), values)
            elif operator == "Mul":
                name, part = self._gated(rows)
            if part is None:
                raise _refusal(node)
            chain.append((_where(node), part))
        return chain[::-1]

    def _gated(self, rows: list[str]) -> tuple[str, Activate | None]:
        """Return the argument and the activation of a product of a value and its own sigmoid."""
        for node in self._nodes:
            if _operator(node) in _GATED and sorted((*node.input, *node.output)) == sorted(rows):
                return node.input[0], Activate(_GATED[_operator(node)])
        return rows[0], None

    def _attributes(self, node: Any) -> dict[str, Any]:
        """Return the attributes of a node, without its axis, which the comparison checks."""
        get = self._onnx.helper.get_attribute_value
        found = {x.name: get(x) for x in node.attribute if x.name != "axis"}
        return {x: y.decode() if isinstance(y, bytes) else y for x, y in found.items()}

    def outputs(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return what ONNX's evaluator gives for rows, each by itself, in float64.

        Rounding would move values across the jumps of an activation.
        """
        for attribute in (y for x in self._nodes if x.op_type == "Cast" for y in x.attribute):
            if attribute.i in self._floating:
                attribute.i = self._onnx.TensorProto.DOUBLE
        constants = self._constants.items()
        doubles = {x: y.astype("f8") if y.dtype.kind == "f" else y for x, y in constants}
        # One row, or as many as the file fixes.
        shape = [self._shape[0] or 1, *(n or -1 for n in self._shape[1:])]
        n_copies = 1 if abs(prod(shape)) == rows.shape[1] else shape[0]
        inputs = (np.tile(row, n_copies).reshape(shape) for row in rows.astype(np.float64))
        values = ({**doubles, self._input: x} for x in inputs)
        found = [y.ravel() for (y,) in self._computed(self._nodes, [self._output], values)]
        return np.stack([y[: len(y) // n_copies] for y in found])

    def _computed(
        self, nodes: Sequence[Any], names: list[str], inputs: Iterable[Mapping[str, NDArray[Any]]]
    ) -> list[list[NDArray[Any]]]:
        """Return the named values that ONNX's evaluator computes, for each of several inputs."""
        from onnx.reference import ReferenceEvaluator
        from onnx.reference.op_run import OpRun

        class LogSoftmax(OpRun):  # type: ignore[misc]
            """ONNX's own is the logarithm of a softmax, which underflows."""

            op_domain = ""

            def _run(self, x: Any, *, axis: int) -> tuple[Any]:
                shifted = x - x.max(axis, keepdims=True)
                return (shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)),)

        onnx = self._onnx
        try:
            results = [onnx.ValueInfoProto(name=name) for name in names]
            graph = onnx.helper.make_graph(nodes, "graph", [], results)
            model = onnx.helper.make_model(graph, opset_imports=self._opsets)
            evaluator = ReferenceEvaluator(model, new_ops=[LogSoftmax])
            return [list(map(np.asarray, evaluator.run(None, dict(x)))) for x in inputs]
        except Exception as error:  # of any operator
            msg = f"ONNX's evaluator must compute the graph: {error!r}"
            raise ValueError(msg) from error


def _operator(node: Any) -> str:
    own = node.domain in {"", "ai.onnx"}
    return str(node.op_type) if own else f"{node.domain}:{node.op_type}"


def _where(node: Any) -> str:
    return f"ONNX operator {_operator(node)} ({node.name or node.output[0]!r})"


def _refusal(node: Any) -> ValueError:
    return ValueError(f"{_where(node)} is not part of a network of fully connected layers")
