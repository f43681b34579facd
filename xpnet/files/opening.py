"""Open a file for reading: gzip is known by its first bytes, and its faults become one error."""

import gzip
import io
import os
import stat
import sys
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from xpnet.files.errors import DataError, FileError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Source", "open_source", "take"]

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """Anything that hands out bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class Source(io.BufferedReader):
    """An open file of bytes, decompressed where it was gzip. `peek` shows its first bytes.

    Attributes
    ----------
    path : pathlib.Path or None
        The file; None for standard input.
    size : int or None
        Bytes of content, where that is known beforehand: a regular file without compression.
    file : binary stream or None
        The open file itself, which can seek, where `size` is known. To seek in it makes the
        source useless.
    closing : contextlib.ExitStack
        What is closed together with the file; readers add what they open on top of it.
    incoming : io.RawIOBase
        The file before decompression: its `size`, None for a pipe, and `n_read`, the number of
        bytes read so far.
    """

    path: Path | None
    size: int | None
    file: BinaryIO | None
    closing: ExitStack
    incoming: "_Filled"


def open_source(path: str | os.PathLike[str], *, error: type[FileError] = DataError) -> Source:
    """Open a file for reading bytes; gzip is recognised by its content, never by its name.

    Parameters
    ----------
    path : str or os.PathLike
        The file; ``"-"`` is standard input, which stays open afterwards.
    error : type, default DataError
        The class of the errors about the content.

    Returns
    -------
    Source
        A buffered stream that cannot seek. ``peek(n)`` gives the first `n` bytes (as far as
        there are any, n up to 65,536) as long as nothing has been read, from a pipe too.

    Raises
    ------
    OSError
        If the file cannot be opened: it is missing, a directory, or not permitted.
    FileError
        Of class `error`, at any later read, if gzip data is cut off, corrupt, or followed by
        something else.
    """
    file = os.fspath(path)
    with ExitStack() as stack:
        stream = _standard_input() if file == "-" else stack.enter_context(Path(file).open("rb"))
        name = "<stdin>" if file == "-" else file
        incoming = _Filled(stream, name, error)
        source = Source(incoming, _BUFFER_BYTES)
        compressed = source.peek(len(_GZIP_MAGIC))[:2] == _GZIP_MAGIC
        if compressed:
            unpacked = cast("BinaryIO", gzip.GzipFile(fileobj=source, mode="rb"))
            source = Source(_Filled(unpacked, name, error), _BUFFER_BYTES)
        source.closing = cast("_Filled", source.raw).closing
        source.closing.push(stack.pop_all())
    source.path = None if file == "-" else Path(file)
    source.incoming = incoming
    incoming.size = None if source.path is None else _regular_size(stream)
    source.size = None if compressed else incoming.size
    source.file = None if source.size is None else stream
    return source


def take(stream: Readable, count: int) -> bytearray:
    """Read exactly `count` bytes, or what there is.

    Memory grows with what arrives, not with what was asked for: a header that promises more
    than its file holds costs nothing.

    Parameters
    ----------
    stream : Readable
        An object with a ``read`` method.
    count : int
        Number of bytes.

    Returns
    -------
    bytearray
        The bytes; fewer than `count` only at the end of the stream.
    """
    content = bytearray()
    while len(content) < count:
        chunk = stream.read(min(count - len(content), _CHUNK_BYTES))
        if not chunk:
            break
        content += chunk
    return content


class _Filled(io.RawIOBase):
    """A raw stream whose reads are full up to the end, and whose gzip faults are named.

    Pipes deliver pieces; with full reads a buffer on top always has the first bytes to show.
    """

    def __init__(self, stream: BinaryIO, name: str, error: type[FileError]) -> None:
        self.name = name
        self.closing = ExitStack()
        self.size: int | None = None
        self.n_read = 0
        self._stream = stream
        self._error = error
        self._fault: FileError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if self._fault is not None:
            raise self._fault
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            try:
                count = self._stream.readinto(view[filled:])  # type: ignore[attr-defined]
            except (EOFError, gzip.BadGzipFile, zlib.error) as fault:
                # Whole rows may lie before the fault: they are handed out first.
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

    def _explain(self, fault: Exception) -> FileError:
        if isinstance(fault, EOFError):
            return self._error(
                "truncated gzip", file=self.name, hint="copy or download the file again"
            )
        if str(fault).startswith("Not a gzipped file"):
            return self._error(
                "something else follows the gzip data", file=self.name, found=_hex_of(fault)
            )
        return self._error("corrupt gzip", file=self.name, found=str(fault))


def _hex_of(fault: Exception) -> str:
    return str(fault).removeprefix("Not a gzipped file ").strip("()")


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        msg = "standard input is closed"
        raise OSError(msg)
    return sys.stdin.buffer


def _regular_size(stream: BinaryIO) -> int | None:
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
