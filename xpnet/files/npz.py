"""npz files: arrays by name, with the checksums of zip."""

import io
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["npz_bytes", "open_npz", "read_npz"]


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays by name as a compressed npz file; equal arrays give equal bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def open_npz(content: bytes) -> dict[str, Callable[[], NDArray[Any]]]:
    """Return functions that read the arrays of an npz file, by name, in native byte order.

    They raise the errors of zipfile and NumPy, which have no common class.
    """
    archive = zipfile.ZipFile(io.BytesIO(content))

    def array(name: str) -> NDArray[Any]:
        stream = io.BytesIO(archive.read(name))  # whole: the checksum is compared at the end
        x = np.lib.format.read_array(stream, allow_pickle=False)
        return x.astype(x.dtype.newbyteorder("="), copy=False)

    return {name.removesuffix(".npy"): partial(array, name) for name in archive.namelist()}


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name; raise ValueError, in one line, if it is damaged."""
    try:
        return {name: array() for name, array in open_npz(content).items()}
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        msg = f"not a whole npz file: {reason}"
        raise ValueError(msg) from error
