"""Records: facts and arrays in an npz file, which ``numpy.load`` reads too.

The member ``facts`` holds a JSON object as bytes, with the kind of the record as ``format`` and
the names of all other members as ``arrays``. The checksums of zip find damage, not intent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataError
from xpnet.files.npz import npz_bytes, read_npz

__all__ = ["RecordFormat"]


@dataclass(frozen=True)
class RecordFormat:
    """A kind of record, such as "certificate", with the remedy of its errors."""

    kind: str
    remedy: str

    def to_bytes(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
        """Return the bytes of a file; `facts` are what JSON can hold."""
        head = {"format": self.kind, "arrays": list(arrays), **facts}
        text = np.frombuffer(json.dumps(head, indent=1).encode(), np.uint8)
        return npz_bytes({"facts": text, **arrays})

    def from_bytes(
        self, content: bytes, file: str | PathLike[str]
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return facts, and arrays in native byte order; raise DataError for other files."""
        try:
            arrays = read_npz(content)
            facts = dict(json.loads(arrays.pop("facts").tobytes()))
            is_whole = (facts.pop("format"), facts.pop("arrays")) == (self.kind, list(arrays))
        except (KeyError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            what = f"not a {self.kind} of this version of xpnet, or damaged: {self.remedy}"
            raise DataError(what, file=file)
        return facts, arrays
