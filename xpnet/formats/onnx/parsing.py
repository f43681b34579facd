"""Parsing of ONNX files with bounded memory, and the summary of a file.

The parser takes hundreds of bytes per field, even if the field is small in the file. So the fields
are counted first: protobuf's wire format contains the length of each.
"""

import os
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from xpnet.files.errors import WeightsError
from xpnet.files.optional import import_optional
from xpnet.formats.model_file import LoadOptions, check_size

__all__ = ["EXACT_KEY", "METADATA_KEY", "METADATA_VERSION", "ExactFileError", "count_fields"]
__all__ += ["onnx_library", "parse_model"]

# Entry of a model's metadata for facts about a network that a graph cannot express.
METADATA_KEY = "xpnet"
METADATA_VERSION = 1
# Entry of a file with the exact forward pass: the description of the network.
EXACT_KEY = "xpnet_exact"

# Far more than a network needs.
_MAX_FIELDS = 200_000
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_SHIFT = 63
# Kind of a message -> number of each field that is a message, and its kind.
_MESSAGE_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 15: "sparse"},
    "function": {7: "node", 11: "attribute", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "value": {2: "type"},
    "type": {1: "tensor type", 4: "sequence", 5: "sequence", 9: "sequence"},
    "sequence": {1: "type", 2: "type"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {},
}


class ExactFileError(WeightsError):
    """A file with an exact forward pass, from which no network can be read."""


def onnx_library() -> Any:
    """Import the package onnx; raise MissingPackageError if it is not installed."""
    return import_optional("onnx", "ONNX files need the package onnx")


def parse_model(path: Path, *, max_bytes: int) -> Any:
    """Return the ``onnx.ModelProto`` of a file, without its external data.

    Raise WeightsError if the file is larger than `max_bytes`, is damaged, or has no graph.
    """
    library = onnx_library()
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        check_size(path, "ONNX files", size, max_bytes)
        content = stream.read(size)
    # protobuf, a dependency of onnx, has no type annotations.
    decode_error: Any = import_module("google.protobuf.message").DecodeError
    try:
        n_fields = count_fields(content, _MAX_FIELDS)
        model = library.ModelProto.FromString(content if n_fields <= _MAX_FIELDS else b"")
        _check_strings(model)
    except (decode_error, ValueError) as error:
        msg = "not valid ONNX, or truncated"
        raise WeightsError(msg, file=path) from error
    if n_fields > _MAX_FIELDS:
        msg = "ONNX with too many fields for a network of fully connected layers"
        raise WeightsError(msg, file=path, expected=f"at most {_MAX_FIELDS:,}")
    if not model.HasField("graph") or not model.graph.node:
        msg = "ONNX without a graph"
        raise WeightsError(msg, file=path)
    return model


def _check_strings(message: Any) -> None:
    """Raise ValueError for strings that are not UTF-8, which protobuf returns as bytes."""
    pending = [message]
    while pending:
        for field, value in pending.pop().ListFields():
            if field.type == field.TYPE_MESSAGE:
                pending.extend([value] if hasattr(value, "ListFields") else value)
            elif field.type == field.TYPE_STRING:
                strings = [value] if isinstance(value, str | bytes) else value
                if not all(isinstance(string, str) for string in strings):
                    msg = f"{field.name} must be UTF-8"
                    raise ValueError(msg)


def count_fields(content: bytes, limit: int) -> int:
    """Return the number of fields of a model and its parts, or any number above `limit`.

    Raise ValueError if the bytes are not a protobuf message.
    """
    count = 0
    pending = [("model", 0, len(content))]
    while pending and count <= limit:
        kind, position, end = pending.pop()
        while position < end and count <= limit:
            count += 1
            key, position = _read_varint(content, position, end)
            wire_type = key & 7
            if wire_type == _LENGTH:
                length, position = _read_varint(content, position, end)
                inner = _MESSAGE_FIELDS[kind].get(key >> 3)
                if inner is not None:
                    pending.append((inner, position, min(position + length, end)))
                position += length
            elif wire_type == _VARINT:
                _, position = _read_varint(content, position, end)
            elif wire_type in {_FIXED64, _FIXED32}:
                position += 8 if wire_type == _FIXED64 else 4
            else:
                msg = f"unknown wire type {wire_type}"
                raise ValueError(msg)
        if position > end and count <= limit:
            msg = "a field exceeds its message"
            raise ValueError(msg)
    return count


def _read_varint(content: bytes, position: int, end: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    number = shift = 0
    while position < end and shift <= _MAX_SHIFT:
        byte = content[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7
    msg = "an unterminated number"
    raise ValueError(msg)


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return arrays, inputs, outputs and operators of a graph; raise as `parse_model`."""
    model = parse_model(path, max_bytes=options.byte_limit)
    graph = model.graph
    dtypes = {number: name for name, number in onnx_library().TensorProto.DataType.items()}
    constants = {x.name for x in graph.initializer}
    return {
        "arrays": [[x.name, dtypes.get(x.data_type, "?"), list(x.dims)] for x in graph.initializer],
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
        "inputs": [_name_and_shape(x) for x in graph.input if x.name not in constants],
        "outputs": [_name_and_shape(x) for x in graph.output],
        "operators": dict(Counter(node.op_type for node in graph.node)),
        "opsets": {x.domain or "ai.onnx": x.version for x in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
    }


def _name_and_shape(info: Any) -> list[Any]:
    dims = info.type.tensor_type.shape.dim
    return [info.name, [dim.dim_value or dim.dim_param or "?" for dim in dims]]
