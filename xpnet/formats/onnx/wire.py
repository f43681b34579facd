"""How many parts a file of ONNX has, counted before it is parsed.

Each part of a model costs the parser hundreds of bytes, however few it takes in the file. So they
are counted along protobuf's wire format, which tells where each one ends without looking into it.
"""

from collections.abc import Mapping

__all__ = ["count_parts"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MOST_SHIFT = 63
# By the kind of a message, the fields that are messages with parts of their own.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 15: "sparse"},
    "function": {7: "node", 11: "attribute", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "value": {2: "type"},
    "type": {1: "tensor type", 4: "sequence", 5: "sequence", 9: "sequence"},
    "sequence": {1: "type", 2: "type"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {},
}


def count_parts(content: bytes, most: int) -> int:
    """Return how many fields a model and all parts of it have; above `most`, some number above it.

    Raises
    ------
    ValueError
        If the bytes are no message of protobuf.
    """
    count = 0
    waiting = [("model", 0, len(content))]
    while waiting and count <= most:
        kind, place, end = waiting.pop()
        while place < end and count <= most:
            count += 1
            key, place = _number(content, place, end)
            wire_type = key & 7
            if wire_type == _LENGTH:
                length, place = _number(content, place, end)
                inner = _INSIDE[kind].get(key >> 3)
                if inner is not None:
                    waiting.append((inner, place, min(place + length, end)))
                place += length
            elif wire_type == _VARINT:
                _, place = _number(content, place, end)
            elif wire_type in {_FIXED64, _FIXED32}:
                place += 8 if wire_type == _FIXED64 else 4
            else:
                msg = f"wire type {wire_type}"
                raise ValueError(msg)
        if place > end and count <= most:
            msg = "a field that goes on behind its message"
            raise ValueError(msg)
    return count


def _number(content: bytes, place: int, end: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place behind it."""
    number = shift = 0
    while place < end and shift <= _MOST_SHIFT:
        byte = content[place]
        number |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return number, place
        shift += 7
    msg = "a number without an end"
    raise ValueError(msg)
