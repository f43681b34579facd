"""Argument types and arguments shared by the commands."""

import argparse
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any, TypeVar, cast

__all__ = [
    "Subparsers",
    "UsageError",
    "add_common_arguments",
    "add_picture_arguments",
    "check_output",
    "file_name",
    "from_args",
    "not_negative",
    "not_negative_number",
    "number_type",
    "positive",
    "positive_number",
    "positive_numbers",
    "share",
]

Subparsers = Any  # argparse does not publish the type
OptionsT = TypeVar("OptionsT")
_MOST_DIGITS = 18


class UsageError(ValueError):
    """Arguments that do not fit together: exit code 2."""


def from_args(kind: type[OptionsT], args: argparse.Namespace) -> OptionsT:
    """Return a dataclass of options from the arguments with the names of its fields."""
    return kind(**{field.name: getattr(args, field.name) for field in fields(cast("Any", kind))})


def file_name(text: str) -> str:
    """Return a file name, which must not be empty; an argparse type."""
    if not text:
        msg = "must be the name of a file; got ''"
        raise argparse.ArgumentTypeError(msg)
    return text


def positive(text: str) -> int:
    """Return an integer of at least 1; an argparse type."""
    return _integer(text, 1)


def not_negative(text: str) -> int:
    """Return an integer of at least 0; an argparse type."""
    return _integer(text, 0)


def positive_numbers(text: str) -> tuple[int, ...]:
    """Return the integers of a list such as "50,100"; an argparse type."""
    return tuple(map(positive, text.split(",")))


def _integer(text: str, smallest: int) -> int:
    # Python raises ValueError for 4,300 digits.
    is_integer = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not is_integer or int(text) < smallest:
        digits = f" and at most {_MOST_DIGITS} digits" if len(text) > _MOST_DIGITS else ""
        msg = f"must be an integer of at least {smallest}{digits}; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


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
share = number_type(lambda x: 0 <= x < 1, "a number from 0 to below 1")


def add_common_arguments(parser: argparse.ArgumentParser, *, json: bool = True) -> None:
    """Add --debug and, for a command that prints results, --json."""
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -o for a picture, which is required, and --force."""
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        required=True,
        metavar="FILE",
        help="a .png, .svg or .pdf file",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def check_output(path: str, *, force: bool, kind: str = "file") -> None:
    """Raise, before long work, an error if a file could not be written after it.

    With `force`, the file may exist. The suffix of a "model" or "picture" must be known, and a
    picture needs matplotlib.
    """
    from xpnet.files.writing import check_target

    try:
        if kind == "model":
            from xpnet.formats.load_save import check_suffix

            check_suffix(path)
        elif kind == "picture":
            from xpnet.pictures.saving import check_picture, new_figure

            check_picture(path)
            new_figure(1.0, 1.0)
    except ValueError as error:
        raise UsageError(str(error)) from error
    check_target(path, force=force)
