"""What a file of weights gives by the runtime that it was made for."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.ranges import without_overflow
from xpnet.formats.model_file import ModelFile
from xpnet.formats.torch import TORCH_ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, layer_results, preprocessed
from xpnet.parity.bounds.propagation import in_float64

__all__ = ["ABSOLUTE_ERRORS", "by_own_runtime"]

# How far a runtime's activations may be off in absolute terms, in units of the last place of 1.
# ONNX Runtime 1.32 rounds as if results were near 1: measured in float32 over -100 to 100, sigmoid
# is off by up to 1.7e-7, also where it is smaller than that; elu, gelu and hard_silu by as much.
ABSOLUTE_ERRORS = {"onnxruntime": 4.0}

# ONNX Runtime complains on stderr of what xpnet reads without harm.
_FATAL_ONLY = 4
_DTYPES = {
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}


def by_own_runtime(path: Path, contents: ModelFile, x: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return the name of a runtime, and the outputs that it gives.

    Parameters
    ----------
    path : Path
        The file.
    contents : ModelFile
        What xpnet read in it.
    x : array of shape (n, n_in)
        What the file's network is given, in its own range; cast to its dtype as by `forward`, but
        for ONNX, which takes no other, before the preprocessing.

    Returns
    -------
    name : str
        "onnxruntime" for ONNX, or "torch" for other files, with its version, where it is
        installed and can run the network; otherwise "float64": by xpnet itself.
    outputs : array of shape (n, n_out)
    """
    network = contents.network
    if contents.format == "ONNX":
        if find_spec("onnxruntime") is not None:
            import onnxruntime

            outputs = _by_onnxruntime(path, network, x)
            if outputs is not None:
                return f"onnxruntime {onnxruntime.__version__}", outputs
    elif find_spec("torch") is not None and _is_of_torch(network):
        import torch

        return f"torch {torch.__version__}", _by_torch(network, x)
    *_, (_, y) = layer_results(in_float64(network), x.astype(np.float64), np)
    return "float64", y


def _by_onnxruntime(path: Path, network: Network, x: NDArray[Any]) -> NDArray[Any] | None:
    """Return what ONNX Runtime gives; None if it cannot run the file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # noqa: BLE001 (its errors have no common class)
        return None
    source = session.get_inputs()[0]
    dtype = _DTYPES.get(source.type, "float32")
    rows = without_overflow(lambda: x.astype(dtype), x, np, dtype)
    if rows.dtype.kind == "u" and np.any(rows != x):
        return None  # it takes whole numbers, and these are none
    shape = source.shape
    is_fixed = all(isinstance(n, int) for n in shape)
    n_together = max(math.prod(shape) // network.n_in, 1) if is_fixed else len(rows)
    if not is_fixed:
        rest = shape[1:]
        shape = [-1, *(rest if all(isinstance(n, int) for n in rest) else [network.n_in])]
    for n_rows in dict.fromkeys((n_together, 1)):  # some graphs allow a single row only
        filled = np.concatenate([rows, np.zeros((-len(rows) % n_rows, network.n_in), rows.dtype)])
        batches = (filled[i : i + n_rows] for i in range(0, len(filled), n_rows))
        try:
            parts = [
                _numbers(session.run(None, {source.name: batch.reshape(shape)}), n_rows, network)
                for batch in batches
            ]
        except Exception:  # noqa: BLE001, S112 (as above)
            continue
        return np.concatenate(parts)[: len(rows)]
    return None


def _numbers(outputs: list[Any], n_rows: int, network: Network) -> NDArray[Any]:
    """Return the output that is not the labels."""
    for y in outputs:
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.size == n_rows * network.n_out:
            return y.reshape(n_rows, network.n_out)
    msg = "no output has one number for each unit"
    raise ValueError(msg)


def _is_of_torch(network: Network) -> bool:
    """Tell whether torch has all that the network does."""
    known = {name for name, _ in TORCH_ACTIVATIONS.values()}
    return all(layer.activation in known for layer in network.layers)


def _by_torch(network: Network, x: NDArray[Any]) -> NDArray[Any]:
    import torch

    with torch.inference_mode():
        y = torch.asarray(preprocessed(network, x, np))
        for layer in network.layers:
            weight, bias = torch.asarray(layer.weight.T.copy()), torch.asarray(layer.bias.copy())
            y = _activation_of_torch(layer)(torch.nn.functional.linear(y, weight, bias))
        return np.asarray(y)


def _activation_of_torch(layer: Dense) -> Any:
    import torch

    kind, attributes = next(
        (kind, attributes)
        for kind, (name, attributes) in TORCH_ACTIVATIONS.items()
        if name == layer.activation
    )
    arguments = {x: layer.options[option] for option, x in attributes.items()}
    if kind in {"LogSoftmax", "Softmax"}:
        arguments["dim"] = -1
    return getattr(torch.nn, kind)(**arguments)
