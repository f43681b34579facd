"""Independent readers of files, short and strict, as a reference for those of xpnet.

A reader raises any exception for a file that must be rejected. It shares no code with xpnet.
"""

import codecs
import io
import json
import pickle
import pickletools
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["named_arrays", "onnx_outputs"]

Array = NDArray[Any]


def require(fact: Any, what: str = "") -> None:
    """Raise ValueError if a fact is false."""
    if not fact:
        raise ValueError(what)


def _npy(content: bytes) -> Array:
    stream = io.BytesIO(content)
    array = np.load(stream, allow_pickle=False)
    require(not stream.read(1), "bytes behind the array")
    return array


def _zip_members(content: bytes) -> dict[str, Callable[[], bytes]]:
    """Return readers of the members of a zip of npy files, which begins and ends with the file.

    Flags, sizes and checksums are those of the directory, without those beside the members. Packed
    sizes are not needed: a stream ends by itself, and the checksum tells whether it is whole.
    """
    end = content.rindex(b"PK\5\6")
    count, size, directory, n_comment = struct.unpack("<10xH2LH", content[end : end + 22])
    comment = content[end + 22 :]
    require(n_comment == len(comment), "last record")
    require(comment in (b"", b"xpnet members: %d" % count), "number of members")
    require(directory + size == end, "place of the directory")
    members: dict[str, Callable[[], bytes]] = {}
    places, start = [], directory
    for _ in range(count):
        record, _, _, *facts = struct.unpack("<4s6H3L5H2L", content[start : start + 46])
        flags, method, _, _, crc, _, unpacked, n_name, n_extra, n_comment = facts[:10]
        name = content[start + 46 : min(start + 46 + n_name, end)]
        start += 46 + n_name + n_extra + n_comment
        require(record == b"PK\1\2" and not flags & 1, "directory")
        place = facts[-1]
        places.append(place)
        record, *lengths = struct.unpack("<4s22x2H", content[place : place + 30])
        require(record == b"PK\3\4", "local header")
        require(content[place + 30 : place + 30 + lengths[0]] == name, "name")
        member = content[place + 30 + sum(lengths) : directory]
        require(method in (0, 8), "compression")
        key = name.decode().removesuffix(".npy")
        require(key not in members and name.endswith(b".npy"), "name of a member")
        members[key] = partial(_unpacked_member, member, method, unpacked, crc)
    require(min(places, default=0) == 0, "bytes before the members")
    return members


def _unpacked_member(member: bytes, method: int, size: int, crc: int) -> bytes:
    content = zlib.decompressobj(-15).decompress(member) if method else member[:size]
    require(len(content) == size and zlib.crc32(content) == crc, "checksum")
    return content


def named_arrays(content: bytes) -> tuple[dict[str, Array], Any]:
    """Return the arrays of a network by the names in xpnet's safetensors, and its description."""
    if content.startswith(b"PK"):
        arrays = {name: _npy(x()) for name, x in _zip_members(content).items()}
        text = arrays.pop("xpnet", None)
        meaning = None if text is None else text.tobytes()
    elif content[8:9] == b"{":
        from safetensors.numpy import load

        arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        meaning = (header.get("__metadata__") or {}).get("xpnet")
    else:
        arrays, meaning = _pickled(content), None
    require(all(np.isfinite(x).all() for x in arrays.values()), "not finite")
    meaning = None if meaning is None else json.loads(meaning)
    if meaning is not None:
        meaning.pop("crc32", None)  # of the header of this form alone
    return _own_names(arrays), meaning


class _Unpickler(pickle.Unpickler):
    """An unpickler whose names refer to arrays, and never to functions of NumPy."""

    def find_class(self, module: str, name: str) -> Any:
        return {
            ("numpy", "_reconstruct"): lambda *_: _Array(),
            ("numpy", "_frombuffer"): lambda *state: _Array().filled(*state),
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): codecs.encode,
        }[module.partition(".")[0], name]


class _Dtype:
    order = "="

    def __init__(self, name: str, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


class _Array:
    values: Array

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        self.filled(content, dtype, shape, "F" if is_fortran else "C")

    def filled(self, content: Any, dtype: _Dtype, shape: Any, order: Any) -> "_Array":
        content = content.encode("latin-1") if isinstance(content, str) else content
        array = np.frombuffer(content, np.dtype(dtype.name).newbyteorder(dtype.order))
        self.values = array.reshape(shape, order=order)
        return self


def _pickled(content: bytes) -> dict[str, Array]:
    """Return the arrays of a pickle; its frames are ignored."""
    parts = list(pickletools.genops(content))
    ends = [*(place for _, _, place in parts[1:]), len(content)]
    kept = [content[place:end] for (op, _, place), end in zip(parts, ends, strict=True)
            if op.name != "FRAME"]  # fmt: skip
    found = _Unpickler(io.BytesIO(b"".join(kept))).load()
    return {str(name): array.values for name, array in found.items()}


def _own_names(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return arrays named W1 or, as in torch, ``0.weight`` by the names ``layers.0.weight`` ..."""
    torch = sorted({int(x.split(".")[0]) for x in arrays if re.fullmatch(r"\d+\.(weight|bias)", x)})
    renamed = {}
    for name, x in arrays.items():
        if match := re.fullmatch(r"([Wb])([1-9]\d*)", name):
            kind = {"W": "weight", "b": "bias"}[match[1]]
            renamed[f"layers.{int(match[2]) - 1}.{kind}"] = x
        elif match := re.fullmatch(r"(\d+)\.(weight|bias)", name):
            place = torch.index(int(match[1]))
            renamed[f"layers.{place}.{match[2]}"] = x.T if match[2] == "weight" else x
        else:
            renamed[name] = x
    require(len(renamed) == len(arrays), "two names of one array")
    return renamed


def onnx_outputs(content: bytes, row: Array) -> Array:
    """Return the outputs of ONNX's reference implementation for one row."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_from_string(content)
    # Files from elsewhere name constants after their use, which neither takes.
    nodes = sorted(model.graph.node, key=lambda node: node.op_type != "Constant")
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    constants = {x.name for x in model.graph.initializer}
    (given,) = (x for x in model.graph.input if x.name not in constants)
    kind = given.type.tensor_type
    shape = [n.dim_value or 1 for n in kind.shape.dim]
    require(np.prod(shape) % row.size == 0, "number of inputs")
    rows = np.resize(row, shape)  # as often as a fixed batch wants it
    x = rows.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    outputs: list[Array] = ReferenceEvaluator(model).run(None, {given.name: x})
    return outputs[0].reshape(np.prod(shape) // row.size, -1)[0]
