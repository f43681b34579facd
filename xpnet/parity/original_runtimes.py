"""Outputs of a model file by its original runtime."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import without_warnings
from xpnet.networks.network import Network

__all__ = ["outputs_by_onnx_runtime"]

# Without it, ONNX Runtime prints warnings about files that xpnet reads without loss.
_FATAL_ONLY = 4
_ROWS_TOGETHER = 1000
_DTYPES = {
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}


def outputs_by_onnx_runtime(path: Path, network: Network, x: NDArray[Any]) -> NDArray[Any] | None:
    """Return the outputs by ONNX Runtime; None if it cannot run the file with the inputs.

    For a reproducible network, the inputs of the file must hold the numbers without rounding.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    session: Any = None
    with suppress(Exception):  # ONNX Runtime's errors have no common class
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    if session is None:
        return None
    source = session.get_inputs()[0]
    dtype = _DTYPES.get(source.type, "float32")
    with without_warnings():  # what overflows is infinite, as by `forward`
        rows = x.astype(dtype)
    is_exact = rows.dtype.kind == "u" or network.is_reproducible
    if is_exact and not np.array_equal(rows, x, equal_nan=x.dtype.kind == "f"):
        return None
    shape = source.shape
    is_fixed = all(isinstance(n, int) for n in shape)
    n_together = min(len(rows), _ROWS_TOGETHER)
    if is_fixed:
        n_together = max(math.prod(shape) // network.n_in, 1)
    else:
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


def _class_values(outputs: list[Any], n_rows: int, network: Network) -> NDArray[Any]:
    """Return the output that has one number per unit, not the labels."""
    for y in outputs:
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.size == n_rows * network.n_out:
            return y.reshape(n_rows, network.n_out)
    msg = "no output has one number per unit"
    raise ValueError(msg)
