"""Arrays of foreign HDF5 files, read by h5py from memory and checked before they are read."""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted

__all__ = ["read_arrays"]

# Keras nests models; hard links may form cycles.
_MAX_DEPTH, _MAX_OBJECTS = 24, 10_000
_FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError)


def read_arrays(content: bytes | bytearray, path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of an HDF5 file by their paths in it; raise WeightsError if it is damaged.

    Only hard links to datasets of the file itself are followed, and the bytes that they declare
    must be in the file: no filter, no chunks, no virtual or external storage. Attributes are not
    read: HDF5 2.0 may loop forever over their strings.
    """
    h5py = _h5py_library()
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            found = dict(_datasets(h5py, file))
            n_bytes = sum(math.prod(x.shape) * x.dtype.itemsize for x in found.values())
            _check("the size of the arrays", is_valid=n_bytes <= len(content))
            return {name: np.asarray(dataset[()]) for name, dataset in sorted(found.items())}
    except (ValueError, *_FAULTS) as error:
        msg = "damaged, or no HDF5 file of Keras"
        raise WeightsError(msg, file=path, found=error, hint="save or copy it again") from error


def _datasets(h5py: Any, file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the datasets of a file with their paths."""
    layouts = (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    entries = [("", file)]
    for path, entry in entries:  # grows
        is_small = len(entries) <= _MAX_OBJECTS and path.count("/") <= _MAX_DEPTH
        _check("too many groups, or nested too deeply", is_valid=is_small)
        if isinstance(entry, h5py.Dataset):
            creation = entry.id.get_create_plist()
            is_plain = creation.get_layout() in layouts and creation.get_external_count() == 0
            is_plain = is_plain and entry.dtype.kind in "fiu"
            _check(f"storage of {quoted(path[1:])}", is_valid=is_plain)
            yield path[1:], entry
            continue
        for name in entry:
            is_hard = isinstance(entry.get(name, getlink=True), h5py.HardLink)
            _check("a link", is_valid=is_hard)
            entries.append((f"{path}/{name}", entry[name]))


def _check(what: str, *, is_valid: bool) -> None:
    if not is_valid:
        msg = f"not as Keras writes it: {what}"
        raise ValueError(msg)


def _h5py_library() -> Any:
    """Import h5py; raise ModuleNotFoundError, with the remedy, if it is missing."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        msg = "files of Keras need the package h5py: pip install h5py"
        raise ModuleNotFoundError(msg, name="h5py") from error
    return h5py
