"""pickle format: the book's dictionary of NumPy arrays, read without running any code.

The names in a file stand for functions of this module, never for what they name.
"""

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from pickle import _Unpickler
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted

__all__ = ["read"]


def read(path: Path) -> tuple[dict[str, NDArray[Any]], None]:
    """Return the arrays of a pickled dictionary; raise WeightsError for anything else."""
    stream = io.BytesIO(path.read_bytes())
    try:
        found = _Reader(stream, encoding="latin-1").load()
        are_arrays = type(found) is dict and all(type(x) is _Array for x in found.values())
        if not are_arrays or {*map(type, found)} - {str} or stream.read(1):
            msg = "it must hold arrays by name, and nothing else"
            raise ValueError(msg)
        return {name: x.values for name, x in found.items()}, None
    except Exception as error:  # of whatever the instructions do
        reason = str(error)[:200] or type(error).__name__
        msg = f"not a pickle of a dictionary of arrays: {reason}"
        raise WeightsError(msg, file=path) from error


class _Dtype:
    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[fiu][1248]", code):
            msg = f"arrays must hold numbers; got the dtype {quoted(code)}"
            raise ValueError(msg)
        self.values = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        self.values = self.values.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """An array, which gets its values after it was made."""

    values: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        content = content.encode("latin-1") if isinstance(content, str) else content
        self.fill(content, dtype, shape, "F" if is_fortran else "C")

    def fill(self, content: Any, dtype: _Dtype, shape: Any, order: Any) -> Self:
        self.values = np.frombuffer(content, dtype.values).reshape(shape, order=order)
        return self


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): None,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),  # of NumPy 1
    ("numpy.core.numeric", "_frombuffer"): lambda *x: _Array().fill(*x),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),  # of NumPy 2
    ("numpy._core.numeric", "_frombuffer"): lambda *x: _Array().fill(*x),
    ("_codecs", "encode"): lambda text, _: text.encode("latin-1"),
    ("collections", "OrderedDict"): dict,
}


def _build(reader: Any) -> None:
    """Give an array or a dtype its state; functions have none, and stay as they are."""
    state = reader.stack.pop()
    reader.stack[-1].__setstate__(state)


class _Reader(_Unpickler):
    """The unpickler in Python: its memo is a dictionary, where C allocates any length."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Unpickler.dispatch,
        pickle.BUILD[0]: _build,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            msg = f"it holds {quoted(f'{module}.{name}')}, not arrays alone"
            raise ValueError(msg)
        return _STAND_INS[module, name]

    def get_extension(self, code: int) -> NoReturn:
        msg = f"it holds the extension {code}, an object of a process"
        raise ValueError(msg)
