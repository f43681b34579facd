"""Files of ``torch.save``: a ``state_dict``, alone or in a checkpoint."""

import io
from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.npz import open_npz_members
from xpnet.files.opening import take
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size
from xpnet.formats.torch.pickles import PickledTensor, TorchUnpickler

__all__ = ["read", "read_headers"]

_Read = Callable[[str, int], bytes | bytearray]  # the bytes of a key and their number
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")
_UNEXPLAINED = (LookupError, ArithmeticError, AttributeError, RecursionError)
# A storage may have many tensors, such as a weight that two layers share.
_MAX_RATIO, _SMALL_BYTES, _ITEM_BYTES = 4, 1 << 24, 8
# The older format: a number, a version and facts about the machine precede the tensors.
_N_BEFORE, _COUNT_BYTES = 3, 8


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the tensors of a state_dict; bfloat16 becomes float32."""
    with ExitStack() as stack:
        tensors, read_bytes = _open(path, options, stack)
        for name, x in tensors.items():
            if "float" not in x.storage.dtype:
                msg = f"tensor {quoted(name)}"
                found, expected = x.storage.dtype, "float16, bfloat16, float32 or float64"
                raise WeightsError(msg, file=path, found=found, expected=expected)
        total = sum(prod(x.shape) * _ITEM_BYTES for x in tensors.values())
        limit = max(_MAX_RATIO * path.stat().st_size, _SMALL_BYTES)
        check_size(path, "tensors", total, min(options.byte_limit, limit))
        storages = {x.storage.key: x.storage for x in tensors.values()}
        contents = {key: read_bytes(key, x.n_bytes) for key, x in storages.items()}
    arrays = {name: x.array(contents[x.storage.key]) for name, x in tensors.items()}
    return NamedArrays(arrays, layout="out_in")


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all tensors, without reading them."""
    with ExitStack() as stack:
        tensors, _ = _open(path, options, stack)
    arrays = [[name, x.storage.dtype, list(x.shape)] for name, x in tensors.items()]
    return {"arrays": arrays, "metadata": {}}


def _open(
    path: Path, options: LoadOptions, stack: ExitStack
) -> tuple[dict[str, PickledTensor], _Read]:
    """Return the tensors of a file, and for each storage the function that reads it."""
    check_size(path, "torch files", path.stat().st_size, options.byte_limit)
    try:
        with path.open("rb") as stream:
            if stream.read(2) == b"PK":
                return _open_archive(path, stack)
            stream.seek(0)
            return _open_older(bytes(take(stream, options.byte_limit)))
    except WeightsError:
        raise
    except (TypeError, ValueError, *_UNEXPLAINED) as error:
        is_explained = type(error) in {TypeError, ValueError}
        reason = error if is_explained else f"an invalid instruction ({type(error).__name__})"
        msg = f"not a state_dict of torch: {reason}"
        raise WeightsError(msg, file=path) from error


def _open_archive(path: Path, stack: ExitStack) -> tuple[dict[str, PickledTensor], _Read]:
    members = open_npz_members(path, str(path), stack, error=WeightsError, kind="torch", suffix="")
    name = next(name for name in members if name.endswith("/data.pkl"))
    folder = name.removesuffix("data.pkl")
    content = bytes(members[name].rest(members[name].size))
    order = members.get(f"{folder}byteorder")
    if order is not None and order.rest(order.size) != b"little":
        msg = "the byte order of the file must be little"
        raise ValueError(msg)
    tensors = _tensors(TorchUnpickler(len(content)).run(content))
    return tensors, lambda key, n_bytes: members[f"{folder}data/{key}"].rest(n_bytes)


def _open_older(content: bytes) -> tuple[dict[str, PickledTensor], _Read]:
    """Read the format of torch before 1.6: several pickles, and the storages after them."""
    stream = io.BytesIO(content)
    machines = [TorchUnpickler(len(content)) for _ in range(_N_BEFORE + 2)]
    *_, result, keys = [machine.run_next(stream) for machine in machines]
    storages, found = machines[-2].storages, {}
    for key in keys:
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        found[key] = stream.read(storages[key].n_bytes)
        if count != storages[key].size or len(found[key]) != storages[key].n_bytes:
            msg = f"the storage {quoted(key)} must have {storages[key].size} numbers; got {count}"
            raise ValueError(msg)
    if stream.read(1):
        msg = "more data follows the storages"
        raise ValueError(msg)
    return _tensors(result), lambda key, _: found[key]


def _tensors(result: Any) -> dict[str, PickledTensor]:
    """Return the tensors of a state_dict, or of the one in a checkpoint."""
    for key in _CHECKPOINT_KEYS:
        if isinstance(result, dict) and isinstance(result.get(key), dict):
            result = result[key]
    if not isinstance(result, dict):
        msg = f"it holds an object of type {type(result).__name__}: save model.state_dict()"
        raise TypeError(msg)
    for name, value in result.items():
        if not isinstance(value, PickledTensor):
            msg = f"the entry {quoted(name)} is not a tensor: save model.state_dict()"
            raise TypeError(msg)
    return result
