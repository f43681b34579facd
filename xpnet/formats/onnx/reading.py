"""Network from an ONNX graph: selection of the output, layers, classes."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.files.errors import DataWarning, quoted
from xpnet.formats.checked_parameters import as_parameters, check_finite
from xpnet.formats.model_file import LoadOptions, ModelFile
from xpnet.formats.onnx.graph import Graph
from xpnet.formats.onnx.parsing import METADATA_KEY, METADATA_VERSION, onnx_library, parse
from xpnet.formats.onnx.tensors import Tensors
from xpnet.formats.onnx.values import GraphRows
from xpnet.networks.dense import Dense, output_of
from xpnet.networks.network import Network

__all__ = ["read"]


def read(path: Path, options: LoadOptions) -> ModelFile:
    """Read a network of fully connected layers.

    Raise WeightsError if the file is damaged, too large, or has external data that must not be
    read, and TypeError or ValueError, with operator and node, for any other graph.
    """
    options.check_omitted()
    model = parse(path, max_bytes=options.byte_limit)
    graph = Graph(model, Tensors(path, options))
    rows, notes = _select_output(graph, path)
    network = _build_network(rows, options)
    entries = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
    if len(entries) > 1:
        msg = f"ONNX must have one entry {METADATA_KEY!r} in the metadata; got {len(entries)}"
        raise ValueError(msg)
    if entries:
        return ModelFile(_apply_metadata(network, entries[0]), "ONNX", is_own=True)
    is_integer = graph.input_dtype.kind in "iu"
    return ModelFile(
        network, "ONNX", is_own=False, notes=tuple(notes), has_integer_input=is_integer
    )


def _select_output(graph: Graph, path: Path) -> tuple[GraphRows, list[str]]:
    """Return an output, the numeric one if any, with the names of the classes; and notes."""
    notes = []
    found: dict[bool, GraphRows] = {}
    first_error = None
    for name, output in graph.outputs.items():
        try:
            rows, fixed_batch = graph.result(name)
        except ValueError as error:
            if _is_numeric(output):
                raise
            first_error = error
            note = "is omitted: it holds labels, not values"
            notes.append(f"the output {quoted(name)} {note}")
            continue
        found.setdefault(rows.is_label, rows)
        if not rows.is_label and found[False].layers != rows.layers:
            found[False] = _select_logits(found[False], rows, graph)
            notes.append("the softmax output is omitted, because another output has its logits")
        lifted = f"the fixed batch of {fixed_batch} is lifted"
        if fixed_batch is not None and lifted not in notes:
            notes.append(lifted)
    if not found:
        raise first_error or ValueError("ONNX must have an output; got none")
    if False not in found:
        notes.append("the final ArgMax is omitted: the network returns its input")
    rows = found.get(False) or found[True]
    labels = found.get(True, rows)
    if not _have_same_layers(rows, labels):
        first_error, labels = ValueError("they come from other layers than the output"), rows
    if first_error is not None and not labels.classes:
        msg = f"{path}: the labels are lost, and predict gives class ids: {first_error}"
        warnings.warn(msg, DataWarning, stacklevel=5)
    return replace(rows, classes=labels.classes), notes


def _have_same_layers(one: GraphRows, other: GraphRows) -> bool:
    """Return whether two values have the same layers, except for their activations."""
    pairs = zip(one.layers, other.layers, strict=False)
    return len(one.layers) == len(other.layers) and all(
        a.weight is b.weight and a.bias is b.bias for a, b in pairs
    )


def _select_logits(one: GraphRows, other: GraphRows, graph: Graph) -> GraphRows:
    """Return the logits of two outputs; raise unless the other output is their softmax."""
    is_same = _have_same_layers(one, other)
    names = [rows.layers[-1].activation for rows in (one, other)]
    if not is_same or one.layers[:-1] != other.layers[:-1] or "identity" not in names:
        msg = f"ONNX must have one output; got {', '.join(map(quoted, graph.outputs))}"
        raise ValueError(msg)
    return one if names[0] == "identity" else other


def _is_numeric(output: Any) -> bool:
    """Return whether an output can hold numbers, rather than labels or dictionaries."""
    types = onnx_library().TensorProto
    is_label = output.type.tensor_type.elem_type in {types.INT64, types.STRING}
    return not is_label and not output.type.HasField("sequence_type")


def _build_network(rows: GraphRows, options: LoadOptions) -> Network:
    arrays = {}
    for i, layer in enumerate(rows.layers):
        zeros = np.zeros(layer.weight.shape[1], layer.weight.dtype)
        arrays[f"layers.{i}.weight"] = layer.weight
        arrays[f"layers.{i}.bias"] = zeros if layer.bias is None else layer.bias
    dtypes = {str(array.dtype) for array in arrays.values()}
    if len(dtypes) > 1:
        msg = f"ONNX must have weights of one dtype; got {', '.join(sorted(dtypes))}"
        raise TypeError(msg)
    if not options.allow_nonfinite:
        check_finite(arrays)
    arrays = as_parameters(arrays)
    layers = []
    for i, layer in enumerate(rows.layers):
        weight, bias = arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"]
        layers.append(Dense(weight, bias, layer.activation, layer.options))
    classes = None if rows.classes == tuple(range(len(rows.classes))) else rows.classes
    return Network(layers, preprocessing=rows.steps, output=output_of(layers), classes=classes)


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
