"""The numbers of an ONNX file: its tensors, and those that it keeps in files beside it."""

import math
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.load_options import Options
from xpnet.formats.onnx.import_onnx import onnx_library

__all__ = ["Tensors", "numpy_dtype"]

_NUMBERS = {
    *("FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE", "BOOL"),
    *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
}
_NO_NAME = "?"


def numpy_dtype(number: Any, what: str) -> np.dtype[Any]:
    """Return the dtype that ONNX has a number for; for bfloat16, which NumPy has not, float32.

    Raises
    ------
    ValueError
        If it is none of numbers.
    """
    return _widened(np.empty(0, _stored_dtype(number, what))).dtype


def _stored_dtype(number: Any, what: str) -> np.dtype[Any]:
    onnx = onnx_library()
    names = {value: name for name, value in onnx.TensorProto.DataType.items()}
    if names.get(number, _NO_NAME) not in _NUMBERS:
        msg = f"{what} must hold numbers; got type {names.get(number, number)}"
        raise ValueError(msg)
    dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(number)
    return dtype


class Tensors:
    """Opens the tensors of one file as arrays.

    Parameters
    ----------
    path : Path
        The file.
    options : Options

    Attributes
    ----------
    n_bytes : int
        How many bytes they took so far.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self.n_bytes = 0
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
        array = self._array(tensor)
        self.n_bytes += array.nbytes
        return array

    def _array(self, tensor: Any) -> NDArray[Any]:
        what = f"tensor {quoted(tensor.name)}"
        dtype = _stored_dtype(tensor.data_type, what)
        if any(length < 0 for length in tensor.dims):
            msg = f"{what} must have lengths of 0 and more; got {list(tensor.dims)}"
            raise ValueError(msg)
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            return self._external(tensor, dtype, what)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != _n_bytes(tensor, dtype):
            expected, found = _n_bytes(tensor, dtype), len(tensor.raw_data)
            msg = f"{what} must have {expected} bytes; got {found}"
            raise ValueError(msg)
        try:
            return _widened(self._onnx.numpy_helper.to_array(tensor))
        except ValueError as error:
            msg = f"{what} must have numbers for the shape {list(tensor.dims)}"
            raise ValueError(msg) from error

    def _external(self, tensor: Any, dtype: np.dtype[Any], what: str) -> NDArray[Any]:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if not self._options.allow_external:
            msg = "weights are in another file"
            hint = "--allow-external (allow_external=True) reads it from the model's own folder"
            raise WeightsError(msg, file=self._path, found=quoted(location), hint=hint)
        start, n_bytes = int(entries.get("offset", 0)), _n_bytes(tensor, dtype)
        if start < 0 or int(entries.get("length", n_bytes)) != n_bytes:
            msg = f"{what} must have {n_bytes} bytes in its file"
            raise ValueError(msg)
        self._left -= n_bytes
        if self._left < 0:
            msg = "weights in other files are too large"
            hint = "--max-bytes (max_bytes=) raises the limit"
            raise WeightsError(msg, file=self._path, hint=hint)
        with self._beside(location).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            if start + n_bytes > size:
                msg = f"{quoted(location)} must have {start + n_bytes} bytes; got {size}"
                raise ValueError(msg)
            stream.seek(start)
            array = np.frombuffer(bytearray(stream.read(n_bytes)), dtype.newbyteorder("<"))
        return _widened(array.reshape(tensor.dims))

    def _beside(self, location: str) -> Path:
        """Return the path of a file in the model's own folder, and of no other."""
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        is_inside = location and ".." not in parts
        is_inside = is_inside and not PurePosixPath(location).is_absolute()
        is_inside = is_inside and not PureWindowsPath(location).anchor
        target = Path(os.path.realpath(self._path)).parent / location
        try:
            # A symbolic link could lead anywhere.
            is_inside = is_inside and os.path.realpath(target) == str(target)
        except ValueError:  # no path at all
            is_inside = False
        if not is_inside:
            msg = "weights in a file that is not in the model's own folder"
            raise WeightsError(msg, file=self._path, found=quoted(location))
        if not os.path.lexists(target):
            expected = f"{quoted(location)} in {quoted(str(self._path.parent))}"
            msg = "file of weights is missing"
            raise WeightsError(msg, file=self._path, expected=expected)
        if not target.is_file():
            msg = "weights in what is no regular file"
            raise WeightsError(msg, file=self._path, found=quoted(location))
        return target


def _n_bytes(tensor: Any, dtype: np.dtype[Any]) -> int:
    return math.prod(tensor.dims) * dtype.itemsize


def _widened(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
