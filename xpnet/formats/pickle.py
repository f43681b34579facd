"""pickle format: the book's dictionary of NumPy arrays, read without unpickling anything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.opening import take
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size
from xpnet.formats.restricted_unpickler import PickledArray, Unpickler

__all__ = ["pickle_errors", "read", "read_headers"]

# Exceptions of an invalid pickle, besides TypeError and ValueError.
_UNEXPLAINED = (LookupError, ArithmeticError, AttributeError, RecursionError)


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the arrays of a pickled dictionary, if neither the file nor the arrays are too large."""
    max_bytes = options.byte_limit
    with path.open("rb") as stream:
        check_size(path, "pickles", os.fstat(stream.fileno()).st_size, max_bytes)
        content = bytes(take(stream, max_bytes + 1))
    check_size(path, "pickles", len(content), max_bytes)  # the file may have grown
    with pickle_errors(path, "a pickle of a dictionary of arrays"):
        arrays = _as_arrays(Unpickler(len(content)).run(content))
    # One array may have several names and is copied later.
    total = sum(array.nbytes for array in arrays.values())
    check_size(path, "arrays of a pickle", total, options.unpacked_limit(path))
    return NamedArrays(arrays)


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all arrays; raise as `read`."""
    named = read(path, options)
    arrays = [[name, str(x.dtype), list(x.shape)] for name, x in named.arrays.items()]
    return {"arrays": arrays, "metadata": {}}


def _as_arrays(result: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(result, dict):
        name = type(result).__name__.removeprefix("Pickled").strip("_").lower()
        msg = f"it holds an object of type {name}"
        raise TypeError(msg)
    arrays = {}
    for name, value in result.items():
        if not isinstance(value, PickledArray) or value.value is None:
            msg = f"the entry {quoted(name)} is not an array"
            raise TypeError(msg)
        arrays[name] = value.value
    return arrays


@contextmanager
def pickle_errors(path: Path, kind: str) -> Iterator[None]:
    """Convert the errors of an invalid pickle to WeightsError."""
    try:
        yield
    except WeightsError:
        raise
    except (TypeError, ValueError, *_UNEXPLAINED) as error:
        is_explained = type(error) in {TypeError, ValueError}
        reason = error if is_explained else f"an invalid instruction ({type(error).__name__})"
        msg = f"not {kind}: {reason}"
        raise WeightsError(msg, file=path) from error
