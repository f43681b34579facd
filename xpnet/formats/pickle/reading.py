"""From a pickle to its arrays."""

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.opening import take
from xpnet.formats.model_file import Named
from xpnet.formats.pickle.machine import TORCH_MAGIC, Machine
from xpnet.formats.pickle.values import HINTS, Array

__all__ = ["read"]

_FAULTS = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
# Arrays of one memory may stand under several names. They are copied later, so how much they
# are together is limited, in sizes of the file; small ones are let through.
_MOST_RATIO, _SMALL_BYTES = 100, 1 << 24


def read(path: Path, *, max_bytes: int) -> Named:
    """Read the arrays of a pickled dictionary.

    Raises
    ------
    WeightsError
        If the file is larger than `max_bytes`, is damaged, or holds something else.
    """
    with path.open("rb") as stream:
        is_large = os.fstat(stream.fileno()).st_size > max_bytes
        content = b"" if is_large else bytes(take(stream, max_bytes + 1))
    if is_large or len(content) > max_bytes:
        hint = "--max-bytes (max_bytes=) raises the limit"
        msg = "pickle is too large"
        raise WeightsError(msg, file=path, expected=f"at most {max_bytes:,} bytes", hint=hint)
    try:
        arrays = _as_arrays(Machine(len(content)).run(content))
    except _FAULTS as fault:
        is_told = type(fault) in {TypeError, ValueError}
        reason = fault if is_told else f"no value fits an instruction ({type(fault).__name__})"
        what = f"no pickle of a dictionary of arrays: {reason}"
        raise WeightsError(what, file=path) from fault
    limit = min(max_bytes, max(_MOST_RATIO * len(content), _SMALL_BYTES))
    total = sum(array.nbytes for array in arrays.values())
    if total > limit:
        msg = "arrays of a pickle are too large together"
        found, expected = f"{total:,} bytes", f"at most {limit:,}"
        raise WeightsError(msg, file=path, found=found, expected=expected)
    return Named(arrays)


def _as_arrays(result: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(result, dict):
        hint = f", and {HINTS['torch']}" if result == TORCH_MAGIC else ""
        msg = f"it holds an object of type {type(result).__name__.strip('_').lower()}{hint}"
        raise TypeError(msg)
    arrays = {}
    for name, value in result.items():
        if not isinstance(value, Array) or value.value is None:
            msg = f"the entry {quoted(name)} is no array"
            raise TypeError(msg)
        arrays[name] = value.value
    return arrays
