"""Outputs of an ONNX file by ONNX Runtime."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import without_warnings
from xpnet.files.errors import WeightsError
from xpnet.files.optional import import_optional

__all__ = ["ABSOLUTE_ERROR", "onnx_outputs"]

# Absolute error of its activations, in units in the last place of 1. ONNX Runtime 1.32 rounds as if
# results were near 1: measured in float32 over -100 to 100, sigmoid is off by up to 1.7e-7, even
# where it is smaller than that; elu, gelu and hard_silu by as much.
ABSOLUTE_ERROR = 4.0  # of rectifiers such as silu times an input above 1

# Without it, ONNX Runtime prints warnings about files that xpnet reads without loss.
_FATAL_ONLY = 4
_DTYPES = {"tensor(double)": "float64", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


def onnx_outputs(
    path: str | PathLike[str], rows: NDArray[Any], n_out: int, *, is_exact: bool = False
) -> NDArray[Any]:
    """Return the outputs of an ONNX file, of shape (n, n_out), for rows of shape (n, n_in).

    ONNX Runtime gets all rows at once, or as many as the file takes, in the dtype of its input.
    With `is_exact`, that dtype must hold all numbers; bytes always must. Otherwise it must not be
    float64, of which ONNX Runtime has few functions. Raise WeightsError if that is not so, if ONNX
    Runtime refuses the file or the rows, or if no output has one number per unit; and
    MissingPackageError if ONNX Runtime is not installed.
    """
    runtime = import_optional("onnxruntime", "--against an ONNX file needs the package onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    with _refusals(path):
        providers = ["CPUExecutionProvider"]
        session = runtime.InferenceSession(str(path), options, providers=providers)
    source = session.get_inputs()[0]
    dtype = _DTYPES.get(source.type, "float32")
    if dtype == "float64" and not is_exact:
        msg = "of float64, which ONNX Runtime computes only in part: save network.astype('float32')"
        raise WeightsError(msg, file=path)
    with without_warnings():  # what overflows is infinite, as by `forward`
        given = rows.astype(dtype)
    if (is_exact or dtype == "uint8") and not np.array_equal(given, rows, equal_nan=True):
        msg = f"its inputs, of {dtype}, do not hold the numbers of the rows"
        raise WeightsError(msg, file=path)
    first, *widths = source.shape
    widths = widths if all(isinstance(n, int) for n in widths) else [rows.shape[1]]
    size = first if isinstance(first, int) else len(rows)

    padded = np.pad(given, ((0, -len(given) % size), (0, 0)))
    batches = (padded[i : i + size].reshape(size, *widths) for i in range(0, len(padded), size))
    with _refusals(path):
        found = [session.run(None, {source.name: batch}) for batch in batches]
        return np.concatenate([_values(outputs, size, n_out) for outputs in found])[: len(given)]


def _values(outputs: list[Any], n_rows: int, n_out: int) -> NDArray[Any]:
    """Return the output that has one number per unit, not the labels."""
    for y in outputs:
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.size == n_rows * n_out:
            return y.reshape(n_rows, n_out)
    msg = f"no output has {n_out} numbers per row"
    raise ValueError(msg)


@contextmanager
def _refusals(path: str | PathLike[str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's errors have no common class
        what = f"refused by ONNX Runtime: {error}"
        raise WeightsError(what, file=path) from error
