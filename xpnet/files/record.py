"""Records: facts and arrays in an npz file, which ``numpy.load`` reads too.

The member ``facts`` holds a JSON object as bytes, with the kind of the record as ``format`` and
the names of all other members as ``arrays``. The checksums of zip find damage, not intent.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataError
from xpnet.files.writing import atomic_write

__all__ = ["RecordFormat"]

_FACTS = "facts"


@dataclass(frozen=True)
class RecordFormat:
    """A kind of record, such as "certificate", with the remedy of its errors."""

    kind: str
    remedy: str

    def to_bytes(
        self,
        facts: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
    ) -> bytes:
        """Return the bytes of a file; `facts` are what JSON can hold."""
        head = {"format": self.kind, "arrays": list(arrays), **facts}
        text = np.frombuffer(json.dumps(head, indent=1).encode(), np.uint8)
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **{_FACTS: text, **arrays})
        return content.getvalue()

    def from_bytes(
        self, content: bytes, file: str | PathLike[str]
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return facts, and arrays in native byte order; raise DataError for other files."""
        try:
            facts, arrays = _decoded(content)
            form, names = facts.pop("format"), facts.pop("arrays")
        except Exception as fault:  # zipfile, zlib, NumPy and json have no common class of errors
            raise self._foreign(file, str(fault) or type(fault).__name__) from fault
        if form != self.kind or names != list(arrays):
            raise self._foreign(file, f"{form} with the arrays {', '.join(arrays)}")
        return facts, arrays

    def write(
        self,
        path: str | PathLike[str],
        facts: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        *,
        force: bool = False,
    ) -> None:
        """Write a file, completely or not at all; `force` replaces an existing one."""
        content = self.to_bytes(facts, arrays)
        with atomic_write(path, force=force) as stream:
            stream.write(content)

    def read(self, path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return facts and arrays of a file, which may be a pipe, as `from_bytes` does."""
        return self.from_bytes(Path(path).read_bytes(), path)

    def _foreign(self, file: str | PathLike[str], found: str) -> DataError:
        what = f"not a {self.kind} of this version of xpnet, or damaged"
        return DataError(what, file=file, found=found, hint=self.remedy)


def _decoded(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    # zipfile passes over bytes before the first member and after the last record.
    if not (content.startswith(b"PK\3\4") and content[-22:].startswith(b"PK\5\6")):
        msg = "no whole zip file"
        raise ValueError(msg)
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in (f"{_FACTS}.npy", *archive.namelist()):
            member = io.BytesIO(archive.read(name))  # all of it: its checksum is right
            array = np.lib.format.read_array(member, allow_pickle=False)
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            arrays[name.removesuffix(".npy")] = native
    return dict(json.loads(arrays.pop(_FACTS).tobytes())), arrays
