"""Tensors of an ONNX file as arrays, including external data in other files of its folder."""

import math
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.model_file import LoadOptions, check_size
from xpnet.formats.onnx.parsing import onnx_library

__all__ = ["Tensors", "numpy_dtype"]

_NUMERIC_TYPES = {
    *("FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE", "BOOL"),
    *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
}


def numpy_dtype(number: Any, what: str) -> np.dtype[Any]:
    """Return the dtype of a number in `onnx.TensorProto.DataType`; float32 for bfloat16.

    Raise ValueError, with a message that begins with `what`, if the dtype is not numeric.
    """
    return _widen(np.empty(0, _stored_dtype(number, what))).dtype


def _stored_dtype(number: Any, what: str) -> np.dtype[Any]:
    onnx = onnx_library()
    names = {value: name for name, value in onnx.TensorProto.DataType.items()}
    if names.get(number) not in _NUMERIC_TYPES:
        msg = f"{what} must hold numbers; got type {names.get(number, number)}"
        raise ValueError(msg)
    dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(number)
    return dtype


class Tensors:
    """Reader of the tensors of one file."""

    def __init__(self, path: Path, options: LoadOptions) -> None:
        self.n_bytes = 0  # of all tensors that were read
        self._path = path
        self._options = options
        self._n_external = 0
        self._onnx = onnx_library()

    def array(self, tensor: Any) -> NDArray[Any]:
        """Return a tensor as an array: bfloat16, which NumPy lacks, as float32; strings as objects.

        Raise WeightsError if the tensor is in another file that must not or cannot be read, and
        ValueError if the values are neither numbers nor strings, or their number does not fit.
        """
        what = f"tensor {quoted(tensor.name)}"
        if tensor.data_type == self._onnx.TensorProto.STRING and tensor.string_data:
            strings = [string.decode() for string in tensor.string_data]
            return np.asarray(strings, object).reshape(tensor.dims)
        dtype = _stored_dtype(tensor.data_type, what)
        n_bytes = math.prod(tensor.dims) * dtype.itemsize
        if any(length < 0 for length in tensor.dims):
            msg = f"{what} must have lengths of 0 and more; got {list(tensor.dims)}"
            raise ValueError(msg)
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            array = self._external(tensor, dtype, n_bytes)
        elif tensor.HasField("raw_data") and len(tensor.raw_data) != n_bytes:
            msg = f"{what} must have {n_bytes} bytes; got {len(tensor.raw_data)}"
            raise ValueError(msg)
        else:
            try:
                array = self._onnx.numpy_helper.to_array(tensor)
            except ValueError as error:
                msg = f"{what} must have values for the shape {list(tensor.dims)}"
                raise ValueError(msg) from error
        array = _widen(array)
        self.n_bytes += array.nbytes
        return array

    def _external(self, tensor: Any, dtype: np.dtype[Any], n_bytes: int) -> NDArray[Any]:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if not self._options.allow_external:
            msg = "weights are in another file"
            hint = "--allow-external (allow_external=True) reads it from the model's own folder"
            raise WeightsError(msg, file=self._path, found=quoted(location), hint=hint)
        start = int(entries.get("offset", 0))
        if start < 0 or int(entries.get("length", n_bytes)) != n_bytes:
            msg = f"tensor {quoted(tensor.name)} must have {n_bytes} bytes in its file"
            raise ValueError(msg)
        self._n_external += n_bytes
        limit = self._options.byte_limit
        check_size(self._path, "weights in other files", self._n_external, limit)
        with self._external_path(location).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            if start + n_bytes > size:
                msg = f"{quoted(location)} must have {start + n_bytes} bytes; got {size}"
                raise ValueError(msg)
            stream.seek(start)
            array = np.frombuffer(bytearray(stream.read(n_bytes)), dtype.newbyteorder("<"))
        return array.reshape(tensor.dims)

    def _external_path(self, location: str) -> Path:
        """Return the path of a file in the model's own folder; raise for any other."""
        posix, windows = PurePosixPath(location), PureWindowsPath(location)
        has_root = posix.is_absolute() or windows.anchor
        is_inside = location and not has_root and ".." not in {*posix.parts, *windows.parts}
        target = Path(os.path.realpath(self._path)).parent / location
        try:
            # A symbolic link may point anywhere.
            is_inside = is_inside and os.path.realpath(target) == str(target)
        except ValueError:  # not a valid path
            is_inside = False
        if not is_inside:
            msg = "weights in a file that is not in the model's own folder"
            raise WeightsError(msg, file=self._path, found=quoted(location))
        if not os.path.lexists(target):
            expected = f"{quoted(location)} in {quoted(str(self._path.parent))}"
            msg = "file of weights is missing"
            raise WeightsError(msg, file=self._path, expected=expected)
        if not target.is_file():
            msg = "weights must be in a regular file"
            raise WeightsError(msg, file=self._path, found=quoted(location))
        return target


def _widen(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
