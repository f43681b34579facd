"""Standard output, standard error and the progress bar."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from xpnet.files.errors import DataWarning, printable

_LINE_LIMIT = 400


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Yield standard output; raise an OSError with its name if it is closed or not writable."""
    if sys.stdout is None:
        msg = "standard output is closed"
        raise OSError(msg)
    try:
        yield sys.stdout
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def flush_output() -> None:
    """Flush standard output if it is open; raise OSError if it cannot be written."""
    if sys.stdout is not None:
        with standard_output() as output:
            output.flush()


def print_note(message: str) -> None:
    """Print a warning or an error to standard error, as one line of at most 400 characters."""
    line = printable(f"xpnet: {message}")
    if len(line) > _LINE_LIMIT:
        line = f"{line[: _LINE_LIMIT // 2]}...{line[3 - _LINE_LIMIT // 2 :]}"
    write_error_text(f"{line}\n")


@contextmanager
def data_warnings_as_notes() -> Iterator[None]:
    """Print each warning about data or their preprocessing as a note, whatever the filters."""
    from xpnet.networks.input_range import ScalingWarning

    kinds = DataWarning, ScalingWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, kinds):
            print_note(str(message))
        else:
            show_others(message, category, *place, **more)

    with warnings.catch_warnings():
        show_others = warnings.showwarning
        warnings.showwarning = show
        for kind in kinds:
            warnings.simplefilter("always", kind)
        yield


def write_error_text(text: str) -> None:
    """Write to standard error; ignore failures, which must not change an exit code."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


@contextmanager
def progress_bar(*, unit: str = " images", **options: Any) -> Iterator[Any | None]:
    """Yield a tqdm progress bar on standard error; None if that is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    stream = _ErrorStream()
    with tqdm(unit=unit, file=stream, dynamic_ncols=True, leave=False, **options) as bar:
        yield bar


class _ErrorStream:
    """Standard error as a stream whose writes never fail."""

    @property
    def encoding(self) -> str:
        return getattr(sys.stderr, "encoding", None) or "ascii"

    def write(self, text: str, /) -> int:
        write_error_text(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write flushes."""

    def fileno(self) -> int:
        return sys.stderr.fileno()


def flush_streams() -> None:
    """Flush both streams; discard what cannot be written, so that Python does not fail at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
