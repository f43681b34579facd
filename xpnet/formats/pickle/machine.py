"""A machine that carries out the instructions of a pickle, if they make arrays and no more.

Unpickling runs what a file says. This machine knows arrays, numbers, texts, tuples, lists and
dictionaries, and nothing else: what a name in the file stands for is never looked up.
"""

import io
import pickletools
import warnings
from collections.abc import Callable
from typing import Any

from xpnet.formats.pickle.values import Array, Dtype, Global, set_items

__all__ = ["TORCH_MAGIC", "Machine"]

_MARK = object()
# An array takes some forty; each may leave an object behind.
_MOST_INSTRUCTIONS = 200_000
_NEWEST_PROTOCOL = 5
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
# torch's older files begin with this number, and go on with more pickles.
TORCH_MAGIC = 0x1950A86A20F9469CFC6C


class Machine:
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
            for i, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if opcode.name == "STOP":
                    break
                if i >= _MOST_INSTRUCTIONS:
                    msg = f"more than {_MOST_INSTRUCTIONS:,} instructions"
                    raise ValueError(msg)
                if opcode.name not in _INSTRUCTIONS:
                    msg = f"instruction {opcode.name}, which no dictionary of arrays needs"
                    raise ValueError(msg)
                _INSTRUCTIONS[opcode.name](self, argument)
        (result,) = self.stack
        if stream.read(1) and result != TORCH_MAGIC:
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
        set_items(self.stack[-1], items)

    def find(self, module: Any, name: Any) -> None:
        """Put on the stack what a name stands for."""
        self.push(Global(module, name))

    def reduce(self, function: Any, arguments: Any) -> None:
        """Put on the stack what a call makes."""
        if not isinstance(function, Global):
            msg = "a call of something that is no name"
            raise TypeError(msg)
        made = function.call(arguments)
        self.push(made)
        self.count(made)

    def build(self, state: Any) -> None:
        """Give the value on top of the stack its state."""
        top = self.stack[-1]
        if not isinstance(top, Array | Dtype):
            msg = "a state for something that has none"
            raise TypeError(msg)
        top.build(state)
        self.count(top)

    def count(self, made: Any) -> None:
        """Count the bytes of what was made."""
        if isinstance(made, bytes):
            self.bytes_left -= len(made)
        elif isinstance(made, Array) and made.value is not None:
            self.bytes_left -= made.value.nbytes
        if self.bytes_left < 0:
            msg = "it makes more of its bytes than a dictionary of arrays does"
            raise ValueError(msg)


def _as_dict(items: list[Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    set_items(made, items)
    return made


def _check_protocol(version: int) -> None:
    if version > _NEWEST_PROTOCOL:
        msg = f"its protocol must be at most {_NEWEST_PROTOCOL}; got {version}"
        raise ValueError(msg)


_INSTRUCTIONS: dict[str, Callable[[Machine, Any], object]] = {
    **dict.fromkeys(_LITERALS, Machine.push),
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
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.remember),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])
    ),
    "GLOBAL": lambda machine, name: machine.find(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.take(2)),
    "REDUCE": lambda machine, _: machine.reduce(*machine.take(2)),
    "BUILD": lambda machine, _: machine.build(*machine.take(1)),
    "PROTO": lambda _, version: _check_protocol(version),
    "FRAME": lambda *_: None,
}
