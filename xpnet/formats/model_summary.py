"""What is in a file of weights, told without building a network of it."""

from collections import Counter
from pathlib import Path
from typing import Any

from xpnet.formats import npz, pickle, safetensors
from xpnet.formats.detect_weights import format_of
from xpnet.formats.load_options import Options
from xpnet.formats.onnx import parse
from xpnet.formats.onnx.import_onnx import onnx_library

__all__ = ["overview"]


def overview(path: Path, options: Options) -> dict[str, Any]:
    """Return the format of a file, its arrays, and what it says of them.

    Parameters
    ----------
    path : Path
    options : Options
        `max_bytes` is used.

    Returns
    -------
    dict of str to str, list or dict
        "format"; "arrays", a list of [name, dtype, shape]; "metadata", texts by name, in which
        xpnet's own description of the network is called "xpnet"; of ONNX also "inputs", "outputs",
        "operators" (how many of each) and "opsets".

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If it is no file of weights, or damaged.

    Notes
    -----
    Of safetensors and npz, only headers are read; a pickle and an ONNX file are read as they are.

    Examples
    --------
    >>> from importlib.resources import files
    >>> found = overview(files("xpnet.formats") / "sample" / "model.safetensors", Options())
    >>> found["format"], found["arrays"][0]
    ('safetensors', ['layers.0.bias', 'F32', [50]])
    """
    name = format_of(path)
    readers = {
        "safetensors": _of_safetensors,
        "npz": _of_npz,
        "pickle": _of_pickle,
        "ONNX": _of_onnx,
    }
    return {"format": name, **readers[name](path, options)}


def _of_safetensors(path: Path, _: Options) -> dict[str, Any]:
    metadata, tensors = safetensors.read_header(path)
    arrays = [[tensor.name, tensor.dtype, list(tensor.shape)] for tensor in tensors]
    return {"arrays": arrays, "metadata": metadata}


def _of_npz(path: Path, _: Options) -> dict[str, Any]:
    headers = npz.read_headers(path)
    arrays = [[name, str(x.dtype), list(x.shape)] for name, x in headers.items()]
    return {"arrays": arrays, "metadata": {}}


def _of_pickle(path: Path, options: Options) -> dict[str, Any]:
    named = pickle.read(path, max_bytes=options.most_bytes)
    arrays = [[name, str(x.dtype), list(x.shape)] for name, x in named.arrays.items()]
    return {"arrays": arrays, "metadata": {}}


def _of_onnx(path: Path, options: Options) -> dict[str, Any]:
    model = parse(path, max_bytes=options.most_bytes)
    graph = model.graph
    kinds = {number: name for name, number in onnx_library().TensorProto.DataType.items()}
    arrays = [[x.name, kinds.get(x.data_type, "?"), list(x.dims)] for x in graph.initializer]
    constants = {x.name for x in graph.initializer}
    return {
        "arrays": arrays,
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
        "inputs": [_value(x) for x in graph.input if x.name not in constants],
        "outputs": [_value(x) for x in graph.output],
        "operators": dict(Counter(node.op_type for node in graph.node)),
        "opsets": {x.domain or "ai.onnx": x.version for x in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
    }


def _value(info: Any) -> list[Any]:
    dims = info.type.tensor_type.shape.dim
    return [info.name, [dim.dim_value or dim.dim_param or "?" for dim in dims]]
