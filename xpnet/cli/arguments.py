"""Argument types and arguments shared by the commands."""

import argparse
import math
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar, cast

from xpnet.files.errors import nearest_hint, printable
from xpnet.files.writing import check_target

OptionsT = TypeVar("OptionsT")
_MOST_DIGITS = 18
# The arguments, of any command, that are files to read and to write.
_INPUTS = frozenset({"path", "labels", "model", "check"})
_OUTPUTS = frozenset({"output", "target", "plot", "history", "record"})
_MOST_FILES = 1000


class UsageError(ValueError):
    """Arguments that do not fit together: exit code 2."""


def from_args(kind: type[OptionsT], args: argparse.Namespace, **more: Any) -> OptionsT:
    """Return a dataclass of options from `more`, the arguments of the same names, and defaults."""
    names = (field.name for field in fields(cast("Any", kind)))
    return kind(**{name: getattr(args, name) for name in names if hasattr(args, name)}, **more)


def file_name(text: str) -> str:
    """Return a file name, which must not be empty; an argparse type."""
    if not text:
        msg = "must be the name of a file; got ''"
        raise argparse.ArgumentTypeError(msg)
    return text


def check_distinct_files(args: argparse.Namespace) -> None:
    """Raise UsageError if --force would replace a file that the command reads."""
    if not getattr(args, "force", False):
        return
    given = {name: [x] if isinstance(x, str) else x or [] for name, x in vars(args).items()}
    for target in chain.from_iterable(given[name] for name in _OUTPUTS & given.keys()):
        for source in chain.from_iterable(given[name] for name in _INPUTS & given.keys()):
            is_same = False
            with suppress(OSError, ValueError):
                status = os.fstat(0) if source == "-" else Path(source).stat()
                is_same = os.path.samestat(status, Path(target).stat()) and Path(target).is_file()
            if is_same:
                msg = f"{target} would be replaced, but it is read as well: name another file"
                raise UsageError(msg)


def missing_file_hint(path: str, words: Iterable[str] = ()) -> str:
    """Return a hint at the nearest word, or at the nearest file in the folder of a missing one."""
    if os.path.lexists(path):  # a link to a missing file, not a mistyped name
        return ""
    files: list[str] = []
    with suppress(OSError, ValueError):
        files = [file.name for file in islice(Path(path).parent.iterdir(), _MOST_FILES)]
    # A common suffix does not make two names similar.
    hint = nearest_hint(Path(path).name, [*files, *words], key=lambda x: Path(x).stem.lower())
    return printable(hint)


def _integer(text: str, smallest: int) -> int:
    # Python raises ValueError for 4,300 digits.
    is_integer = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not is_integer or int(text) < smallest:
        digits = f" and at most {_MOST_DIGITS} digits" if len(text) > _MOST_DIGITS else ""
        msg = f"must be an integer of at least {smallest}{digits}; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


positive_integer = partial(_integer, smallest=1)
not_negative_integer = partial(_integer, smallest=0)


def positive_integers(text: str) -> tuple[int, ...]:
    """Return the integers of a list such as "50,100"; an argparse type."""
    return tuple(map(positive_integer, text.split(",")))


def number_type(fits: Callable[[float], bool], rule: str) -> Callable[[str], float]:
    """Return an argparse type for the numbers that fit a rule, such as "a positive number"."""

    def parse(text: str) -> float:
        with suppress(ValueError):
            if fits(float(text)):
                return float(text)
        msg = f"must be {rule}; got {text!r}"
        raise argparse.ArgumentTypeError(msg)

    return parse


positive_number = number_type(lambda x: 0 < x < math.inf, "a positive number")
not_negative_number = number_type(lambda x: 0 <= x < math.inf, "a number of 0 or more")
fraction = number_type(lambda x: 0 <= x < 1, "a number from 0 to below 1")


def add_option(parser: Any, names: str, kind: Callable[[str], Any], text: str, **more: Any) -> None:
    """Add an option, such as "-o --output FILE" with its metavar, and its default to the help."""
    words = names.split()
    flags = [word for word in words if word.startswith("-")]
    metavar = None if words == flags else words[-1]
    text += " (default: %(default)s)" if "default" in more else ""
    parser.add_argument(*flags, type=kind, metavar=metavar, help=text, **more)


def add_common_arguments(
    parser: argparse.ArgumentParser, run: Callable[..., Any], *, json: bool = True
) -> None:
    """Add the function that runs the command, --debug and, if it prints results, --json."""
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=run)


def add_output_arguments(
    parser: argparse.ArgumentParser, text: str, names: str = "-o --output FILE", **more: Any
) -> None:
    """Add -o, or another option, for a file, with its help text, and --force."""
    add_option(parser, names, file_name, text, **more)
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def check_output(path: str, *, force: bool, kind: str = "file") -> None:
    """Raise, before long work, an error if a file could not be written after it.

    With `force`, the file may exist. The suffix of a "model" or "picture" must be known, and a
    picture needs matplotlib.
    """
    try:
        if kind == "model":
            from xpnet.formats.load_save import check_suffix

            check_suffix(path)
        elif kind == "picture":
            from xpnet.pictures.figures import check_picture

            check_picture(path)
    except ValueError as error:
        raise UsageError(str(error)) from error
    check_target(path, force=force)
