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
from xpnet.datasets.folders import number_labels
from xpnet.datasets.read import labels_name
from xpnet.files import atomic_write

__all__ = ["data_format", "write_data"]

_STEP = 4096


def data_format(path: str | os.PathLike[str]) -> str | None:
    """Return "npz", "npy" or "idx", by the name of a file to write; None of another name.

    Names of IDX files end in ``ubyte`` or ``.idx``; ``.gz`` may follow, and follow ``.npy``.
    """
    name = Path(path).name
    plain = name.removesuffix(".gz")
    suffixes = {".npy": "npy", ".idx": "idx", "ubyte": "idx"}
    found = next((kind for end, kind in suffixes.items() if plain.endswith(end)), None)
    return "npz" if name.endswith(".npz") else found


def write_data(
    path: Path, blocks: Iterable[Block], *, force: bool = False
) -> tuple[NDArray[Any], Path | None, tuple[str, ...] | None]:
    """Write blocks of images and labels to a file, completely or not at all.

    Return the images, the file of the labels and the names of classes. npz holds the labels as
    well; npy and IDX have them in the file of the usual name. Labels that are names are written
    as their indices.

    Raise ValueError if IDX cannot hold the images, or the name of the labels' file is unknown; and
    the errors of the blocks and of `xpnet.files.atomic_write`.
    """
    kind = data_format(path)
    with ExitStack() as stack:
        # The number of rows, which precedes them in all formats, is known only at their end.
        images, labels = _gathered(blocks, stack.enter_context(tempfile.TemporaryFile()))
        ids, names = (None, None) if labels is None else number_labels(labels)
        if kind == "idx" and images.dtype != np.uint8:
            msg = f"IDX holds bytes, not {images.dtype}: OUT must end in .npz or .npy"
            raise ValueError(msg)
        beside = None if ids is None or kind == "npz" else labels_name(path)
        if ids is not None and kind != "npz" and beside is None:
            msg = f"OUT needs 'images' in its name, as in train-images{path.suffix}, since the file"
            msg += f" of its labels has 'labels' there; or it must end in .npz; got {path.name!r}"
            raise ValueError(msg)
        parts = [(beside, ids)] if beside is not None else []
        for target, array in [*parts, (path, images)]:
            stream = stack.enter_context(atomic_write(target, force=force))
            if kind == "npz":
                members = {"images": images} | ({} if ids is None else {"labels": ids})
                np.savez_compressed(stream, **members)
            elif target.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
                    _write_array(packed, array, kind)
            else:
                _write_array(stream, array, kind)
        return images, beside, names


def _gathered(blocks: Iterable[Block], file: IO[bytes]) -> tuple[NDArray[Any], Any]:
    """Return the images, mapped from a file to which they are copied, and the labels."""
    labels = []
    for images, values in blocks:
        file.write(images.tobytes())
        shape, dtype = images.shape[1:], images.dtype
        labels += [] if values is None else [values]
    file.flush()
    n_rows = file.tell() // (math.prod(shape) * dtype.itemsize)
    rows: NDArray[Any] = np.empty((0, *shape), dtype)
    if n_rows:
        rows = np.memmap(file, dtype, "r", shape=(n_rows, *shape))
    return rows, np.concatenate(labels) if labels else None


def _write_array(stream: IO[bytes], array: NDArray[Any], kind: str | None) -> None:
    if kind == "npy":
        np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
        return
    side = math.isqrt(math.prod(array.shape[1:]))
    if array.ndim == 2 and side**2 == array.shape[1]:  # of a CSV file
        array = array.reshape(-1, side, side)
    stream.write(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes())
    for start in range(0, len(array), _STEP):
        stream.write(array[start : start + _STEP].tobytes())
