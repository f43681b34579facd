"""Standard output, standard error and the progress bar."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shutil import get_terminal_size
from types import SimpleNamespace
from typing import Any

from xpnet.files.errors import printable

_LINE_LIMIT = 400


def print_line(text: str) -> None:
    """Print a line, its control characters escaped."""
    print(printable(text))


def check_standard_output() -> None:
    """Raise OSError if standard output is closed."""
    if sys.stdout is None:
        msg = "standard output is closed"
        raise OSError(msg)


@contextmanager
def standard_output() -> Iterator[Any]:
    """Yield standard output, flush it, and name it in an error, such as that of a full disk."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def print_note(message: str) -> None:
    """Print a warning or an error to standard error, as one line of at most 400 characters."""
    line = printable(f"xpnet: {message}")
    if len(line) > _LINE_LIMIT:
        line = f"{line[: _LINE_LIMIT // 2]}...{line[3 - _LINE_LIMIT // 2 :]}"
    print_error_text(line)


def print_error_text(text: str) -> None:
    """Print to standard error; a failure must not change the exit code."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print the warnings of xpnet as notes: of a wrong range, which comes with each block, once."""
    from xpnet.networks.input_range import ScalingWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, UserWarning):
            return show_others(message, category, *place, **more)
        if category is ScalingWarning:
            warnings.simplefilter("ignore", ScalingWarning)
        return print_note(str(message))

    with warnings.catch_warnings():
        show_others, warnings.showwarning = warnings.showwarning, show
        warnings.simplefilter("always", UserWarning)
        yield


@contextmanager
def progress_bar(task: str, total: int | None = None, *, unit: str = " images") -> Iterator[Any]:
    """Yield a progress bar on standard error, which appears after a second on a terminal."""
    if not sys.stderr.isatty():  # tqdm takes 15 ms to import
        yield SimpleNamespace(update=lambda _: None)
        return
    from tqdm import tqdm

    options: Any = {"delay": 1.0, "dynamic_ncols": True, "leave": False}
    with tqdm(desc=task, total=total, unit=unit, **options) as bar:
        yield bar


def terminal() -> dict[str, Any]:
    """Return the arguments of `text_images`: the width, and whether the encoding lacks blocks."""
    from xpnet.pictures.images import BLOCKS

    encoding = sys.stdout.encoding or "ascii"
    printed = BLOCKS.encode(encoding, "replace").decode(encoding)
    return {"width": get_terminal_size().columns, "ascii_only": printed != BLOCKS}


def open_streams() -> None:
    """Make both streams usable: names of any characters can be printed; stderr may be closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 -- for the whole process
    if sys.stdout is not None:
        stdout: Any = sys.stdout
        stdout.reconfigure(errors="backslashreplace")


def flush_streams() -> None:
    """Flush both streams; discard what cannot be written, so that Python does not fail at exit."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
