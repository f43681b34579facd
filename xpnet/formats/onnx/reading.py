"""From ONNX to a network: the file, its tensors, and which of its results is meant."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.checked_parameters import as_parameters, check_finite
from xpnet.formats.load_options import Options
from xpnet.formats.model_file import Contents
from xpnet.formats.onnx.graph import Graph
from xpnet.formats.onnx.import_onnx import KEY, VERSION, decode_error, onnx_library
from xpnet.formats.onnx.operator_table import MEANINGS
from xpnet.formats.onnx.tensors import Tensors
from xpnet.formats.onnx.values import Rows
from xpnet.formats.onnx.wire import count_parts
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, output_of

__all__ = ["parse", "read"]

# Far more than a network has; the parser takes some hundred bytes for each.
_MOST_PARTS = 200_000


def parse(path: Path, *, max_bytes: int) -> Any:
    """Return the model of a file as the package onnx has it; nothing else is read.

    Raises
    ------
    WeightsError
        If the file is larger than `max_bytes`, damaged, or holds no graph.
    """
    library = onnx_library()
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            msg = "ONNX file is too large"
            hint = "--max-bytes (max_bytes=) raises the limit"
            raise WeightsError(msg, file=path, expected=f"at most {max_bytes:,} bytes", hint=hint)
        content = stream.read(size)
    try:
        n_parts = count_parts(content, _MOST_PARTS)
        model = library.ModelProto.FromString(content if n_parts <= _MOST_PARTS else b"")
        _check_texts(model)
    except (decode_error(), ValueError) as error:
        msg = "not valid ONNX, or cut off"
        raise WeightsError(msg, file=path) from error
    if n_parts > _MOST_PARTS:
        msg = "ONNX of too many parts for a network of fully connected layers"
        raise WeightsError(msg, file=path, expected=f"at most {_MOST_PARTS:,}")
    if not model.HasField("graph") or not model.graph.node:
        msg = "ONNX without a graph"
        raise WeightsError(msg, file=path)
    return model


def _check_texts(message: Any) -> None:
    """Refuse texts that are not UTF-8, which protobuf gives as bytes."""
    waiting = [message]
    while waiting:
        for field, value in waiting.pop().ListFields():
            if field.type == field.TYPE_MESSAGE:
                waiting.extend([value] if hasattr(value, "ListFields") else value)
            elif field.type == field.TYPE_STRING:
                texts = [value] if isinstance(value, str | bytes) else value
                if not all(isinstance(text, str) for text in texts):
                    msg = f"{field.name} must be UTF-8"
                    raise ValueError(msg)


def read(path: Path, options: Options) -> Contents:
    """Read a network of fully connected layers.

    Raises
    ------
    WeightsError
        If the file is damaged, too large, or keeps weights in other files.
    TypeError, ValueError
        If the graph is another one; the message names operator and node.
    """
    options.check_left_out()
    model = parse(path, max_bytes=options.most_bytes)
    graph = Graph(model, Tensors(path, options), MEANINGS)
    rows, notes = _meant(graph)
    network = _network_of(rows, options)
    texts = [entry.value for entry in model.metadata_props if entry.key == KEY]
    if len(texts) > 1:
        msg = f"ONNX must have one entry {KEY!r} in the metadata; got {len(texts)}"
        raise ValueError(msg)
    if not texts:
        is_whole = graph.input_dtype.kind in "iu"
        return Contents(
            network, "ONNX", is_own=False, notes=tuple(notes), takes_whole_numbers=is_whole
        )
    return Contents(_with_meaning(network, texts[0]), "ONNX", is_own=True)


def _meant(graph: Graph) -> tuple[Rows, list[str]]:
    """Return the results of the graph that are the network's: outputs rather than their labels."""
    notes = []
    found: dict[bool, Rows] = {}
    fault = None
    for name, output in graph.outputs.items():
        try:
            rows, fixed_batch = graph.result(name)
        except ValueError as error:
            if _is_of_numbers(output):
                raise
            fault = error
            what = "labels rather than what they are chosen by"
            notes.append(f"the output {quoted(name)} is left out: {what}")
            continue
        found.setdefault(rows.is_label, rows)
        if not rows.is_label and found[False].layers != rows.layers:
            found[False] = _logits_of(found[False], rows, graph)
            notes.append("the softmax among the outputs is left out: the other one is its logits")
        lifted = f"the fixed batch of {fixed_batch} is lifted"
        if fixed_batch is not None and lifted not in notes:
            notes.append(lifted)
    if not found:
        raise fault or ValueError("ONNX must have an output; got none")
    if False not in found:
        notes.append("the final ArgMax is left out: the network gives what it chooses among")
    return found.get(False) or found[True], notes


def _logits_of(one: Rows, other: Rows, graph: Graph) -> Rows:
    """Return the one of two outputs whose softmax is the other."""
    pairs = zip(one.layers, other.layers, strict=False)
    is_same = len(one.layers) == len(other.layers) and all(
        a.weight is b.weight and a.bias is b.bias for a, b in pairs
    )
    names = [rows.layers[-1].activation for rows in (one, other)]
    if not is_same or one.layers[:-1] != other.layers[:-1] or "identity" not in names:
        msg = f"ONNX must have one output; got {', '.join(map(quoted, graph.outputs))}"
        raise ValueError(msg)
    return one if names[0] == "identity" else other


def _is_of_numbers(output: Any) -> bool:
    """Tell whether an output is one that a network has, rather than labels or a dictionary."""
    number = output.type.tensor_type.elem_type
    names = onnx_library().TensorProto.DataType
    return not output.type.HasField("sequence_type") and number not in {
        names.Value("INT64"),
        names.Value("STRING"),
    }


def _network_of(rows: Rows, options: Options) -> Network:
    arrays = {}
    for i, layer in enumerate(rows.layers):
        arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"] = layer.weight, layer.whole_bias
    dtypes = {str(array.dtype) for array in arrays.values()}
    if len(dtypes) > 1:
        msg = f"ONNX must have weights of one dtype; got {', '.join(sorted(dtypes))}"
        raise TypeError(msg)
    if not options.allow_nonfinite:
        check_finite(arrays)
    arrays = as_parameters(arrays)
    layers = [
        Dense(
            arrays[f"layers.{i}.weight"],
            arrays[f"layers.{i}.bias"],
            layer.activation,
            layer.options,
        )
        for i, layer in enumerate(rows.layers)
    ]
    return Network(layers, preprocessing=rows.steps, output=output_of(layers))


def _with_meaning(network: Network, text: str) -> Network:
    """Return the network with what xpnet wrote of it beside its graph."""
    meaning = json.loads(text)
    if not isinstance(meaning, Mapping) or meaning["version"] != VERSION:
        msg = f"xpnet's entry in the metadata must be of version {VERSION}"
        raise ValueError(msg)
    classes = meaning["classes"]
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Sequence)):
        msg = "classes in xpnet's entry in the metadata must be a list"
        raise TypeError(msg)
    return Network(network.layers, network.preprocessing, meaning["output"], classes)
