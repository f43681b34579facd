"""Restricted interpreter of pickles, which makes dictionaries of arrays and runs no code.

Unpickling calls whatever a file names. This interpreter makes arrays, numbers, strings, tuples,
lists and dictionaries only, and never imports a name of the file.
"""

import io
import math
import pickletools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted

__all__ = ["Global", "PickledArray", "Unpickler", "check_string"]

# An array takes about 40 instructions, each of which may create an object.
_MAX_INSTRUCTIONS = 200_000
_MAX_PROTOCOL = 5
_MAX_DIMENSIONS, _MAX_LENGTH = 32, (1 << 63) - 1
_ENTRY_BYTES = 64  # of a dictionary, which calls may make from the same pairs again and again
# Remedies for pickles of other libraries.
_HINTS = {
    "torch": "it is torch's: save model.state_dict() with torch.save, or as safetensors",
    "sklearn": "it is scikit-learn's: give the estimator to xpnet.from_sklearn",
}
# NumPy 2 moved its modules, which changed the names.
_ROLES = {
    "numpy.dtype": "dtype",
    "numpy.ndarray": "ndarray",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "_codecs.encode": "encode",
    "collections.OrderedDict": "dict",
}
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_MARK = object()


class Unpickler:
    """Interpreter of the instructions that make a dictionary of arrays.

    The type of a value is checked before anything else: a few instructions make a tuple that
    contains itself twice per level, which takes forever to hash, compare or print.
    """

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        # Each array has bytes of its own in the file, which may be converted from a string.
        self.bytes_left = 2 * size
        self.instructions = _INSTRUCTIONS

    def run(self, content: bytes) -> Any:
        """Return the object of a pickle; raise if anything follows the pickle."""
        stream = io.BytesIO(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings
            for i, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if opcode.name == "STOP":
                    break
                if i >= _MAX_INSTRUCTIONS:
                    msg = f"more than {_MAX_INSTRUCTIONS:,} instructions"
                    raise ValueError(msg)
                if opcode.name not in self.instructions:
                    msg = f"instruction {opcode.name}, which no dictionary of arrays needs"
                    raise ValueError(msg)
                if opcode.name == "PROTO" and int(argument or 0) > _MAX_PROTOCOL:
                    msg = f"its protocol must be at most {_MAX_PROTOCOL}; got {argument}"
                    raise ValueError(msg)
                self.instructions[opcode.name](self, argument)
        (result,) = self.stack
        if stream.read(1):
            msg = "more data follows the pickle"
            raise ValueError(msg)
        return result

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """Remove `count` values from the stack and return them."""
        if len(self.stack) < count:
            msg = "an instruction without its values"
            raise ValueError(msg)
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def pop_to_mark(self) -> list[Any]:
        """Remove the last mark and the values above it from the stack; return the values."""
        count = 0
        while self.stack[-1 - count] is not _MARK:
            count += 1
        return self.pop(count + 1)[1:]

    def memoize(self, index: int) -> None:
        """Store the value on top of the stack in the memo."""
        self.memo[index] = self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        """Append items to the list on top of the stack."""
        if type(self.stack[-1]) is not list:
            msg = "items for an object that is not a list"
            raise TypeError(msg)
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Add alternating keys and values to the dictionary on top of the stack."""
        _set_items(self.stack[-1], items)

    def find(self, module: Any, name: Any) -> None:
        """Put a name of the file on the stack."""
        self.push(Global(module, name))

    def reduce(self, function: Any, arguments: Any) -> None:
        """Put the result of a call on the stack."""
        if not isinstance(function, Global):
            msg = "a call of an object that is not a name"
            raise TypeError(msg)
        self.push(function.call(arguments))
        self.count_bytes()

    def build(self, state: Any) -> None:
        """Set the state of the value on top of the stack."""
        top = self.stack[-1]
        if isinstance(top, PickledArray):
            _, shape, dtype, is_fortran, content = state
            top.value = _make_array(content, dtype, shape, "F" if is_fortran else "C")
        elif isinstance(top, _PickledDtype):
            # The byte order is the only relevant part of the state of a plain dtype.
            order: Any = {"<": "<", ">": ">", "|": "=", "=": "="}[check_string(state[1])]
            top.dtype = top.dtype.newbyteorder(order)
        else:
            msg = "a state for an object without one"
            raise TypeError(msg)
        self.count_bytes()

    def count_bytes(self) -> None:
        """Raise ValueError if the results of calls are too large for the size of the file."""
        result = self.stack[-1]
        if isinstance(result, bytes):
            self.bytes_left -= len(result)
        elif isinstance(result, PickledArray) and result.value is not None:
            self.bytes_left -= result.value.nbytes
        elif isinstance(result, dict):
            self.bytes_left -= _ENTRY_BYTES * len(result)
        if self.bytes_left < 0:
            msg = "it expands its bytes more than a dictionary of arrays does"
            raise ValueError(msg)


class Global:
    """A name in the file that has a role in pickles of arrays."""

    def __init__(self, module: Any, name: Any) -> None:
        full = f"{check_string(module)}.{check_string(name)}"
        if full not in _ROLES:
            hint = _HINTS.get(full.partition(".")[0], "which no dictionary of arrays needs")
            msg = f"the name {quoted(full)}, {hint}"
            raise ValueError(msg)
        self.role = _ROLES[full]

    def call(self, arguments: Any) -> Any:
        """Return the result of a call with plain arguments."""
        if not isinstance(arguments, tuple):
            msg = "arguments must be a tuple"
            raise TypeError(msg)
        if self.role == "dtype":
            return _PickledDtype(arguments[0])
        if self.role == "reconstruct":
            return PickledArray()
        if self.role == "frombuffer":
            content, dtype, shape, order = arguments
            return PickledArray(_make_array(content, dtype, shape, order))
        if self.role == "encode" and arguments[1] == "latin1":  # bytes in the older protocols
            return check_string(arguments[0]).encode("latin-1")
        if self.role == "dict":
            pairs = arguments[0] if arguments else ()
            if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
                msg = "a dictionary must be made of pairs"
                raise TypeError(msg)
            return _set_items({}, [x for pair in pairs for x in pair])
        msg = f"a call of {self.role}, which no dictionary of arrays needs"
        raise ValueError(msg)


class _PickledDtype:
    """A dtype before and after its byte order is set."""

    def __init__(self, code: Any) -> None:
        if not re.fullmatch(r"[fiu][1248]", check_string(code)):
            msg = f"arrays must hold plain numbers; got the dtype {quoted(code)}"
            raise ValueError(msg)
        self.dtype = np.dtype(code)


@dataclass(eq=False)
class PickledArray:
    """An array; `value` is None before its state is set."""

    value: NDArray[Any] | None = None


def _make_array(content: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    """Return an array of the given bytes; raise unless they fit its shape and dtype."""
    if check_string(order) not in {"C", "F"}:
        msg = f"the order of an array must be C or F; got {order!r}"
        raise ValueError(msg)
    if isinstance(content, str):  # as Python 2 wrote bytes
        content = content.encode("latin-1")
    if not isinstance(dtype, _PickledDtype) or not isinstance(content, bytes | bytearray):
        msg = "arrays must be made of bytes and a dtype"
        raise TypeError(msg)
    is_shape = isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS
    if not is_shape or not all(type(n) is int and 0 <= n <= _MAX_LENGTH for n in shape):
        msg = "the shape of an array must be a tuple of a few integers"
        raise ValueError(msg)
    n_bytes = math.prod(shape) * dtype.dtype.itemsize
    if n_bytes != len(content):
        msg = f"an array of shape {shape} must have {n_bytes} bytes; got {len(content)}"
        raise ValueError(msg)
    numbers = np.frombuffer(bytearray(content), dtype.dtype)  # a writable copy
    return numbers.reshape(shape, order="F" if order == "F" else "C")


def check_string(value: Any) -> str:
    """Return a value if it is a string; the message does not contain other values."""
    if type(value) is not str:
        msg = f"an object of type {type(value).__name__} instead of a string"
        raise TypeError(msg)
    return value


def _set_items(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """Add alternating keys and values to a dictionary; raise if a key is present."""
    if type(target) is not dict:
        msg = "keys for an object that is not a dictionary"
        raise TypeError(msg)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if check_string(key) in target:
            msg = f"{quoted(key)} occurs twice"
            raise ValueError(msg)
        target[key] = value
    return target


def _push_constant(value: Any) -> Callable[[Unpickler, Any], None]:
    return lambda machine, _: machine.push(value)


_INSTRUCTIONS: dict[str, Callable[[Unpickler, Any], object]] = {
    **dict.fromkeys(_LITERALS, Unpickler.push),
    "NONE": _push_constant(None),
    "NEWTRUE": _push_constant(value=True),
    "NEWFALSE": _push_constant(value=False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": _push_constant(()),
    "MARK": _push_constant(_MARK),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "DICT": lambda machine, _: machine.push(_set_items({}, machine.pop_to_mark())),
    "APPEND": lambda machine, _: machine.extend(machine.pop(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Unpickler.memoize),
    "MEMOIZE": lambda machine, _: machine.memoize(len(machine.memo)),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.push(machine.memo[index])
    ),
    "GLOBAL": lambda machine, name: machine.find(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.pop(2)),
    "REDUCE": lambda machine, _: machine.reduce(*machine.pop(2)),
    "BUILD": lambda machine, _: machine.build(*machine.pop(1)),
    **dict.fromkeys(("PROTO", "FRAME"), lambda *_: None),
}
