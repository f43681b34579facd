"""safetensors format: parameters as tensors, and xpnet's description in the metadata.

xpnet's metadata is one entry, ``xpnet``, so that the same network always gives the same bytes. It
is the description of `xpnet.formats.description`, and ends with ``crc32``, a checksum of the
description and of the tensors' names, dtypes and shapes: a single changed letter can turn
``relu`` into ``celu``. Foreign files lack this entry.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.formats.description import arrays_by_name, describe
from xpnet.networks.network import Network

__all__ = ["read", "serialize"]

_KEY = "xpnet"
_SEAL = ', "crc32": '
_DTYPES = {"F16": "f2", "BF16": "u2", "F32": "f4", "F64": "f8"}


def serialize(network: Network) -> bytes:
    """Return the bytes of a safetensors file of a network; raise as `arrays_by_name`."""
    from safetensors.numpy import save

    arrays, description = arrays_by_name(network), describe(network)
    seal = f"{_SEAL}{_checksum(description, arrays)}}}"
    return bytes(save(arrays, {_KEY: description[:-1] + seal}))


def read(path: Path) -> tuple[dict[str, NDArray[Any]], str | None]:
    """Return the tensors of a file, bfloat16 as float32, and xpnet's description if it has one.

    Raise WeightsError if the file is damaged, and TypeError for a dtype that NumPy lacks.
    """
    from safetensors import SafetensorError, deserialize

    content = path.read_bytes()
    try:
        tensors = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        msg = f"not valid safetensors: {str(error)[:200]}"
        raise WeightsError(msg, file=path) from error
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    arrays = {name: _array(name, **tensor) for name, tensor in tensors}
    description = (header.get("__metadata__") or {}).get(_KEY)
    if description is not None and _SEAL in description:  # the first files of xpnet have none
        text, _, seal = description.rpartition(_SEAL)
        description = text + "}"
        if seal != f"{_checksum(description, arrays)}}}":
            msg = "the header was changed after the network was saved: save or copy it again"
            raise WeightsError(msg, file=path)
    return arrays, description


def _array(name: str, *, dtype: str, shape: list[int], data: bytes) -> NDArray[Any]:
    if dtype not in _DTYPES:
        msg = f"{quoted(name)} must be F16, BF16, F32 or F64; got {dtype}"
        raise TypeError(msg)
    kind = _DTYPES[dtype]
    array = np.frombuffer(data, f"<{kind}").astype(kind, copy=False).reshape(shape)
    # bfloat16 is the upper half of float32.
    return (array.astype("u4") << 16).view("f4") if dtype == "BF16" else array


def _checksum(description: str, arrays: Mapping[str, NDArray[Any]]) -> int:
    """Return the checksum of the header. The values have no checksum, which would take time."""
    facts = sorted((name, x.dtype.name, x.shape) for name, x in arrays.items())
    return zlib.crc32(f"{description}{facts}".encode())
