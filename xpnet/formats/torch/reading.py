"""Files of ``torch.save``: a ``state_dict``, alone or in a checkpoint."""

from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.npz import NpzMember, open_npz_members
from xpnet.formats.model_file import LoadOptions, NamedArrays, check_size
from xpnet.formats.pickle import pickle_errors
from xpnet.formats.torch.pickles import PickledTensor, TorchUnpickler

__all__ = ["read", "read_headers"]

_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")
# A storage may have many tensors, such as a weight that two layers share.
_MAX_RATIO, _SMALL_BYTES, _ITEM_BYTES = 4, 1 << 24, 8


def read(path: Path, options: LoadOptions) -> NamedArrays:
    """Read the tensors of a state_dict; bfloat16 becomes float32."""
    with ExitStack() as stack:
        members, found = _open(path, options, stack)
        # A counter of BatchNorm, which `infer_network` rejects by its other arrays.
        tensors = {x: y for x, y in found.items() if not x.endswith("num_batches_tracked")}
        for name, x in tensors.items():
            if "float" not in x.storage.dtype:
                msg, kind = f"tensor {quoted(name)}", x.storage.dtype
                expected = "float16, bfloat16, float32 or float64"
                raise WeightsError(msg, file=path, found=kind, expected=expected)
        total = sum(prod(x.shape) * _ITEM_BYTES for x in tensors.values())
        limit = max(_MAX_RATIO * path.stat().st_size, _SMALL_BYTES)
        check_size(path, "tensors", total, min(options.byte_limit, limit))
        storages = {x.storage.key: x.storage for x in tensors.values()}
        contents = {key: members[f"data/{key}"].rest(x.n_bytes) for key, x in storages.items()}
    arrays = {name: x.array(contents[x.storage.key]) for name, x in tensors.items()}
    return NamedArrays(arrays, layout="out_in")


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all tensors, without reading them."""
    with ExitStack() as stack:
        _, tensors = _open(path, options, stack)
    arrays = [[name, x.storage.dtype, list(x.shape)] for name, x in tensors.items()]
    return {"arrays": arrays, "metadata": {}}


def _open(
    path: Path, options: LoadOptions, stack: ExitStack
) -> tuple[dict[str, NpzMember], dict[str, PickledTensor]]:
    """Return the members of an archive by their names in its folder, and its tensors."""
    check_size(path, "torch files", path.stat().st_size, options.byte_limit)
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":
            msg = "in the format of torch before 1.6"
            hint = "load it in torch and save model.state_dict() again"
            raise WeightsError(msg, file=path, hint=hint)
    found = open_npz_members(path, str(path), stack, error=WeightsError, kind="torch")
    with pickle_errors(path, "a state_dict of torch"):
        folder = next(x for x in found if x.endswith("/data.pkl")).removesuffix("data.pkl")
        members = {name.removeprefix(folder): member for name, member in found.items()}
        if any(name.startswith("code/") for name in members):
            msg = "it is TorchScript: save the state_dict of the module that it was made of"
            raise ValueError(msg)
        order = members.get("byteorder")
        if order is not None and order.rest(order.size) != b"little":
            msg = "the byte order of the file must be little"
            raise ValueError(msg)
        content = bytes(members["data.pkl"].rest(members["data.pkl"].size))
        return members, _tensors(TorchUnpickler(len(content)).run(content))


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
