"""Opening of files for reading, with decompression of gzip."""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from xpnet.files.errors import DataError

__all__ = ["Source", "open_source"]

_BUFFER_BYTES = 1 << 16


class Source(io.BufferedReader):
    """An open binary file, unpacked if it is gzip; ``peek(12)`` returns its first 12 bytes."""

    path: Path | None  # None for standard input
    size: int | None  # number of bytes; None for pipes and compressed files


@contextmanager
def open_source(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a file, or ``"-"`` for standard input; gzip is recognised by its content.

    Raise OSError if the file cannot be opened; a later read raises DataError if gzip is damaged.
    """
    is_input, name = path == "-", os.fspath(path)
    if is_input and sys.stdin is None:
        msg = "standard input is closed"
        raise OSError(msg)
    with nullcontext(sys.stdin.buffer) if is_input else Path(path).open("rb", buffering=0) as file:
        source = Source(_Raw(file, "<stdin>" if is_input else name), _BUFFER_BYTES)
        is_packed = source.peek(2)[:2] == b"\x1f\x8b"
        if is_packed:
            unpacked = gzip.GzipFile(fileobj=source, mode="rb")
            source = Source(_Raw(unpacked, source.name), _BUFFER_BYTES)
        source.path = None if is_input else Path(path)
        is_plain = source.path is not None and source.path.is_file() and not is_packed
        source.size = Path(path).stat().st_size if is_plain else None
        yield source


class _Raw(io.RawIOBase):
    """A binary stream that fills whole buffers, from pipes, too, and explains damaged gzip."""

    def __init__(self, stream: Any, name: str) -> None:
        self.name, self._stream = name, stream

    def readable(self) -> bool:
        return True

    def readall(self) -> bytes:
        with self._explained():
            return bytes(self._stream.read())

    def readinto(self, buffer: Any, /) -> int:
        view, filled = memoryview(buffer), 0
        with self._explained():
            while filled < len(view) and (count := self._stream.readinto(view[filled:])):
                filled += count
        return filled

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            what = "damaged gzip"
            raise DataError(what, file=self.name, found=error) from error
