"""Arrays of images and labels: npy, npz and IDX files, never unpickled.

A plain npy file is mapped, so that only the rows in use are in memory; others are read whole.
"""

import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import REGRESSION, Block, RowBlocks, paired
from xpnet.datasets.locate import SPLITS, choose_split
from xpnet.files import DataError, quoted
from xpnet.files.npz import open_npz

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source

__all__ = ["as_images", "as_labels", "npz_labels", "npz_rows", "read_idx", "read_npy"]

_BLOCK_BYTES = 1 << 25
_IMAGES, _LABELS = ("images", "x", "X", "data"), ("labels", "y", "Y", "target")


def npz_rows(source: "Source", options: "ReadOptions") -> RowBlocks:
    """Open the images in an npz file, with labels if it contains them.

    Images are the array images, x, X or data, or the only array; labels are the array labels, y,
    Y or target. In a file of two parts, such as Keras's mnist.npz, the names are x_train, y_train,
    x_test and y_test, or with an X. Raise DataError if no or several arrays have such names.
    """
    with _damage(source.name):
        arrays = open_npz(source.read())
        names = set(arrays)
        found = [name for name in _IMAGES if name in names]
        parts = {p: f"{x}_{p}" for p in SPLITS for x in "xX" if f"{x}_{p}" in names and not found}
        part = choose_split(source.name, parts, options)
        found = found or ([parts[part]] if part else list(names))
        wanted = [f"y_{part}"] if part else _LABELS
        labels = [x for x in wanted if x in names - set(found)] if options.own_labels else []
        if len(found) != 1 or len(labels) > 1:
            expected = "one of images, x, X and data, and at most one of labels, y and target"
            raise _names_error(names, source.name, expected)
        rows = as_images(arrays[found[0]](), source.name, options, part)
        if not labels:
            return rows
        values = as_labels(arrays[labels[0]](), source.name)
        return paired(rows, values, (source.name, repr(labels[0])), None)


def npz_labels(source: "Source", _: "ReadOptions") -> NDArray[Any]:
    """Read the labels in an npz file: the array labels, y, Y or target, or the only one."""
    with _damage(source.name):
        arrays = open_npz(source.read())
        names = [name for name in _LABELS if name in arrays] or list(arrays)
        if len(names) != 1:
            raise _names_error(arrays, source.name, "one of labels, y and target")
        return as_labels(arrays[names[0]](), source.name)


def read_npy(source: "Source") -> NDArray[Any]:
    """Read an npy file, mapped if it is a plain file."""
    with _damage(source.name):
        if source.size is None:
            content = io.BytesIO(source.read())
            return np.lib.format.read_array(content, allow_pickle=False)
        return np.lib.format.open_memmap(str(source.path), mode="r")


def read_idx(source: "Source") -> NDArray[np.uint8]:
    """Read an IDX file of bytes, the format of the original MNIST files."""
    content = source.read()
    kind, n_dimensions = content[2:4].ljust(2, b"\0")
    start = 4 + 4 * n_dimensions
    if kind != 8 or not 1 <= n_dimensions <= 4 or len(content) < start:
        rule = "00 00 08 and the number of dimensions, IDX of bytes"
        what = f"the first bytes must be {rule}; got {content[:4].hex(' ')}"
        raise DataError(what, file=source.name)
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    n_bytes, size = start + math.prod(shape), len(content)
    if n_bytes != size:
        what = f"the file must have {n_bytes:,} bytes for {_shape_text(shape)}; got {size:,}"
        raise DataError(what, file=source.name)
    return np.ndarray(shape, np.uint8, content, start)


@contextmanager
def _damage(file: str) -> Iterator[None]:
    """Raise what NumPy raises for a damaged file as DataError; ignore its warnings."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # of slower files of Python 2
            yield
    except (DataError, MemoryError, OSError):
        raise
    except Exception as error:  # NumPy and zipfile document few of their errors
        raise DataError(str(error) or type(error).__name__, file=file) from error


def as_images(
    array: NDArray[Any], file: str, options: "ReadOptions", split: str | None = None
) -> RowBlocks:
    """Return an array of 2 to 4 dimensions as images: uint8, float32 or float64.

    float16 becomes float32, and integers uint8. Raise DataError for another shape or dtype; from
    the blocks, if an integer is outside 0 to 255 or a value is not finite.
    """
    if not 2 <= array.ndim <= 4 or 0 in array.shape[1:]:
        what = f"images must have 2 to 4 dimensions; got shape {_shape_text(array.shape)}"
        what += "; are these labels?" * (array.ndim == 1)
        raise DataError(what, file=file)
    _check_dtype(array, file)
    is_float = array.dtype.kind == "f"
    dtype: Any = np.promote_types(array.dtype.newbyteorder("="), "f4") if is_float else np.uint8
    step = min(options.block_rows, _BLOCK_BYTES // math.prod(array.shape[1:], start=8) + 1)

    def blocks() -> Iterator[Block]:
        for start in range(0, max(len(array), 1), step):
            part = array[start : start + step]
            if array.dtype != np.uint8:
                is_valid = np.isfinite(part) if is_float else (part >= 0) & (part <= 255)
                _check_pixels(part, is_valid, start, file)
            yield np.array(part, dtype, order="C"), None

    return RowBlocks(blocks(), len(array), split=split)


def _check_pixels(block: NDArray[Any], is_valid: NDArray[np.bool_], start: int, file: str) -> None:
    if not is_valid.all():
        row, *pixel = map(int, np.unravel_index(int(np.argmin(is_valid)), block.shape))
        number = f"number {', '.join(str(i + 1) for i in pixel)} of row {start + row + 1}"
        rule = "finite" if block.dtype.kind == "f" else "from 0 to 255, or a float"
        what = f"{number} must be {rule}; got {block[row, *pixel]}"
        raise DataError(what, file=file)


def as_labels(array: NDArray[Any], file: str) -> NDArray[Any]:
    """Return labels of shape (n,) or (n, 1): strings, or integers of any dtype as uint8."""
    if array.ndim not in {1, 2} or array.shape[1:] not in {(), (1,)}:
        what = f"labels must have 1 dimension; got shape {_shape_text(array.shape)}"
        what += "; are they one-hot? Save labels.argmax(axis=1)"
        raise DataError(what, file=file)
    values = np.array(array).reshape(-1)
    if values.dtype.kind == "U":
        return values
    _check_dtype(values, file)
    with np.errstate(invalid="ignore"):  # NumPy warns of signalling NaNs
        is_valid = (values >= 0) & (values <= 255) & (values == np.floor(values))
    if not is_valid.all():
        row = int(np.argmin(is_valid))
        what = f"label of row {row + 1} must be an integer from 0 to 255; got {values[row]}"
        what += f"; {REGRESSION}"
        raise DataError(what, file=file)
    return values.astype(np.uint8)


def _check_dtype(array: NDArray[Any], file: str) -> None:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "uif" or (kind == "f" and size > 8):
        rule = "uint8, float32, float64, or integers from 0 to 255"
        what = f"dtype of the array must be {rule}; got {quoted(str(array.dtype))}"
        raise DataError(what, file=file)


def _names_error(names: Iterable[str], file: str, expected: str) -> DataError:
    what = f"names of the arrays must be {expected}; got {quoted(', '.join(sorted(names)))}"
    return DataError(what, file=file)


def _shape_text(shape: Any) -> str:
    """Return a shape for messages, such as ``"28 x 28"``."""
    return " x ".join(map(str, shape)) or "of one number"
