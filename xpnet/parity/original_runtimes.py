"""Outputs of a model file by its original runtime, or of an exact ONNX file by ONNX Runtime."""

import math
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.ranges import exact_cast, without_overflow
from xpnet.files.optional import import_optional
from xpnet.formats.model_file import ModelFile
from xpnet.formats.torch import TORCH_ACTIVATIONS
from xpnet.networks.execution import layer_results
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import preprocessed
from xpnet.parity.bounds.rounding import in_float64

__all__ = ["ABSOLUTE_ERRORS", "outputs_by_original_runtime", "outputs_of_exact_file"]

# Absolute error of a runtime's activations, in units in the last place of 1. ONNX Runtime 1.32
# rounds as if results were near 1: measured in float32 over -100 to 100, sigmoid is off by up to
# 1.7e-7, even where it is smaller than that; elu, gelu and hard_silu by as much.
ABSOLUTE_ERRORS = {"onnxruntime": 4.0}

# Without it, ONNX Runtime prints warnings about files that xpnet reads without loss.
_FATAL_ONLY = 4
_ROWS_TOGETHER = 1000
_DTYPES = {
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}


def outputs_by_original_runtime(
    path: Path, contents: ModelFile, x: NDArray[Any]
) -> tuple[str, NDArray[Any]]:
    """Return the name of a runtime, and the outputs of shape (n, n_out) that it gives.

    The name is "onnxruntime" for ONNX, or "torch" for other files, with its version, if it is
    installed and can run the network; otherwise "float64", computed by xpnet. `contents` is the
    model file as read by xpnet, `x` of shape (n, n_in) are inputs of the file's network, in its own
    range. They are cast to its dtype as by `forward`; for ONNX, which accepts no other dtype,
    before the preprocessing.
    """
    network = contents.network
    if contents.format == "ONNX":
        if find_spec("onnxruntime") is not None:
            import onnxruntime

            outputs = _by_onnxruntime(path, network, x)
            if outputs is not None:
                return f"onnxruntime {onnxruntime.__version__}", outputs
    elif find_spec("torch") is not None:
        known = {name for name, _ in TORCH_ACTIVATIONS.values()}
        if all(layer.activation in known for layer in network.layers):
            import torch

            return f"torch {torch.__version__}", _by_torch(network, x)
    *_, (_, y) = layer_results(in_float64(network), x.astype(np.float64), np)
    return "float64", y


def _by_onnxruntime(path: Path, network: Network, x: NDArray[Any]) -> NDArray[Any] | None:
    """Return the outputs by ONNX Runtime; None if it cannot run the file."""
    session: Any = None
    with suppress(Exception):  # ONNX Runtime's errors have no common class
        session = _open_session(path)
    if session is None:
        return None
    source = session.get_inputs()[0]
    dtype = _DTYPES.get(source.type, "float32")
    rows = without_overflow(lambda: x.astype(dtype), x, np, dtype)
    if rows.dtype.kind == "u" and np.any(rows != x):
        return None  # the file takes integers, and the inputs are not
    shape = source.shape
    is_fixed = all(isinstance(n, int) for n in shape)
    n_together = max(math.prod(shape) // network.n_in, 1) if is_fixed else len(rows)
    if not is_fixed:
        rest = shape[1:]
        shape = [-1, *(rest if all(isinstance(n, int) for n in rest) else [network.n_in])]
    for n_rows in dict.fromkeys((n_together, 1)):  # some graphs allow a single row only
        padding = np.zeros((-len(rows) % n_rows, network.n_in), rows.dtype)
        padded = np.concatenate([rows, padding])
        batches = (padded[i : i + n_rows].reshape(shape) for i in range(0, len(padded), n_rows))
        with suppress(Exception):
            results = (session.run(None, {source.name: batch}) for batch in batches)
            outputs = [_class_values(y, n_rows, network) for y in results]
            return np.concatenate(outputs)[: len(rows)]
    return None


def _open_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def outputs_of_exact_file(path: Path, rows: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return the version of ONNX Runtime, and the outputs of an exact ONNX file for some rows.

    Raise MissingPackageError if onnxruntime is not installed, and ValueError if the file cannot be
    run, or the rows, of shape (n, n_in), do not fit its inputs.
    """
    runtime = import_optional("onnxruntime", "exact ONNX files are run by the package onnxruntime")
    try:
        session = _open_session(path)
        source = session.get_inputs()[0]
        given = exact_cast(rows, _DTYPES[source.type])
        chunks = (given[i : i + _ROWS_TOGETHER] for i in range(0, len(given), _ROWS_TOGETHER))
        outputs = [session.run(None, {source.name: chunk})[0] for chunk in chunks]
    except ValueError:
        raise
    except Exception as error:  # ONNX Runtime's errors have no common class
        msg = f"ONNX Runtime cannot run it with rows of {rows.shape[1]} numbers: {error}"
        raise ValueError(msg) from error
    return runtime.__version__, np.concatenate(outputs)


def _class_values(outputs: list[Any], n_rows: int, network: Network) -> NDArray[Any]:
    """Return the output that has one number per unit, not the labels."""
    for y in outputs:
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.size == n_rows * network.n_out:
            return y.reshape(n_rows, network.n_out)
    msg = "no output has one number per unit"
    raise ValueError(msg)


def _by_torch(network: Network, x: NDArray[Any]) -> NDArray[Any]:
    import torch

    with torch.inference_mode():
        y = torch.asarray(preprocessed(network.preprocessing, x, network.dtype, np))
        for layer in network.layers:
            weight, bias = torch.asarray(layer.weight.T.copy()), torch.asarray(layer.bias.copy())
            kind, attributes = next(
                (kind, attributes)
                for kind, (name, attributes) in TORCH_ACTIVATIONS.items()
                if name == layer.activation
            )
            arguments = {x: layer.options[option] for option, x in attributes.items()}
            if kind in {"LogSoftmax", "Softmax"}:
                arguments["dim"] = -1
            activation = getattr(torch.nn, kind)(**arguments)
            y = activation(torch.nn.functional.linear(y, weight, bias))
        return np.asarray(y)
