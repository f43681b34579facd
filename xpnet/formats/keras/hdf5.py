"""Arrays of foreign HDF5 files, read by h5py from memory and checked before they are read."""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted

__all__ = ["Hdf5", "open_hdf5"]

_HEADER_BYTES = 16
# Keras nests models; hard links may form cycles.
_MAX_DEPTH, _MAX_OBJECTS = 24, 20_000
_FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError)


class Hdf5:
    """An open HDF5 file: its attributes, and its datasets by path.

    Only hard links to datasets of the file itself are followed, and the bytes that they declare
    must be in the file: no filter, no chunks, no virtual or external storage.
    """

    def __init__(self, file: Any, n_bytes: int) -> None:
        self._file = file
        self._n_bytes = n_bytes
        self._h5py = _h5py_library()
        self.datasets: dict[str, Any] = dict(self._walk(file, ""))
        _check("too many objects", is_valid=len(self.datasets) < _MAX_OBJECTS)

    def attribute(self, name: str) -> str | None:
        """Return an attribute of the file, which must be a string; None if it is missing."""
        if name not in self._file.attrs:
            return None
        stored = self._file.attrs.get_id(name)
        is_string = stored.shape == () and stored.dtype.kind in "OS"
        _check(f"attribute {name}", is_valid=is_string and stored.dtype.itemsize <= self._n_bytes)
        value = self._file.attrs[name]
        return value.decode() if isinstance(value, bytes) else str(value)

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays below a path, by the rest of their paths."""
        found = {x: y for x, y in self.datasets.items() if x.startswith(prefix)}
        for name, dataset in found.items():
            creation = dataset.id.get_create_plist()
            layouts = (self._h5py.h5d.CONTIGUOUS, self._h5py.h5d.COMPACT)
            is_plain = creation.get_layout() in layouts and creation.get_external_count() == 0
            _check(f"storage of {quoted(name)}", is_valid=is_plain and dataset.dtype.kind in "fiu")
            self._n_bytes -= math.prod(dataset.shape) * dataset.dtype.itemsize
            _check(f"size of {quoted(name)}", is_valid=self._n_bytes >= 0)
        return {x.removeprefix(prefix): np.asarray(dataset[()]) for x, dataset in found.items()}

    def _walk(self, group: Any, path: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
        _check("groups nested too deeply", is_valid=depth < _MAX_DEPTH)
        for name in group:
            _check(
                "a link", is_valid=isinstance(group.get(name, getlink=True), self._h5py.HardLink)
            )
            entry = group[name]
            if isinstance(entry, self._h5py.Group):
                yield from self._walk(entry, f"{path}{name}/", depth + 1)
            elif isinstance(entry, self._h5py.Dataset):
                yield f"{path}{name}", entry


def _check(what: str, *, is_valid: bool) -> None:
    if not is_valid:
        msg = f"not as Keras writes it: {what}"
        raise ValueError(msg)


def _check_heaps(content: bytes | bytearray) -> None:
    """Raise ValueError if a heap of strings is damaged: HDF5 2.0 may loop over it forever.

    It has a signature, its length, and objects: number, length, bytes padded to 8. Number 0 is
    the free space, whose length includes its own header.
    """
    for found in re.finditer(rb"GCOL\x01", content):
        end = found.start() + int.from_bytes(
            content[found.start() + 8 : found.start() + 16], "little"
        )
        place = found.start() + _HEADER_BYTES
        while end - place >= _HEADER_BYTES:
            number, n_bytes = content[place : place + 2], content[place + 8 : place + 16]
            length = int.from_bytes(n_bytes, "little")
            is_free = not any(number)
            _check("strings", is_valid=place < len(content) and not (is_free and length < 16))
            place += length if is_free else _HEADER_BYTES + (length + 7) // 8 * 8
        _check("strings", is_valid=place <= end <= len(content))


@contextmanager
def open_hdf5(content: bytes | bytearray, path: Path) -> Iterator[Hdf5]:
    """Open an HDF5 file; raise WeightsError if it is damaged, also while it is read."""
    library = _h5py_library()
    try:
        _check_heaps(content)
        with library.File(io.BytesIO(content), "r") as file:
            yield Hdf5(file, len(content))
    except WeightsError:
        raise
    except (ValueError, *_FAULTS) as error:
        msg = "damaged, or no HDF5 file of Keras"
        raise WeightsError(msg, file=path, found=error, hint="save or copy it again") from error


def _h5py_library() -> Any:
    """Import h5py; raise ModuleNotFoundError, with the remedy, if it is missing."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        msg = "files of Keras need the package h5py: pip install h5py"
        raise ModuleNotFoundError(msg, name="h5py") from error
    return h5py
