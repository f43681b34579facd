"""Restricted reading of pickles: dictionaries of arrays, and no code that runs.

Unpickling calls whatever a file names. Here, the Unpickler of the standard library carries out only
the instructions that make arrays, numbers, strings, tuples, lists and dictionaries, and each name
in the file stands for a function of this package.
"""

import io
import math
import pickletools
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pickle import UnpicklingError, _Unpickler
from types import FunctionType
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted

__all__ = ["ArrayUnpickler", "PickledArray", "check_string"]

# An array takes about 40 instructions, each of which may create an object.
_MAX_INSTRUCTIONS = 200_000
_MAX_DIMENSIONS, _MAX_LENGTH = 32, (1 << 63) - 1
_ALLOWED = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"}
    | {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
    | {"EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE", "EMPTY_LIST", "LIST"}
    | {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "BINPERSID"}
    | {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"}
)
_Method: TypeAlias = Callable[[Any], None]
# Remedies for pickles of other libraries.
_HINTS = {
    "torch": "it is torch's: save model.state_dict() with torch.save, or as safetensors",
    "sklearn": "it is scikit-learn's: give the estimator to xpnet.from_sklearn",
}


def check_string(value: Any) -> str:
    """Return a value if it is a string; the message does not contain other values."""
    if type(value) is not str:
        msg = f"an object of type {type(value).__name__} instead of a string"
        raise TypeError(msg)
    return value


class PickledDict(dict[Any, Any]):
    """A dictionary of strings or integers, each once; a state of its own is ignored."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        if (type(key) is int or check_string(key)) and key in self:
            msg = f"{quoted(str(key))} occurs twice"
            raise ValueError(msg)
        super().__setitem__(key, value)

    def set_state(self, _: Any) -> None:
        """Ignore the versions of torch's modules."""


@dataclass(eq=False)
class PickledDtype:
    """A dtype before and after its byte order is set."""

    dtype: np.dtype[Any]

    def set_state(self, state: Any) -> None:
        """Set the byte order, the only relevant part of the state of a plain dtype."""
        order: Any = {"<": "<", ">": ">", "|": "=", "=": "="}[check_string(state[1])]
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray:
    """A checked array of a pickle. `array` creates it, as a file may name its bytes many times."""

    n_bytes: int | None = None  # None before the state is set

    def set_state(self, state: Any) -> None:
        """Set shape, dtype and bytes, as NumPy stores them."""
        _, shape, dtype, is_fortran, content = state
        self.set(content, dtype, shape, "F" if is_fortran else "C")

    def set(self, content: Any, dtype: Any, shape: Any, order: Any) -> None:
        """Set the bytes, a string in older protocols; raise unless they fit shape and dtype."""
        if check_string(order) not in {"C", "F"}:
            msg = f"the order of an array must be C or F; got {quoted(order)}"
            raise ValueError(msg)
        if not isinstance(dtype, PickledDtype) or not isinstance(content, bytes | bytearray | str):
            msg = "arrays must be made of bytes and a dtype"
            raise TypeError(msg)
        is_shape = isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS
        if not is_shape or not all(type(n) is int and 0 <= n <= _MAX_LENGTH for n in shape):
            msg = "the shape of an array must be a tuple of a few integers"
            raise ValueError(msg)
        self.n_bytes = math.prod(shape) * dtype.dtype.itemsize
        if self.n_bytes != len(content):
            msg = f"an array of shape {shape} must have {self.n_bytes} bytes; got {len(content)}"
            raise ValueError(msg)
        self._parts = content, dtype.dtype, shape, order

    def array(self) -> NDArray[Any]:
        """Return the array, writable."""
        content, dtype, shape, order = self._parts
        content = content.encode("latin-1") if isinstance(content, str) else content
        return np.frombuffer(bytearray(content), dtype).reshape(shape, order=order)


# The functions take few arguments: many would be copied by each call.


def _dtype(code: Any, _align: Any = None, _copy: Any = None) -> PickledDtype:
    if not re.fullmatch(r"[fiu][1248]", check_string(code)):
        msg = f"arrays must hold plain numbers; got the dtype {quoted(code)}"
        raise ValueError(msg)
    return PickledDtype(np.dtype(code))


def _ndarray() -> None:
    msg = "a call of ndarray, which no dictionary of arrays needs"
    raise ValueError(msg)


def _reconstruct(_class: Any, _shape: Any, _code: Any) -> PickledArray:
    return PickledArray()


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    result = PickledArray()
    result.set(content, dtype, shape, order)
    return result


def _encode(text: Any, encoding: Any) -> str:
    """Return the string: older protocols store bytes so, and `PickledArray` converts them once."""
    if encoding != "latin1":
        msg = "a call of encode, which no dictionary of arrays needs"
        raise ValueError(msg)
    return check_string(text)


def _ordered_dict(pairs: Any = None) -> PickledDict:
    """Return a dictionary, of a list of pairs if Python 2 wrote it."""
    result = PickledDict()
    if pairs is not None:
        if type(pairs) is not list:
            msg = "a dictionary must be made of a list of pairs"
            raise TypeError(msg)
        for key, value in pairs:
            result[key] = value
        pairs.clear()  # no other call takes time or memory for the same list
    return result


def _methods(own: Mapping[str, _Method]) -> dict[int, _Method]:
    """Return the method of each instruction by its code: its own, the library's, or an error."""

    def rejection(name: str) -> _Method:
        def load(_: Any) -> None:
            msg = f"instruction {name}, which no dictionary of arrays needs"
            raise ValueError(msg)

        return load

    allowed = {ord(x.code): x.name for x in pickletools.opcodes if x.name in _ALLOWED}
    methods = {ord(x.code): own.get(x.name, rejection(x.name)) for x in pickletools.opcodes}
    return methods | {code: _Unpickler.dispatch[code] for code in allowed}


# The base class is the Unpickler in Python, as in joblib. The Unpickler in C would hash the keys of
# dictionaries before they can be checked.
class ArrayUnpickler(_Unpickler):
    """Unpickler of a dictionary of arrays.

    The type of a value is checked before the value is hashed, compared or printed: a few
    instructions make a tuple that contains itself twice per level, for which this takes forever.
    """

    # NumPy 2 moved its modules, which changed the names.
    functions: ClassVar[Mapping[str, Any]] = {
        "numpy.dtype": _dtype,
        "numpy.ndarray": _ndarray,
        "numpy.core.multiarray._reconstruct": _reconstruct,
        "numpy._core.multiarray._reconstruct": _reconstruct,
        "numpy.core.numeric._frombuffer": _frombuffer,
        "numpy._core.numeric._frombuffer": _frombuffer,
        "_codecs.encode": _encode,
        "collections.OrderedDict": _ordered_dict,
    }

    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin-1")
        self._content = content

    def load(self) -> Any:
        """Return the object of a pickle; raise if anything follows the pickle."""
        stream = io.BytesIO(self._content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings
            # This also raises if a value is longer than the file.
            number: Any
            for i, (instruction, number, _) in enumerate(pickletools.genops(stream)):
                if i >= _MAX_INSTRUCTIONS:
                    msg = f"more than {_MAX_INSTRUCTIONS:,} instructions"
                    raise ValueError(msg)
                if instruction.name.endswith("PUT") and number > i:  # it numbers an earlier object
                    msg = f"an object of the number {number}, after {i} instructions"
                    raise ValueError(msg)
            try:
                result = super().load()
            except UnpicklingError as error:
                raise ValueError(*error.args) from error
        if stream.read(1) or self.stack or self.metastack:
            msg = "more data follows the pickle, or too many values are in it"
            raise ValueError(msg)
        return result

    def find_class(self, module: str, name: str) -> Any:
        """Return the function of a name in the file."""
        full = f"{module}.{name}"
        if full not in self.functions:
            hint = _HINTS.get(full.partition(".")[0], "which no dictionary of arrays needs")
            msg = f"the name {quoted(full)}, {hint}"
            raise ValueError(msg)
        return self.functions[full]

    def _load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, FunctionType):
            msg = "a call of an object that is not a name"
            raise TypeError(msg)
        if type(arguments) is not tuple:
            msg = "arguments must be a tuple"
            raise TypeError(msg)
        self.append(function(*arguments))

    def _load_build(self) -> None:
        state, top = self.stack.pop(), self.stack[-1]
        if not isinstance(top, PickledArray | PickledDict | PickledDtype):
            msg = "a state for an object without one"
            raise TypeError(msg)
        top.set_state(state)

    def _load_dict(self) -> None:
        result, items = PickledDict(), self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            result[key] = value
        self.append(result)

    dispatch = _methods(
        {
            "REDUCE": _load_reduce,
            "BUILD": _load_build,
            "DICT": _load_dict,
            "EMPTY_DICT": lambda self: self.append(PickledDict()),
        }
    )
