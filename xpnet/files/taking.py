"""Reading of a number of bytes that a header declares."""

from typing import Protocol

__all__ = ["Readable", "take"]

_CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """An object with a ``read`` method for bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""


def take(stream: Readable, count: int) -> bytearray:
    """Read `count` bytes, or fewer at the end of the stream.

    Memory grows with the bytes read, not with `count`: a header that declares more bytes than
    its file has allocates nothing.
    """
    content = bytearray()
    while len(content) < count:
        chunk = stream.read(min(count - len(content), _CHUNK_BYTES))
        if not chunk:
            break
        content += chunk
    return content
