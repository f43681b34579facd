"""The book's pickle: a dictionary of NumPy arrays, read without unpickling anything.

Unpickling runs what a file says. Here the instructions of a pickle are read one by one, and
carried out by a machine that knows arrays, numbers, texts, tuples, lists and dictionaries, and
nothing else: what a name in the file stands for is never looked up.
"""

import io
import math
import pickletools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.opening import take
from xpnet.formats.contents import Named

__all__ = ["TORCH_HINT", "read", "recognise"]

_HEADS = (b"\x80", b"(dp", b"(d", b"}q", b"}(", b"}.", b"ccollections")
_MARK = object()
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
# NumPy 2 moved its modules, and so the names.
_NAMES = {
    "numpy.dtype": "dtype",
    "numpy.ndarray": "ndarray",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "_codecs.encode": "encode",
    "collections.OrderedDict": "dict",
}
# What a file of these libraries is, and what to do with it.
TORCH_HINT = "save the module's state_dict as safetensors"
_HINTS = {
    "torch": f"it is torch's: {TORCH_HINT}",
    "sklearn": "it is scikit-learn's: give the estimator to xpnet.from_sklearn",
}
# torch's older files begin with this number, and go on with more pickles.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
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
_MOST_DIMENSIONS = 32
_MOST_LENGTH = (1 << 63) - 1


def recognise(head: bytes) -> bool:
    """Tell by a file's first bytes whether it may be a pickle of a dictionary."""
    return head.startswith(_HEADS)


def read(path: Path, *, max_bytes: int) -> Named:
    """Read the arrays of a pickled dictionary.

    Raises
    ------
    WeightsError
        If the file is larger than `max_bytes`, is damaged, or holds something else.
    """
    with path.open("rb") as stream:
        content = bytes(take(stream, max_bytes + 1))
    if len(content) > max_bytes:
        hint = "--max-bytes (max_bytes=) raises the limit"
        msg = "pickle is too large"
        raise WeightsError(msg, file=path, expected=f"at most {max_bytes:,} bytes", hint=hint)
    try:
        arrays = _as_arrays(_Machine(len(content)).run(content))
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
        hint = f", and {_HINTS['torch']}" if result == _TORCH_MAGIC else ""
        msg = f"it holds an object of type {type(result).__name__.strip('_').lower()}{hint}"
        raise TypeError(msg)
    arrays = {}
    for name, value in result.items():
        if not isinstance(value, _Array) or value.value is None:
            msg = f"the entry {quoted(name)} is no array"
            raise TypeError(msg)
        arrays[name] = value.value
    return arrays


class _Global:
    """A name in the file that stands for something of NumPy's: one of the values of `_NAMES`."""

    def __init__(self, module: Any, name: Any) -> None:
        full = f"{_text(module)}.{_text(name)}"
        if full not in _NAMES:
            hint = _HINTS.get(full.partition(".")[0], "which no dictionary of arrays needs")
            msg = f"the name {quoted(full)}, {hint}"
            raise ValueError(msg)
        self.role = _NAMES[full]

    def call(self, arguments: Any) -> Any:
        """Return what a call would make of plain arguments."""
        if not isinstance(arguments, tuple):
            msg = "arguments must be a tuple"
            raise TypeError(msg)
        if self.role == "dtype":
            return _Dtype(arguments[0])
        if self.role == "reconstruct":
            return _Array()
        if self.role == "frombuffer":
            content, dtype, shape, order = arguments
            array = _Array()
            array.fill(content, dtype, shape, order)
            return array
        if self.role == "encode" and arguments[1] == "latin1":  # bytes in the older protocols
            return _text(arguments[0]).encode("latin-1")
        if self.role == "dict":
            return _as_dict(_paired(*arguments))
        msg = f"a call of {self.role}, which no dictionary of arrays needs"
        raise ValueError(msg)


class _Dtype:
    """A dtype as its pickle describes it."""

    def __init__(self, code: Any) -> None:
        if not re.fullmatch(r"[fiu][1248]", _text(code)):
            msg = f"arrays must hold plain numbers; got the dtype {quoted(code)}"
            raise ValueError(msg)
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the byte order, the one thing in the state of a plain dtype."""
        order: Any = {"<": "<", ">": ">", "|": "=", "=": "="}[_text(state[1])]
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array before and after its state is known."""

    def __init__(self) -> None:
        self.value: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        """Take the state: version, shape, dtype, whether by columns, and the bytes."""
        _, shape, dtype, is_fortran, content = state
        self.fill(content, dtype, shape, "F" if is_fortran else "C")

    def fill(self, content: Any, dtype: Any, shape: Any, order: str) -> None:
        """Make the array of bytes, which must be as many as shape and dtype say."""
        if isinstance(content, str):  # as Python 2 wrote bytes
            content = content.encode("latin-1")
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
            msg = "arrays must be made of bytes and a dtype"
            raise TypeError(msg)
        is_shape = isinstance(shape, tuple) and len(shape) <= _MOST_DIMENSIONS
        if not is_shape or not all(type(n) is int and 0 <= n <= _MOST_LENGTH for n in shape):
            msg = "the shape of an array must be a few whole numbers"
            raise ValueError(msg)
        n_bytes = math.prod(shape) * dtype.dtype.itemsize
        if n_bytes != len(content):
            msg = f"an array of shape {shape} must have {n_bytes} bytes; got {len(content)}"
            raise ValueError(msg)
        numbers = np.frombuffer(bytearray(content), dtype.dtype)  # which may be written to
        self.value = numbers.reshape(shape, order="F" if order == "F" else "C")


class _Machine:
    """Carries out the instructions of a pickle that make a dictionary of arrays.

    No value is looked into before its type is known: a few instructions make a tuple that has
    itself twice as deep as they are many, and no end when it is hashed, compared or printed.
    """

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        # Each array has bytes of its own in the file, and these may be made of a text.
        self.bytes_left = 2 * size

    def run(self, content: bytes) -> Any:
        """Return what a pickle makes, and refuse anything behind it."""
        stream = io.BytesIO(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes in texts that Python finds doubtful
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "STOP":
                    break
                if opcode.name not in _INSTRUCTIONS:
                    msg = f"instruction {opcode.name}, which no dictionary of arrays needs"
                    raise ValueError(msg)
                _INSTRUCTIONS[opcode.name](self, argument)
        (result,) = self.stack
        if stream.read(1) and result != _TORCH_MAGIC:
            msg = "something else follows the pickle"
            raise ValueError(msg)
        return result

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def take(self, count: int) -> list[Any]:
        """Take so many values from the stack."""
        if len(self.stack) < count:
            msg = "an instruction without its values"
            raise ValueError(msg)
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def take_to_mark(self) -> list[Any]:
        """Take what is above the last mark, and the mark, from the stack."""
        count = 0
        while self.stack[-1 - count] is not _MARK:
            count += 1
        return self.take(count + 1)[1:]

    def remember(self, place: int) -> None:
        """Note the value on top of the stack."""
        self.memo[place] = self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        """Add items to the list on top of the stack."""
        if type(self.stack[-1]) is not list:
            msg = "items for something that is no list"
            raise TypeError(msg)
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Add keys and values to the dictionary on top of the stack."""
        _set_items(self.stack[-1], items)

    def find(self, module: Any, name: Any) -> None:
        """Put on the stack what a name stands for."""
        self.push(_Global(module, name))

    def reduce(self, function: Any, arguments: Any) -> None:
        """Put on the stack what a call makes."""
        if not isinstance(function, _Global):
            msg = "a call of something that is no name"
            raise TypeError(msg)
        made = function.call(arguments)
        self.push(made)
        self.count(made)

    def build(self, state: Any) -> None:
        """Give the value on top of the stack its state."""
        top = self.stack[-1]
        if not isinstance(top, _Array | _Dtype):
            msg = "a state for something that has none"
            raise TypeError(msg)
        top.build(state)
        self.count(top)

    def count(self, made: Any) -> None:
        """Count the bytes of what was made."""
        if isinstance(made, bytes):
            self.bytes_left -= len(made)
        elif isinstance(made, _Array) and made.value is not None:
            self.bytes_left -= made.value.nbytes
        if self.bytes_left < 0:
            msg = "it makes more of its bytes than a dictionary of arrays does"
            raise ValueError(msg)


def _text(value: Any) -> str:
    if type(value) is not str:
        msg = f"an object of type {type(value).__name__} instead of a text"
        raise TypeError(msg)
    return value


def _paired(pairs: Any = ()) -> list[Any]:
    """Return keys and values one after the other."""
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004
        msg = "a dictionary must be made of pairs"
        raise TypeError(msg)
    return [x for pair in pairs for x in pair]


def _as_dict(items: list[Any]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    _set_items(made, items)
    return made


def _set_items(target: dict[Any, Any], items: list[Any]) -> None:
    """Add keys and values, one after the other; a key that is there already is refused."""
    if type(target) is not dict:
        msg = "keys for something that is no dictionary"
        raise TypeError(msg)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if _text(key) in target:
            msg = f"{quoted(key)} is there twice"
            raise ValueError(msg)
        target[key] = value


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(_LITERALS, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),  # noqa: FBT003 (a value)
    "NEWFALSE": lambda machine, _: machine.push(False),  # noqa: FBT003 (a value)
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": lambda machine, _: machine.push(_MARK),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.take_to_mark())),
    "LIST": lambda machine, _: machine.push(machine.take_to_mark()),
    "DICT": lambda machine, _: machine.push(_as_dict(machine.take_to_mark())),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.take_to_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.remember),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])
    ),
    "GLOBAL": lambda machine, name: machine.find(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.take(2)),
    "REDUCE": lambda machine, _: machine.reduce(*machine.take(2)),
    "BUILD": lambda machine, _: machine.build(*machine.take(1)),
    "PROTO": lambda *_: None,
    "FRAME": lambda *_: None,
}
