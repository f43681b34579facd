"""The numbers of an ONNX file: its tensors, and those that it keeps in files beside it."""

import math
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.onnx.library import onnx_library
from xpnet.formats.options import Options

__all__ = ["Tensors"]

_NUMBERS = [
    "FLOAT",
    "DOUBLE",
    "FLOAT16",
    "BFLOAT16",
    "BOOL",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
]


class Tensors:
    """Opens the tensors of one file as arrays.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
    """

    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        self._options = options
        self._left = options.most_bytes
        self._onnx = onnx_library()

    def array(self, tensor: Any) -> NDArray[Any]:
        """Return a tensor's numbers; bfloat16, which NumPy has not, as float32.

        Raises
        ------
        WeightsError
            If they are in another file and must not, or may not, be read.
        ValueError
            If they are none, or not as many as the tensor's shape says.
        """
        kinds = self._onnx.TensorProto.DataType
        known = {kinds.Value(name) for name in _NUMBERS}
        name = quoted(tensor.name)
        if tensor.data_type not in known or any(length < 0 for length in tensor.dims):
            msg = f"tensor {name} must hold numbers; got type {tensor.data_type}"
            raise ValueError(msg)
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            return self._external(tensor)
        dtype = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != _n_bytes(tensor, dtype):
            expected, found = _n_bytes(tensor, dtype), len(tensor.raw_data)
            msg = f"tensor {name} must have {expected} bytes; got {found}"
            raise ValueError(msg)
        return _widened(self._onnx.numpy_helper.to_array(tensor))

    def _external(self, tensor: Any) -> NDArray[Any]:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if not self._options.allow_external:
            msg = "weights are in another file"
            hint = "--allow-external (allow_external=True) reads it from the model's own folder"
            raise WeightsError(msg, file=self._path, found=quoted(location), hint=hint)
        dtype = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        start, n_bytes = int(entries.get("offset", 0)), _n_bytes(tensor, dtype)
        if start < 0 or int(entries.get("length", n_bytes)) != n_bytes:
            msg = f"tensor {quoted(tensor.name)} must have {n_bytes} bytes in its file"
            raise ValueError(msg)
        self._left -= n_bytes
        if self._left < 0:
            msg = "weights in other files are too large"
            hint = "--max-bytes (max_bytes=) raises the limit"
            raise WeightsError(msg, file=self._path, hint=hint)
        with self._beside(location).open("rb") as stream:
            size = stream.seek(0, 2)
            if start + n_bytes > size:
                msg = f"{quoted(location)} must have {start + n_bytes} bytes; got {size}"
                raise ValueError(msg)
            stream.seek(start)
            content = bytearray(stream.read(n_bytes))
        return _widened(np.frombuffer(content, dtype.newbyteorder("<")).reshape(tensor.dims))

    def _beside(self, location: str) -> Path:
        """Return the path of a file in the model's own folder, and of no other."""
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        is_inside = location and ".." not in parts
        is_inside = is_inside and not PurePosixPath(location).is_absolute()
        is_inside = is_inside and not PureWindowsPath(location).anchor
        folder = self._path.resolve().parent
        target = folder / location
        # A symbolic link could lead anywhere.
        if not is_inside or target.resolve() != target or not target.is_file():
            msg = "weights in a file that is not in the model's own folder"
            raise WeightsError(msg, file=self._path, found=quoted(location))
        return target


def _n_bytes(tensor: Any, dtype: np.dtype[Any]) -> int:
    return math.prod(tensor.dims) * dtype.itemsize


def _widened(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
