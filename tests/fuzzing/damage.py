"""Random damage to files: raw bytes, and the numbers, names and text of each format's structure."""

import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

__all__ = ["damaged"]

_NUMBERS = (0, 1, -1, 2, 9, 127, 128, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63)
_DTYPES = ("|u1", "|i1", "<u2", "<i8", "<f2", "<f4", ">f4", "<f8", "|b1", "<c8", "<U4", "|O", "|V4")
_JSON = (*_NUMBERS, 10**30, 0.5, 1e308, float("nan"), "", "F16", "relu", None, True, [], {}, [[]])
_RECORDS = (b"PK\1\2", b"PK\3\4", b"PK\5\6")

# Exceptions while a structure that is already damaged is parsed.
_LOST = (
    ArithmeticError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

Way = Callable[[bytearray, Random, Sequence[bytes]], bytes | bytearray]


def damaged(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Return a file with one to three kinds of damage; `others` are spliced into it."""
    result = content
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        result = _once(result, rng, others)
    return result


def _once(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    own = next((way for fits, way in _STRUCTURES if fits(content)), None)
    if own is not None and rng.random() < 0.5:
        try:
            return bytes(own(bytearray(content), rng, others))
        except _LOST:
            pass
    return bytes(rng.choice(_RAW)(bytearray(content or b"\0"), rng, others))


def _flip(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _set(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    content[rng.randrange(len(content))] = rng.randrange(256)
    return content


def _number(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    return _with_number(content, rng.randrange(len(content)), rng)


def _with_number(content: bytearray, place: int, rng: Random) -> bytearray:
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(_NUMBERS) % 256**size
    content[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
    return content


def _cut(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    return content[: rng.randrange(len(content))]


def _insert(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    place, size = rng.randrange(len(content) + 1), rng.choice((1, 2, 8, 64))
    content[place:place] = rng.choice((rng.randbytes(size), bytes(size), b"\n" * size))
    return content


def _chunk(content: bytearray, rng: Random) -> slice:
    start = rng.randrange(len(content))
    return slice(start, start + rng.choice((1, 2, 4, 16, 64, len(content))))


def _remove(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    del content[_chunk(content, rng)]
    return content


def _repeat(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    part = _chunk(content, rng)
    content[part.start : part.start] = content[part] * rng.choice((1, 1, 30))
    return content


def _move(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    part = _chunk(content, rng)
    moved = content[part]
    del content[part]
    place = rng.randrange(len(content) + 1)
    content[place:place] = moved
    return content


def _splice(content: bytearray, rng: Random, others: Sequence[bytes]) -> bytearray:
    other = rng.choice(others)
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


_RAW: tuple[Way, ...] = (_flip, _set, _number, _cut, _insert, _remove, _repeat, _move, _splice)


def _in_zip(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytes | bytearray:
    """Damage a number of the directory, or a member, with a correct checksum afterwards."""
    if rng.random() < 0.5:
        places = [x.start() for record in _RECORDS for x in re.finditer(record, content)]
        return _with_number(content, rng.choice(places) + rng.randrange(4, 46), rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [[info.filename, archive.read(info)] for info in archive.infolist()]
    one, other = rng.choice(members), rng.choice(members)
    match rng.randrange(6):
        case 0:
            members.remove(one)
        case 1:
            members.append([rng.choice((one[0], "x.npy", "../x.npy", "W3.npy")), one[1]])
        case 2:
            one[0] = _once(one[0].encode(), rng, [b"labels.npy"]).decode("latin-1") or "x"
        case 3:
            one[1], other[1] = other[1], one[1]
        case _:
            one[1] = _once(one[1], rng, [other[1]])
    result = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with warnings.catch_warnings(), zipfile.ZipFile(result, "w", method) as archive:
        warnings.simplefilter("ignore")  # of a name that occurs twice
        for name, member in members:
            archive.writestr(zipfile.ZipInfo(name), member, method)
    return result.getvalue()


def _in_npy(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytearray:
    size = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + size].decode("latin-1")
    tokens = list(re.finditer(r"-?\d+(?=[,)])|True|False|'[<>|]\w+'|\(.*?\)", header))
    token = rng.choice(tokens)
    new = str(rng.choice((*_NUMBERS, 16, 6, 10**30)))
    if token[0] in ("True", "False"):
        new = {"True": "False", "False": "True"}[token[0]]
    elif token[0].startswith("'"):
        new = repr(rng.choice(_DTYPES))
    elif token[0].startswith("("):
        new = rng.choice(("()", "(96,)", "(6,16)", "(16,6)", "(6,4,4)", "(3,2,16)", "(0,16)"))
    header = (header[: token.start()] + new + header[token.end() :]).rstrip()
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return content[:8] + struct.pack("<H", len(header)) + header.encode() + content[10 + size :]


def _in_json_header(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytes:
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(_in_json(json.loads(content[8 : 8 + size]), rng)).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _in_json_text(content: bytearray, rng: Random, _: Sequence[bytes]) -> bytes:
    return json.dumps(_in_json(json.loads(content), rng)).encode()


def _in_json(value: Any, rng: Random) -> Any:
    """Return JSON in which one value is replaced, removed or renamed."""
    if isinstance(value, str) and value.startswith("{") and rng.random() < 0.9:
        return json.dumps(_in_json(json.loads(value), rng))
    if not isinstance(value, dict | list) or not value or rng.random() < 0.05:
        return rng.choice(_JSON)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [*value[:place], _in_json(value[place], rng), *value[place + 1 :]]
    name, way = rng.choice(list(value)), rng.random()
    if way < 0.8:
        return {**value, name: _in_json(value[name], rng)}
    rest = {key: x for key, x in value.items() if key != name}
    return rest if way < 0.9 else {**rest, rng.choice((f"{name}1", "x", *value)): value[name]}


_STRUCTURES: tuple[tuple[Callable[[bytes], bool], Way], ...] = (
    (lambda content: content.startswith(b"PK"), _in_zip),
    (lambda content: content.startswith(b"\x93NUMPY"), _in_npy),
    (lambda content: content[8:9] == b"{", _in_json_header),
    (lambda content: content.startswith(b"{"), _in_json_text),
)
