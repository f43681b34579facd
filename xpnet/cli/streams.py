"""Standard output and standard error of a command."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = [
    "fill_descriptors",
    "flush_streams",
    "on_terminal",
    "progress_bar",
    "show_progress",
    "standard_output",
    "tell",
    "write_error_text",
]

_LINE_LIMIT = 400


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Give standard output; an error of writing to it says so.

    Raises
    ------
    OSError
        If it is closed, or cannot be written.
    """
    if sys.stdout is None:
        msg = "standard output is closed"
        raise OSError(msg)
    try:
        yield sys.stdout
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def tell(message: str) -> None:
    """Write a remark to standard error, as one line of at most 400 characters."""
    from xpnet.files.errors import as_line

    write_error_text(f"{as_line(f'xpnet: {message}', _LINE_LIMIT)}\n")


def write_error_text(text: str) -> None:
    """Write text to standard error, or drop it: no exit code depends on whether it is read."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def on_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def show_progress(**options: Any) -> Iterator[Callable[[int], Any] | None]:
    """Give a function that moves a progress bar on; None if standard error is no terminal."""
    if not on_terminal():
        yield None
        return
    with progress_bar(**options) as bar:
        yield bar.update


def progress_bar(**options: Any) -> Any:
    """Return a progress bar of tqdm on standard error."""
    from tqdm import tqdm

    return tqdm(**options, file=_ErrorStream(), dynamic_ncols=True, leave=False)


class _ErrorStream(io.TextIOBase):
    """Standard error as a stream whose writes never fail."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.stderr, "encoding", None) or "ascii"

    def write(self, text: str, /) -> int:
        write_error_text(text)
        return len(text)

    def fileno(self) -> int:
        return sys.stderr.fileno()


def fill_descriptors() -> None:
    """Open the null device in place of closed standard streams.

    Otherwise the next file that is opened would be taken for one of them. Opened the wrong way
    round, so that using them still fails.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor else os.O_WRONLY)


def flush_streams(*, discards_output: bool = False) -> None:
    """Write what both streams hold, or drop it: Python would try again at exit, and complain."""
    if discards_output:
        _redirect_to_null(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _redirect_to_null(stream)


def _redirect_to_null(stream: TextIO | None) -> None:
    if stream is not None:
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
