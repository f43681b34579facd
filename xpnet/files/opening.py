"""Opening of files for reading, with decompression of gzip."""

import gzip
import io
import os
import stat
import sys
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from xpnet.files.errors import DataError

__all__ = ["Source", "open_folder_source", "open_source"]

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 16


class Source(io.BufferedReader):
    """An open binary file, decompressed if it is gzip; `peek` returns its first bytes."""

    path: Path | None  # None for standard input
    size: int | None  # number of bytes; None for pipes and compressed files
    # Closed together with the file; readers register their own resources in it.
    closing: ExitStack
    # The file before decompression, with its `size`, and the number of bytes read, `n_read`.
    incoming: "_RawSource"


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a binary file for reading; gzip is recognised by its content, never by its name.

    The path ``"-"`` is standard input, which is not closed afterwards. Before the first read,
    ``peek(n)`` of the result returns the first `n` bytes (n up to 65,536; fewer at the end of the
    file), also from a pipe. The result cannot seek.

    Raise OSError if the file cannot be opened: missing, a directory, or no permission. A later
    read raises DataError if gzip data is truncated, corrupt, or followed by other data.
    """
    file = os.fspath(path)
    if file == "-" and sys.stdin is None:
        msg = "standard input is closed"
        raise OSError(msg)
    with ExitStack() as stack:
        stream = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        name = "<stdin>" if file == "-" else file
        incoming = _RawSource(stream, name)
        source = Source(incoming, _BUFFER_BYTES)
        compressed = source.peek(len(_GZIP_MAGIC))[:2] == _GZIP_MAGIC
        if compressed:
            unpacked = cast("BinaryIO", gzip.GzipFile(fileobj=source, mode="rb"))
            source = Source(_RawSource(unpacked, name), _BUFFER_BYTES)
        source.closing = cast("_RawSource", source.raw).closing
        source.closing.push(stack.pop_all())
    source.path = None if file == "-" else Path(file)
    source.incoming = incoming
    status = os.fstat(stream.fileno()) if source.path is not None else None
    incoming.size = status.st_size if status and stat.S_ISREG(status.st_mode) else None
    source.size = None if compressed else incoming.size
    return source


def open_folder_source(path: str | os.PathLike[str]) -> Source:
    """Return a source without bytes for a folder, whose files are opened by its reader."""
    raw = _RawSource(io.BytesIO(), os.fspath(path))
    source = Source(raw)
    source.path, source.size = Path(path), None
    source.incoming, source.closing = raw, raw.closing
    return source


class _RawSource(io.RawIOBase):
    """A raw stream that fills each buffer, and converts gzip errors to a DataError.

    Pipes deliver short reads; a buffered reader needs full ones for ``peek``.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.closing = ExitStack()
        self.size: int | None = None
        self.n_read = 0
        self._stream = stream
        self._fault: DataError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._fault is not None:
            raise self._fault
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            try:
                count = self._stream.readinto(view[filled:])  # type: ignore[attr-defined]
            except (EOFError, gzip.BadGzipFile, zlib.error) as fault:
                # Complete rows before the error are returned first.
                self._fault = self._explain(fault)
                if not filled:
                    raise self._fault from None
                break
            if not count:
                break
            filled += count
        self.n_read += filled
        return filled

    def close(self) -> None:
        if not self.closed:
            self.closing.close()
        super().close()

    def _explain(self, fault: Exception) -> DataError:
        if isinstance(fault, EOFError):
            hint = "copy or download the file again"
            return DataError("truncated gzip", file=self.name, hint=hint)
        what, found = "corrupt gzip", str(fault)
        if found.startswith("Not a gzipped file"):
            what = "gzip data followed by other data"
            found = found.removeprefix("Not a gzipped file ").strip("()")
        return DataError(what, file=self.name, found=found)
