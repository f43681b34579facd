"""Arguments that mean the same in every command, and what they open."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from xpnet.cli.streams import on_terminal, progress_bar

__all__ = [
    "DATA_HELP",
    "UsageError",
    "add_column_arguments",
    "add_common_arguments",
    "add_data_arguments",
    "add_limit_argument",
    "add_reading_arguments",
    "as_data_error",
    "file_name",
    "not_negative",
    "not_negative_number",
    "positive",
    "positive_number",
    "read_options",
    "share",
    "with_progress",
]

Subparsers = Any  # argparse keeps the type of its subparsers to itself
DATA_HELP = (
    "CSV, IDX, npz or npy file, gzipped or not; - for stdin; or the word sample, the embedded"
    " digits"
)
_MOST_DIGITS = 18


class UsageError(ValueError):
    """The arguments do not fit together: exit code 2."""


def file_name(text: str) -> str:
    """Return the name of a file, which cannot be empty; an argparse type."""
    if not text:
        msg = "must be the name of a file; got ''"
        raise argparse.ArgumentTypeError(msg)
    return text


def positive(text: str) -> int:
    """Return a whole number of at least 1; an argparse type."""
    return _whole(text, 1)


def not_negative(text: str) -> int:
    """Return a whole number of at least 0; an argparse type."""
    return _whole(text, 0)


def _whole(text: str, smallest: int) -> int:
    # No number is that long; Python itself refuses to read one of 4,300 digits.
    is_whole = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not is_whole or int(text) < smallest:
        digits = f" and at most {_MOST_DIGITS} digits" if len(text) > _MOST_DIGITS else ""
        msg = f"must be a whole number of at least {smallest}{digits}; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def positive_number(text: str) -> float:
    """Return a number above 0; an argparse type."""
    return _number(text, lambda x: 0 < x < float("inf"), "a positive number")


def not_negative_number(text: str) -> float:
    """Return a number of at least 0; an argparse type."""
    return _number(text, lambda x: 0 <= x < float("inf"), "a number of 0 or more")


def share(text: str) -> float:
    """Return a number from 0 to below 1; an argparse type."""
    return _number(text, lambda x: 0 <= x < 1, "a number from 0 to below 1")


def _number(text: str, fits: Callable[[float], bool], rule: str) -> float:
    with suppress(ValueError):
        if fits(float(text)):
            return float(text)
    msg = f"must be {rule}; got {text!r}"
    raise argparse.ArgumentTypeError(msg)


def add_common_arguments(parser: argparse.ArgumentParser, *, json: bool = True) -> None:
    """Add --debug and, where a command has results to print, --json."""
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_data_arguments(parser: argparse.ArgumentParser, *, rows: int | None = None) -> None:
    """Add DATA and how to read it."""
    parser.add_argument(
        "data",
        nargs="?",
        type=file_name,
        default="sample",
        metavar="DATA",
        help=f"{DATA_HELP} (default)",
    )
    add_reading_arguments(parser, rows=rows)


def add_reading_arguments(parser: argparse.ArgumentParser, *, rows: int | None = None) -> None:
    """Add how DATA is read."""
    parser.add_argument(
        "--rows",
        type=not_negative,
        default=rows,
        metavar="N",
        help="only the first N images (default: all)"
        if rows is None
        else f"only the first N images (default: {rows})",
    )
    parser.add_argument(
        "--labels",
        type=file_name,
        metavar="FILE",
        help="labels (default: in DATA, or beside it by its usual name)",
    )
    add_column_arguments(parser)
    parser.add_argument(
        "--float", action="store_true", dest="floating", help="numbers in CSV may have fractions"
    )
    add_limit_argument(parser)


def add_column_arguments(parser: argparse.ArgumentParser) -> None:
    """Add arguments for the columns of a CSV file."""
    parser.add_argument(
        "--label",
        choices=("auto", "first", "last", "none"),
        default="auto",
        help="the label's column in a CSV file without a header (default: auto)",
    )
    parser.add_argument(
        "--header",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether the first line of each CSV file is a header (default: auto, by its content)",
    )
    parser.add_argument("--delimiter", default=",", metavar="C", help="of a CSV file (default: ,)")


def add_limit_argument(parser: argparse.ArgumentParser) -> None:
    """Add how much of DATA may be held at once."""
    parser.add_argument(
        "--max-data-bytes",
        type=positive,
        metavar="N",
        help="how many bytes of images may be held at once (default: 100 times a compressed file);"
        " rows that are streamed have no limit",
    )


def read_options(args: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """Return the options of `xpnet.datasets.read`: those of `add_data_arguments`, and more.

    Raises
    ------
    UsageError
        If one has a value that it cannot have.
    """
    from xpnet.datasets.read_options import Options

    names = ("rows", "labels", "label", "header", "delimiter", "floating", "max_data_bytes")
    options = {name: getattr(args, name) for name in names} | more
    try:
        Options(**options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return options


def as_data_error(path: str, check: Callable[..., Any], /, *checked: Any) -> Any:
    """Return ``check(*checked)``; what it refuses is the file's fault."""
    from xpnet.files.errors import DataError

    try:
        return check(*checked)
    except ValueError as error:
        raise DataError(str(error), file=path) from error


def with_progress(blocks: Iterable[Any], *, total: int | None, what: str) -> Iterator[Any]:
    """Count the rows of blocks on a terminal, if it takes a while."""
    if not on_terminal():
        yield from blocks
        return
    with progress_bar(total=total, desc=what, unit=" images", delay=1.0) as bar:
        for block in blocks:
            yield block
            bar.update(len(block[0]))
