"""pickle format: the book's dictionary of NumPy arrays, read without running any code."""

import os
from pathlib import Path
from typing import Any

from xpnet.files.errors import quoted
from xpnet.files.taking import take
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size, weights_errors
from xpnet.formats.restricted_unpickler import ArrayUnpickler, PickledArray, check_string

__all__ = ["read", "read_headers"]


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the arrays of a pickled dictionary, if neither the file nor the arrays are too large."""
    max_bytes = options.byte_limit
    with path.open("rb") as stream:
        check_size(path, "pickles", os.fstat(stream.fileno()).st_size, max_bytes)
        content = bytes(take(stream, max_bytes + 1))
    check_size(path, "pickles", len(content), max_bytes)  # the file may have grown
    with weights_errors(path, "not a pickle of a dictionary of arrays"):
        found = _entries(ArrayUnpickler(content).load())
        # One array may have several names and is copied later.
        total = sum(x.n_bytes or 0 for x in found.values())
        check_size(path, "arrays of a pickle", total, options.unpacked_limit(path))
        return NamedArrays({name: x.array() for name, x in found.items()})


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all arrays; raise as `read`."""
    named = read(path, options)
    arrays = [[name, str(x.dtype), list(x.shape)] for name, x in named.arrays.items()]
    return {"arrays": arrays, "metadata": {}}


def _entries(result: Any) -> dict[str, PickledArray]:
    if not isinstance(result, dict):
        name = type(result).__name__.removeprefix("Pickled").strip("_").lower()
        msg = f"it holds an object of type {name}"
        raise TypeError(msg)
    for name, value in result.items():
        if not isinstance(value, PickledArray) or value.n_bytes is None:
            msg = f"the entry {quoted(check_string(name))} is not an array"
            raise TypeError(msg)
    return {check_string(name): value for name, value in result.items()}
