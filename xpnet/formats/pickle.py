"""pickle format: the book's dictionary of NumPy arrays, read without running any code.

The names in a file stand for functions of this module, never for what they name.
"""

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from pickle import _Unpickler
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted

__all__ = ["read"]


def read(path: Path) -> tuple[dict[str, NDArray[Any]], None]:
    """Return the arrays of a pickled dictionary; raise WeightsError for anything else."""
    stream = io.BytesIO(path.read_bytes())
    try:
        found = _Reader(stream).load()
        names = [name for name, array in found.items() if type(array) is _Array]
        if len(names) < len(found) or stream.read(1):
            msg = "it must hold arrays by name, and nothing else"
            raise ValueError(msg)  # noqa: TRY301
        return {name: found[name].values for name in names}, None
    except Exception as error:  # of whatever the instructions do
        reason = str(error)[:200] or type(error).__name__
        msg = f"not a pickle of a dictionary of arrays: {reason}"
        raise WeightsError(msg, file=path) from error


class _Dtype:
    def __init__(self, code: Any) -> None:
        if not re.fullmatch(r"[fiu][1248]", code):
            msg = f"arrays must hold numbers; got the dtype {quoted(code)}"
            raise ValueError(msg)
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """An array, which gets its values after it was made."""

    values: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        self.fill(content, dtype, shape, "F" if is_fortran else "C")

    def fill(self, content: Any, dtype: Any, shape: Any, order: Any) -> "_Array":
        content = content.encode("latin-1") if isinstance(content, str) else content
        self.values = np.frombuffer(content, dtype.dtype).reshape(shape, order=order)
        return self


class _Names(dict[str, Any]):
    """A dictionary of strings: the hash of a deeply nested tuple would end the process."""

    def __setitem__(self, name: Any, value: Any) -> None:
        if type(name) is not str:
            msg = "the names of the arrays must be strings"
            raise TypeError(msg)
        super().__setitem__(name, value)


def _refuse(*_: Any) -> NoReturn:
    msg = "it holds an instruction that no array needs"
    raise ValueError(msg)


class _Reader(_Unpickler):
    """The unpickler in Python: its memo is a dictionary, where C allocates any length."""

    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    get_extension = _refuse  # the objects of extension codes belong to the process

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin-1")
        # New ones for each file, whose instructions may set their attributes.
        self._stand_ins: dict[tuple[str, str], Any] = {
            ("numpy", "dtype"): lambda code, *_: _Dtype(code),
            ("numpy", "ndarray"): None,
            ("_codecs", "encode"): lambda text, _: text.encode("latin-1"),
            ("collections", "OrderedDict"): lambda: _Names(),  # noqa: PLW0108 (new)
        }
        for core in ("numpy.core", "numpy._core"):  # of NumPy 1 and 2
            self._stand_ins[f"{core}.multiarray", "_reconstruct"] = lambda *_: _Array()
            self._stand_ins[f"{core}.numeric", "_frombuffer"] = lambda *x: _Array().fill(*x)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._stand_ins:
            msg = f"it holds {quoted(f'{module}.{name}')}, not arrays alone"
            raise ValueError(msg)
        return self._stand_ins[module, name]

    def _load_empty_dict(self) -> None:
        if self.pop_mark():
            _refuse()
        self.append(_Names())

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Unpickler.dispatch,
        pickle.EMPTY_DICT[0]: lambda self: self.append(_Names()),
        pickle.DICT[0]: _load_empty_dict,
        **dict.fromkeys((pickle.EMPTY_SET[0], pickle.FROZENSET[0]), _refuse),
    }
