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
_MAX_RATIO, _ITEM_BYTES = 4, 8
_MAX_OTHER_BYTES = 1 << 24  # of the pickle, which needs about 200 per tensor, and the byte order


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


def _open(path: Path, stack: ExitStack) -> tuple[dict[str, NpzMember], dict[str, PickledTensor]]:
    """Return the members of an archive by their names in its folder, and its tensors."""
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":
            msg = "in the format of torch before 1.6"
            hint = "load it in torch and save model.state_dict() again"
            raise WeightsError(msg, file=path, hint=hint)
    found = open_npz_members(path, str(path), stack, error=WeightsError, kind="torch")
    with pickle_errors(path, "a state_dict of torch"):
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
