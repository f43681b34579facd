"""pickle format: the book's dictionary of NumPy arrays, read without running any code.

The names in a file stand for functions and classes of this module, never for what they name.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted

__all__ = ["read"]


def read(path: Path) -> tuple[dict[str, NDArray[Any]], None]:
    """Return the arrays of a pickled dictionary; raise WeightsError for anything else."""
    try:
        found = _Reader(io.BytesIO(path.read_bytes()), encoding="latin-1").load()
        return {str(name): array.values for name, array in found.items()}, None
    except OSError:
        raise
    except Exception as error:  # of whatever the instructions do
        msg = f"not a pickle of a dictionary of arrays: {error}"
        raise WeightsError(msg, file=path) from error


class _Reader(pickle._Unpickler):  # noqa: SLF001
    """The pure-Python unpickler, whose memo is a dictionary; its names are stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "_reconstruct": lambda *_: _Array(),
            "_frombuffer": lambda *state: _Array().fill(*state),
            "ndarray": None,
            "dtype": _Dtype,
            "encode": lambda text, _: text.encode("latin-1"),
            "OrderedDict": dict,
        }
        if module.partition(".")[0] not in {"numpy", "_codecs", "collections"} or name not in known:
            msg = f"it holds {quoted(f'{module}.{name}')}, not arrays alone"
            raise ValueError(msg)
        return known[name]


class _Dtype:
    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder({"<": "<", ">": ">"}.get(state[1], "="))


class _Array:
    values: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        self.fill(content, dtype, shape, "F" if is_fortran else "C")

    def fill(self, content: Any, dtype: _Dtype, shape: Any, order: Any) -> "_Array":
        content = content.encode("latin-1") if isinstance(content, str) else bytes(content)
        self.values = np.frombuffer(content, dtype.dtype).reshape(shape, order=order)
        return self
