"""The values that a pickle of arrays is made of; a name in the file leads nowhere else."""

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.files.errors import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HINTS", "TORCH_HINT", "Array", "Dtype", "Global", "as_text", "set_items"]

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
HINTS = {
    "torch": f"it is torch's: {TORCH_HINT}",
    "sklearn": "it is scikit-learn's: give the estimator to xpnet.from_sklearn",
}
_MOST_DIMENSIONS = 32
_MOST_LENGTH = (1 << 63) - 1


class Global:
    """A name in the file that stands for something of NumPy's: one of the values of `_NAMES`."""

    def __init__(self, module: Any, name: Any) -> None:
        full = f"{as_text(module)}.{as_text(name)}"
        if full not in _NAMES:
            hint = HINTS.get(full.partition(".")[0], "which no dictionary of arrays needs")
            msg = f"the name {quoted(full)}, {hint}"
            raise ValueError(msg)
        self.role = _NAMES[full]

    def call(self, arguments: Any) -> Any:
        """Return what a call would make of plain arguments."""
        if not isinstance(arguments, tuple):
            msg = "arguments must be a tuple"
            raise TypeError(msg)
        if self.role == "dtype":
            return Dtype(arguments[0])
        if self.role == "reconstruct":
            return Array()
        if self.role == "frombuffer":
            content, dtype, shape, order = arguments
            array = Array()
            if order not in ("C", "F"):
                msg = f"the order of an array must be C or F; got {order!r}"
                raise ValueError(msg)
            array.fill(content, dtype, shape, order)
            return array
        if self.role == "encode" and arguments[1] == "latin1":  # bytes in the older protocols
            return as_text(arguments[0]).encode("latin-1")
        if self.role == "dict":
            made: dict[str, Any] = {}
            set_items(made, _paired(*arguments))
            return made
        msg = f"a call of {self.role}, which no dictionary of arrays needs"
        raise ValueError(msg)


class Dtype:
    """A dtype as its pickle describes it."""

    def __init__(self, code: Any) -> None:
        if not re.fullmatch(r"[fiu][1248]", as_text(code)):
            msg = f"arrays must hold plain numbers; got the dtype {quoted(code)}"
            raise ValueError(msg)
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the byte order, the one thing in the state of a plain dtype."""
        order: Any = {"<": "<", ">": ">", "|": "=", "=": "="}[as_text(state[1])]
        self.dtype = self.dtype.newbyteorder(order)


class Array:
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
        if not isinstance(dtype, Dtype) or not isinstance(content, bytes | bytearray):
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


def as_text(value: Any) -> str:
    """Return a value that must be a text; no other is looked into."""
    if type(value) is not str:
        msg = f"an object of type {type(value).__name__} instead of a text"
        raise TypeError(msg)
    return value


def _paired(pairs: Any = ()) -> list[Any]:
    """Return keys and values one after the other."""
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        msg = "a dictionary must be made of pairs"
        raise TypeError(msg)
    return [x for pair in pairs for x in pair]


def set_items(target: dict[Any, Any], items: list[Any]) -> None:
    """Add keys and values, one after the other; a key that is there already is refused."""
    if type(target) is not dict:
        msg = "keys for something that is no dictionary"
        raise TypeError(msg)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if as_text(key) in target:
            msg = f"{quoted(key)} is there twice"
            raise ValueError(msg)
        target[key] = value
