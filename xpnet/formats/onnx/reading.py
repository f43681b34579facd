"""Network from an ONNX graph, compared with ONNX's reference evaluator."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataWarning, quoted
from xpnet.formats.chain import check_outputs, network_of_chain
from xpnet.formats.model_file import LoadOptions, ModelFile
from xpnet.formats.onnx.chain_builder import ChainBuilder, Link, weight_of
from xpnet.formats.onnx.graph import Graph, Layout
from xpnet.formats.onnx.operations import read_operation
from xpnet.formats.onnx.parsing import (
    EXACT_KEY,
    METADATA_KEY,
    METADATA_VERSION,
    ExactFileError,
    onnx_library,
    parse_model,
)
from xpnet.formats.onnx.schemas import Operation, ShapeError
from xpnet.formats.onnx.tensors import Tensors
from xpnet.networks.network import Network

__all__ = ["read"]

# Numbers of rows that ONNX's evaluator computes; no output may depend on them.
_BATCHES = (1, 2, 7)


@dataclass(frozen=True, eq=False)
class _Result:
    """An output as a network."""

    network: Network
    fixed_batch: int | None
    is_label: bool
    classes: tuple[Any, ...]


def read(path: Path, options: LoadOptions) -> ModelFile:
    """Read a network of fully connected layers.

    Raise WeightsError if the file is damaged, too large, or has external data that must not be
    read, and TypeError or ValueError, with operator and node, for any other graph.
    """
    options.check_omitted()
    model = parse_model(path, max_bytes=options.byte_limit)
    if any(entry.key == EXACT_KEY for entry in model.metadata_props):
        msg = "no network can be read from the ONNX file of an exact forward pass"
        raise ExactFileError(msg, file=path, hint="load the file of the network instead")
    graph = Graph(model, Tensors(path, options))
    try:
        network, notes = _select_output(graph, path, options)
    except ShapeError as error:  # whose class would be part of the message
        raise ValueError(*error.args) from error
    entries = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
    if len(entries) > 1:
        msg = f"ONNX must have one entry {METADATA_KEY!r} in the metadata; got {len(entries)}"
        raise ValueError(msg)
    if entries:
        return ModelFile(_apply_metadata(network, entries[0]), "ONNX", is_own=True)
    if graph.input_dtype.kind in "iu":
        network = replace(network, metadata={**network.metadata, "input_range": "0..255"})
    return ModelFile(network, "ONNX", is_own=False, notes=tuple(notes))


def _select_output(graph: Graph, path: Path, options: LoadOptions) -> tuple[Network, list[str]]:
    """Return an output, the numeric one if any, with the names of the classes; and notes."""
    notes = []
    found: dict[bool, _Result] = {}
    first_error = None
    for name, output in graph.outputs.items():
        try:
            result = _result(graph, name, options)
        except ValueError as error:
            if _is_numeric(output):
                raise
            first_error = error
            note = "is omitted: it holds labels, not values"
            notes.append(f"the output {quoted(name)} {note}")
            continue
        first = found.setdefault(result.is_label, result)
        pairs = ((f(first.network), f(result.network)) for f in (_activations, _parameters))
        if not result.is_label and any(x != y for x, y in pairs):
            found[False] = _select_logits(first, result, graph)
            notes.append("the softmax output is omitted, because another output has its logits")
        lifted = f"the fixed batch of {result.fixed_batch} is lifted"
        if result.fixed_batch is not None and lifted not in notes:
            notes.append(lifted)
    if not found:
        raise first_error or ValueError("ONNX must have an output; got none")
    if False not in found:
        notes.append("the final ArgMax is omitted: the network returns its input")
    network = (found.get(False) or found[True]).network
    classes = found[True].classes if True in found else ()
    if True in found and _parameters(network) != _parameters(found[True].network):
        first_error, classes = ValueError("they come from other layers than the output"), ()
    if first_error is not None and not classes:
        msg = f"{path}: the labels are lost, and predict gives class ids: {first_error}"
        warnings.warn(msg, DataWarning, stacklevel=5)
    names = None if classes == tuple(range(len(classes))) else classes
    return Network(network.layers, network.preprocessing, network.output, names), notes


def _result(graph: Graph, name: str, options: LoadOptions) -> _Result:
    """Return an output as a network; raise ValueError, with operator and node, if it is none."""
    operations, constants = graph.operations(name)
    layers = (x for x in operations if x.operator in {"Gemm", "MatMul"})
    pairs = ((x, [y for y in x.proto.input[:2] if y not in constants]) for x in layers)
    first = next((Link(x, rows[0]) for x, rows in pairs if len(rows) == 1), None)
    if first is None:
        msg = f"ONNX must have fully connected layers; got none before output {quoted(name)}"
        raise ValueError(msg)
    n_in = len(weight_of(first, constants[first.node.proto.input[first.comes_first]]))
    first_error = None
    for layout in graph.layouts(n_in):
        try:
            return _result_of(graph, (name, operations, constants), layout, options)
        except ShapeError as error:
            first_error = first_error or error
    if first_error is None:
        found = f"the shape of the input {graph.input_name}"
        first.node.reject(f"its weight for {n_in} values does not fit {found}")
    raise first_error


def _result_of(
    graph: Graph,
    computation: tuple[str, list[Operation], dict[str, NDArray[Any]]],
    layout: Layout,
    options: LoadOptions,
) -> _Result:
    """Return the result of operations; raise ShapeError if the input cannot have the layout."""
    name, operations, constants = computation
    specs, values = graph.specs(operations, constants, layout)
    path = graph.path(name, values)
    chain = ChainBuilder(values, specs, graph.count)
    for link in path:
        read_operation(link, chain)
    network = network_of_chain(chain.parts, allow_nonfinite=options.allow_nonfinite)
    argmax = next((x.rows for x in path if x.node.operator == "ArgMax"), None)
    ends = [name] if argmax is None else [argmax, name]
    evaluate = graph.evaluator(operations, constants, ends, layout)
    _compare(network, evaluate, layout, specs[ends[0]].shape, chain.classes)
    return _Result(network, layout.fixed_batch, chain.is_label, chain.classes)


def _compare(
    network: Network,
    evaluate: Callable[[NDArray[Any]], list[NDArray[Any]]],
    layout: Layout,
    row_shape: tuple[int, ...],
    classes: tuple[Any, ...],
) -> None:
    """Raise ValueError unless ONNX's evaluator gives the network's outputs, and their classes."""

    def outputs(rows: NDArray[Any]) -> NDArray[Any]:
        found = []
        for batch in rows[:, np.newaxis] if layout.axis is None else rows[np.newaxis]:
            values, *labels = evaluate(batch)
            pairs = enumerate(zip(values.shape, row_shape, strict=True))
            axis = next((i for i, (n, m) in pairs if n != m), None)  # of the batch
            values = values if axis is None else np.moveaxis(values, axis, 0)
            found.append(values.reshape(len(batch), -1))
            chosen = found[-1].argmax(axis=1).tolist()
            expected = [classes[i] for i in chosen] if classes else chosen
            if labels and labels[0].reshape(-1).tolist() != expected:
                msg = "ONNX's labels must be those of the largest outputs for random rows"
                raise ValueError(msg)
        return np.concatenate(found)

    # The evaluator computes the erf of Gelu in float32, and folded parameters are rounded to their
    # own dtype.
    epsilon = max(np.finfo(np.float32).eps, np.finfo(network.dtype).eps)
    check_outputs(network.astype("float64"), outputs, epsilon=float(epsilon), batches=_BATCHES)


def _parameters(network: Network) -> list[bytes]:
    return [x.tobytes() for layer in network.layers for x in (layer.weight, layer.bias)]


def _activations(network: Network) -> list[tuple[str, dict[str, Any]]]:
    return [(layer.activation, dict(layer.options)) for layer in network.layers]


def _select_logits(one: _Result, other: _Result, graph: Graph) -> _Result:
    """Return the logits of two outputs; raise unless the other output is their softmax."""
    (*before, last), (*others, end) = (_activations(x.network) for x in (one, other))
    is_same = _parameters(one.network) == _parameters(other.network) and before == others
    if not is_same or "identity" not in {last[0], end[0]}:
        msg = f"ONNX must have one output; got {', '.join(map(quoted, graph.outputs))}"
        raise ValueError(msg)
    return one if last[0] == "identity" else other


def _is_numeric(output: Any) -> bool:
    """Return whether an output can hold numbers, rather than labels or dictionaries."""
    types = onnx_library().TensorProto
    is_label = output.type.tensor_type.elem_type in {types.INT64, types.STRING}
    return not is_label and not output.type.HasField("sequence_type")


def _apply_metadata(network: Network, text: str) -> Network:
    """Return the network with the output, classes and metadata of xpnet's entry in the metadata."""
    entries = json.loads(text)
    if not isinstance(entries, dict) or entries["version"] != METADATA_VERSION:
        msg = f"xpnet's entry in the metadata must be of version {METADATA_VERSION}"
        raise ValueError(msg)
    classes = entries["classes"]
    if classes is not None and not isinstance(classes, list):
        msg = "classes in xpnet's entry in the metadata must be a list"
        raise TypeError(msg)
    metadata = entries.get("metadata")
    return Network(network.layers, network.preprocessing, entries["output"], classes, metadata)
