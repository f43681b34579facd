"""Tensors in the pickles of ``torch.save``, by the restricted interpreter: no code runs."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.restricted_unpickler import Global, Unpickler, check_string

__all__ = ["PickledTensor", "TorchUnpickler"]

_DTYPES = {"Half": "float16", "BFloat16": "bfloat16", "Float": "float32", "Double": "float64"}
_DTYPES |= {"Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8"}
_DTYPES |= {"Bool": "bool"}
_NAMES = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
_NAMES |= {f"torch.{x}Storage" for x in _DTYPES}
_MAX_DIMENSIONS = 32


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers of one dtype, such as "float32", in the file under a key."""

    dtype: str
    key: str
    size: int

    @property
    def n_bytes(self) -> int:
        """Number of bytes in the file."""
        return self.size * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


@dataclass(frozen=True, eq=False)
class PickledTensor:
    """A view of a storage; all lengths in numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    is_negative: bool  # whether the numbers are those of the storage with the other sign

    def array(self, content: bytes | bytearray) -> NDArray[Any]:
        """Return the tensor of the bytes of its storage, as an array; bfloat16 as float32."""
        is_bfloat16 = self.storage.dtype == "bfloat16"
        dtype = np.dtype("u2" if is_bfloat16 else self.storage.dtype).newbyteorder("<")
        numbers = np.frombuffer(content, dtype)
        steps = ((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        last = self.offset + sum(steps)
        if prod(self.shape) and last >= numbers.size:
            msg = f"a tensor must end in its storage of {numbers.size} numbers; got index {last}"
            raise ValueError(msg)
        strides = [step * dtype.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        array = view.copy(order="C")
        if is_bfloat16:  # the upper half of float32
            array = (array.astype("<u4") << 16).view("<f4")
        return -array if self.is_negative else array


class TorchUnpickler(Unpickler):
    """Interpreter of the instructions that make dictionaries of tensors."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.storages: dict[str, Storage] = {}
        self.instructions = {**self.instructions, "BINPERSID": _load_storage}

    def find(self, module: Any, name: Any) -> None:
        """Put a name of torch's tensors, or of a dictionary, on the stack."""
        full = f"{check_string(module)}.{check_string(name)}"
        if full != "collections.OrderedDict" and full not in _NAMES:
            msg = f"it holds {quoted(full)}, not real tensors alone: save model.state_dict()"
            raise ValueError(msg)
        self.push(_TorchName(full) if full.startswith("torch.") else Global(module, name))

    def set_items(self, items: list[Any]) -> None:
        """Add keys and values to a dictionary; an optimizer numbers its parameters."""
        keys = [str(key) if type(key) is int else key for key in items[::2]]
        super().set_items([x for pair in zip(keys, items[1::2], strict=True) for x in pair])

    def build(self, state: Any) -> None:
        """Ignore the state, the versions of modules in the dictionary on top of the stack."""
        if type(self.stack[-1]) is not dict:
            super().build(state)


def _load_storage(machine: Any, _: Any) -> None:
    """Replace the identifier on top of the stack by its storage."""
    (identifier,) = machine.pop(1)
    _, kind, key, _, size = identifier
    if not isinstance(kind, _TorchName) or not _is_lengths((size,)):
        msg = "a storage without its type or size"
        raise TypeError(msg)
    storage = Storage(_DTYPES[kind.role.removesuffix("Storage")], check_string(key), size)
    machine.push(machine.storages.setdefault(key, storage))  # as torch does, the first dtype


class _TorchName(Global):
    """A name of torch: a function that makes a tensor, or the type of a storage."""

    def __init__(self, full: str) -> None:
        self.role = full.rpartition(".")[2]

    def call(self, arguments: Any) -> Any:
        """Return a tensor."""
        if self.role == "_rebuild_parameter" and isinstance(arguments[0], PickledTensor):
            return arguments[0]
        storage, offset, shape, strides, _, _, *metadata = arguments
        is_tensor = self.role == "_rebuild_tensor_v2" and isinstance(storage, Storage)
        if not is_tensor or not all(map(_is_lengths, ((offset,), shape, strides))):
            msg = f"a call of {self.role} without a storage and lengths"
            raise TypeError(msg)
        is_negative = metadata == [{"neg": True}]
        if not is_negative and metadata not in ([], [None], [{}]):
            msg = "a tensor with torch's conjugate bit, or other metadata: save x.resolve_conj()"
            raise ValueError(msg)
        return PickledTensor(storage, offset, shape, strides, is_negative)


def _is_lengths(values: Any) -> bool:
    # A tuple, since a list of many lengths would be copied by each tensor that mentions it.
    is_short = type(values) is tuple and len(values) <= _MAX_DIMENSIONS
    return is_short and all(type(n) is int and 0 <= n < 1 << 63 for n in values)
