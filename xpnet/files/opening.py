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


class Source(io.BufferedReader):
    """An open binary file, unpacked if it is gzip; ``peek(12)`` returns its first 12 bytes."""

    path: Path | None  # None for standard input
    size: int | None  # number of bytes; None for pipes and compressed files


@contextmanager
def open_source(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a file, or ``"-"`` for standard input; gzip is recognised by its content.

    Raise OSError if the file cannot be opened; a later read raises DataError if gzip is damaged.
    """
    own = None if path == "-" else Path(path)
    if own is None and sys.stdin is None:
        msg = "standard input is closed"
        raise OSError(msg)
    with own.open("rb", buffering=0) if own else nullcontext(sys.stdin.buffer) as file:
        name = os.fspath(path) if own else "<stdin>"
        source = Source(_Raw(file, name), 1 << 16)
        is_packed = source.peek(2)[:2] == b"\x1f\x8b"
        if is_packed:
            source = Source(_Raw(gzip.GzipFile(fileobj=source), name), 1 << 16)
        source.path = own
        source.size = own.stat().st_size if own and own.is_file() and not is_packed else None
        yield source


class _Raw(io.RawIOBase):
    """A binary stream that fills whole buffers, from pipes, too, and explains damaged gzip."""

    def __init__(self, stream: Any, name: str) -> None:
        self.name, self._stream = name, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view, filled = memoryview(buffer), 0
        try:
            while filled < len(view) and (count := self._stream.readinto(view[filled:])):
                filled += count
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            what = f"damaged gzip: {error}"
            raise DataError(what, file=self.name) from error
        return filled
