"""Files of ``torch.save``: a ``state_dict``, alone or in a checkpoint, read without torch."""

from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.npz import NpzMember, open_npz_members
from xpnet.formats.checked_parameters import widen_bfloat16
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size, weights_errors
from xpnet.formats.restricted_unpickler import ArrayUnpickler, check_string

__all__ = ["read", "read_headers"]

_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")
# A storage may have many tensors, such as a weight that two layers share.
_MAX_RATIO, _ITEM_BYTES = 4, 8
_MAX_OTHER_BYTES = 1 << 24  # of the pickle, which needs about 200 per tensor, and the byte order
_MAX_DIMENSIONS = 32
_DTYPES = {"Half": "float16", "BFloat16": "bfloat16", "Float": "float32", "Double": "float64"}
_DTYPES |= {"Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8"}
_DTYPES |= {"Bool": "bool"}


@dataclass(frozen=True, eq=False)
class _Storage:
    """Numbers of one dtype, such as "float32", in the file under a key."""

    dtype: str
    key: str
    size: int

    @property
    def n_bytes(self) -> int:
        """Number of bytes in the file."""
        return self.size * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


@dataclass(frozen=True, eq=False)
class _Tensor:
    """A view of a storage; all lengths in numbers, not bytes."""

    storage: _Storage
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
        array = widen_bfloat16(array) if is_bfloat16 else array
        return -array if self.is_negative else array


def _rebuild_tensor(*arguments: Any) -> _Tensor:
    storage, offset, shape, strides, _, _, *metadata = arguments
    is_tensor = isinstance(storage, _Storage)
    if not is_tensor or not all(map(_is_lengths, ((offset,), shape, strides))):
        msg = "a call of _rebuild_tensor_v2 without a storage and lengths"
        raise TypeError(msg)
    is_negative = metadata == [{"neg": True}]
    if not is_negative and metadata not in ([], [None], [{}]):
        msg = "a tensor with torch's conjugate bit, or other metadata: save x.resolve_conj()"
        raise ValueError(msg)
    return _Tensor(storage, offset, shape, strides, is_negative)


def _rebuild_parameter(tensor: Any, _gradient: Any = None, _hooks: Any = None) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        msg = "a call of _rebuild_parameter without a tensor"
        raise TypeError(msg)
    return tensor


def _is_lengths(values: Any) -> bool:
    # A tuple, since a list of many lengths would be copied by each tensor that mentions it.
    is_short = type(values) is tuple and len(values) <= _MAX_DIMENSIONS
    return is_short and all(type(n) is int and 0 <= n < 1 << 63 for n in values)


@dataclass(frozen=True)
class _StorageType:
    """A name such as ``torch.FloatStorage`` in the file."""

    dtype: str


class _TorchUnpickler(ArrayUnpickler):
    """Unpickler of dictionaries of tensors."""

    functions: ClassVar[dict[str, Any]] = {
        "collections.OrderedDict": ArrayUnpickler.functions["collections.OrderedDict"],
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils._rebuild_parameter": _rebuild_parameter,
        **{f"torch.{name}Storage": _StorageType(dtype) for name, dtype in _DTYPES.items()},
    }

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in self.functions:
            msg = f"it holds {quoted(full)}, not real tensors alone: save model.state_dict()"
            raise ValueError(msg)
        return self.functions[full]

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, size = pid
        if not isinstance(kind, _StorageType) or not _is_lengths((size,)):
            msg = "a storage without its type or size"
            raise TypeError(msg)
        storage = _Storage(kind.dtype, check_string(key), size)
        return self._storages.setdefault(key, storage)  # as torch does, the first dtype


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the tensors of a state_dict; bfloat16 becomes float32."""
    with ExitStack() as stack:
        members, found = _open(path, stack)
        # A counter of BatchNorm, which `infer_network` rejects by its other arrays.
        tensors = {x: y for x, y in found.items() if not x.endswith("num_batches_tracked")}
        for name, x in tensors.items():
            if "float" not in x.storage.dtype:
                msg, kind = f"tensor {quoted(name)}", x.storage.dtype
                expected = "float16, bfloat16, float32 or float64"
                raise WeightsError(msg, file=path, found=kind, expected=expected)
        storages = {x.storage.key: x.storage for x in tensors.values()}
        if missing := {f"data/{key}" for key in storages} - set(members):
            msg = f"the numbers of a tensor are missing: no member {quoted(min(missing))}"
            raise WeightsError(msg, file=path, hint="save or copy it again")
        unpacked = sum(x.n_bytes for x in storages.values())
        total = max(unpacked, sum(prod(x.shape) * _ITEM_BYTES for x in tensors.values()))
        check_size(path, "tensors", total, options.unpacked_limit(path, _MAX_RATIO))
        contents = {key: members[f"data/{key}"].rest(x.n_bytes) for key, x in storages.items()}
    arrays = {name: x.array(contents[x.storage.key]) for name, x in tensors.items()}
    return NamedArrays(arrays, layout="out_in")


def read_headers(path: Path, _: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all tensors, without reading them."""
    with ExitStack() as stack:
        tensors = _open(path, stack)[1]
    arrays = [[name, x.storage.dtype, list(x.shape)] for name, x in tensors.items()]
    return {"arrays": arrays, "metadata": {}}


def _open(path: Path, stack: ExitStack) -> tuple[dict[str, NpzMember], dict[str, _Tensor]]:
    """Return the members of an archive by their names in its folder, and its tensors."""
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":
            msg = "in the format of torch before 1.6"
            hint = "load it in torch and save model.state_dict() again"
            raise WeightsError(msg, file=path, hint=hint)
    found = open_npz_members(path, str(path), stack, error=WeightsError, kind="torch")
    with weights_errors(path, "not a state_dict of torch"):
        folder = next(x for x in found if x.endswith("/data.pkl")).removesuffix("data.pkl")
        members = {x.removeprefix(folder): y for x, y in found.items() if x.startswith(folder)}
        if any(name.startswith("code/") for name in members):
            msg = "it is TorchScript: save the state_dict of the module that it was made of"
            raise ValueError(msg)
        order = members.get("byteorder")
        if order is not None and order.read_all(_MAX_OTHER_BYTES) != b"little":
            msg = "the byte order of the file must be little"
            raise ValueError(msg)
        content = bytes(members["data.pkl"].read_all(_MAX_OTHER_BYTES))
        return members, _tensors(_TorchUnpickler(content).load())


def _tensors(result: Any) -> dict[str, _Tensor]:
    """Return the tensors of a state_dict, or of the one in a checkpoint."""
    for key in _CHECKPOINT_KEYS:
        if isinstance(result, dict) and isinstance(result.get(key), dict):
            result = result[key]
    if not isinstance(result, dict):
        msg = f"it holds an object of type {type(result).__name__}: save model.state_dict()"
        raise TypeError(msg)
    for name, value in result.items():
        if not isinstance(value, _Tensor):
            msg = f"the entry {quoted(str(name))} is not a tensor: save model.state_dict()"
            raise TypeError(msg)
    return {str(name): tensor for name, tensor in result.items()}
