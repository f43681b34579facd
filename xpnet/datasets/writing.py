"""Writing of images and labels as npz, npy or IDX, in bounded memory."""

import gzip
import math
import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block
from xpnet.datasets.picture_files import number_labels
from xpnet.datasets.read import labels_name
from xpnet.files import atomic_write

__all__ = ["data_format", "write_data"]

_FORMATS = {".npz": "npz", ".npy": "npy", "ubyte": "idx", "ubyte.gz": "idx"}
_STEP = 4096


def data_format(path: str | os.PathLike[str]) -> str | None:
    """Return "npz", "npy" or "idx", by the end of a file's name; None of another name."""
    name = Path(path).name
    return next((kind for end, kind in _FORMATS.items() if name.endswith(end)), None)


def write_data(
    path: Path, blocks: Iterable[Block], *, force: bool = False
) -> tuple[NDArray[Any], Path | None, tuple[str, ...] | None]:
    """Write blocks of images and labels, completely or not at all; npz holds both.

    Return the images, the path of the labels of npy and IDX, and the names of classes, whose
    indices are written. Raise ValueError if IDX cannot hold the images, or the name for the labels
    is unknown; and the errors of `atomic_write`.
    """
    kind = data_format(path)
    with ExitStack() as stack:
        # The number of rows, which precedes them in all formats, is known only at their end.
        images, labels = _gather(blocks, stack.enter_context(tempfile.TemporaryFile()))
        arrays: dict[str, Any] = {"images": images}
        names, beside, targets = None, None, [path]
        if labels is not None:
            arrays["labels"], names = number_labels(labels)
        if kind == "npz":
            file = stack.enter_context(atomic_write(path, force=force))
            np.savez_compressed(file, **arrays)
            return images, None, names
        other = next((x.dtype for x in arrays.values() if x.dtype != np.uint8), None)
        if kind == "idx" and other is not None:
            msg = f"IDX holds bytes, not {other}: OUT must end in .npz or .npy"
            raise ValueError(msg)
        if labels is not None:
            beside = labels_name(path)
            if beside is None:
                msg = "OUT must end in .npz, or have 'images' in its name, and its labels will have"
                msg += f" 'labels'; got {path.name!r}"
                raise ValueError(msg)
            targets.append(beside)
        for target, array in zip(targets, arrays.values(), strict=True):
            stream: Any = stack.enter_context(atomic_write(target, force=force))
            if path.suffix == ".gz":
                stream = stack.enter_context(gzip.GzipFile("", "wb", 9, stream, 0))
            if kind == "npy":
                np.save(stream, array)
            else:
                _write_idx(stream, array)
        return images, beside, names


def _gather(blocks: Iterable[Block], file: IO[bytes]) -> tuple[NDArray[Any], Any]:
    """Return the images, mapped from a file to which they are copied, and the labels."""
    labels = []
    for images, values in blocks:
        file.write(images.tobytes())
        shape, dtype = images.shape[1:], images.dtype
        labels += [] if values is None else [values]
    file.flush()
    n_rows = file.tell() // (math.prod(shape) * dtype.itemsize)
    rows: Any = np.memmap(file, dtype, "r", shape=(n_rows, *shape)) if n_rows else images[:0]
    return rows, np.concatenate(labels) if labels else None


def _write_idx(stream: IO[bytes], array: NDArray[Any]) -> None:
    side = math.isqrt(math.prod(array.shape[1:]))
    if array.ndim == 2 and side**2 == array.shape[1]:  # of a CSV file
        array = array.reshape(-1, side, side)
    stream.write(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes())
    for start in range(0, len(array), _STEP):
        stream.write(array[start : start + _STEP].tobytes())
