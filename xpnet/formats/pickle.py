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
        entries = _Reader(stream).load()
        others = [quoted(name) for name, x in entries.items() if not isinstance(x, _Array)]
        if others or stream.read(1):
            msg = f"it holds {others[0] if others else 'more'}, which is no array of numbers"
            raise ValueError(msg)  # noqa: TRY301
        return {name: array.values for name, array in entries.items()}, None
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


class _Entries(dict[str, Any]):
    """A dictionary of strings, each once. A key that is a nested tuple could be hashed forever."""

    __slots__ = ()

    def __setitem__(self, name: Any, value: Any) -> None:
        if type(name) is not str or name in self:
            msg = "the names of the arrays must be different strings"
            raise ValueError(msg)
        super().__setitem__(name, value)


def _refuse(*_: Any) -> NoReturn:
    msg = "it holds an instruction that no array needs"
    raise ValueError(msg)


# The Unpickler in C would allocate a memo of any length, and hash any key.
class _Reader(_Unpickler):
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
            ("collections", "OrderedDict"): lambda: _Entries(),  # noqa: PLW0108 (new)
        }
        for core in ("numpy.core", "numpy._core"):  # of NumPy 1 and 2
            self._stand_ins[f"{core}.multiarray", "_reconstruct"] = lambda *_: _Array()
            self._stand_ins[f"{core}.numeric", "_frombuffer"] = lambda *x: _Array().fill(*x)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._stand_ins:
            msg = f"it holds {quoted(f'{module}.{name}')}, not arrays alone"
            raise ValueError(msg)
        return self._stand_ins[module, name]

    def _load_dict(self) -> None:
        entries, items = _Entries(), self.pop_mark()
        for name, value in zip(items[::2], items[1::2], strict=True):
            entries[name] = value
        self.append(entries)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Unpickler.dispatch,
        pickle.EMPTY_DICT[0]: lambda self: self.append(_Entries()),
        pickle.DICT[0]: _load_dict,
        # Theirs allocates as many bytes as the file asks for, before it reads.
        pickle.BYTEARRAY8[0]: _Unpickler.dispatch[pickle.BINBYTES8[0]],
        **dict.fromkeys((pickle.EMPTY_SET[0], pickle.FROZENSET[0]), _refuse),
    }
