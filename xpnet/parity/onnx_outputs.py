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
ABSOLUTE_ERROR = 4.0

# Without it, ONNX Runtime prints warnings about files that xpnet reads without loss.
_FATAL_ONLY = 4
_DTYPES = {"tensor(double)": "float64", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


def onnx_outputs(
    path: str | PathLike[str], rows: NDArray[Any], n_out: int, *, is_exact: bool = False
) -> NDArray[Any]:
    """Return the outputs of an ONNX file, of shape (n, n_out), for rows of shape (n, n_in).

    ONNX Runtime takes all rows at once, in the dtype of the file's input. With `is_exact`, that
    dtype must hold all numbers; bytes always must. Raise WeightsError if it does not, if ONNX
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
    with without_warnings():  # what overflows is infinite, as by `forward`
        given = rows.astype(dtype)
    if (is_exact or dtype == "uint8") and not np.array_equal(given, rows, equal_nan=True):
        msg = f"its inputs, of {dtype}, do not hold the numbers of the rows"
        raise WeightsError(msg, file=path)
    widths = source.shape[1:]
    widths = widths if all(isinstance(n, int) for n in widths) else [rows.shape[1]]
    with _refusals(path):
        outputs = session.run(None, {source.name: given.reshape(len(rows), *widths)})
    for y in outputs:
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.size == len(rows) * n_out:
            return y.reshape(len(rows), n_out)
    msg = "not the same network: no output has one number per unit"
    raise WeightsError(msg, file=path, expected=f"{n_out} outputs")


@contextmanager
def _refusals(path: str | PathLike[str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's errors have no common class
        what = f"refused by ONNX Runtime: {error}"
        raise WeightsError(what, file=path) from error
