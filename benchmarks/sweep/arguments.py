"""The command line of accuracy.py."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from truth.table import ROWS

from sweep.candidates import LIBRARIES
from sweep.selection import PIECES
from xpnet.cli.arguments import positive

STATE = "accuracy-state.json"


def parse_arguments(about: str) -> argparse.Namespace:
    """Read the command line of the program that `about` describes."""
    summary, _, details = about.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--functions",
        metavar="A,B,C",
        type=names_of(ROWS),
        default=list(ROWS),
        help=f"rows of the table (default: all): {', '.join(ROWS)}",
    )
    add(
        "--libraries",
        metavar="A,B,C",
        type=names_of(LIBRARIES),
        default=list(LIBRARIES),
        help="numpy (and SciPy), torch, jax, and jit: xpnet's functions in jax.jit (default: all)",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--pieces",
        metavar="FIRST:LAST",
        type=piece_range,
        default=(0, PIECES),
        help=f"only these of the {PIECES:,} pieces, without LAST (default: 0:{PIECES})",
    )
    extent.add_argument(
        "--quick", action="store_true", help="a sample of 262,000 inputs, to see that it runs"
    )
    add(
        "--jobs",
        metavar="N",
        type=positive,
        default=os.cpu_count() or 1,
        help="processes, of one thread each (default: the cores, %(default)s)",
    )
    add(
        "--state",
        metavar="FILE",
        type=Path,
        help="where finished pieces are kept, to be deleted once the results are written"
        f" (default: {STATE} in the current folder; none for a sample)",
    )
    add("--restart", action="store_true", help="forget the finished pieces")
    add("--json", metavar="FILE", type=Path, help="write the results to FILE")
    add("--markdown", metavar="FILE", type=Path, help="write the table to FILE")
    return parser.parse_args()


def names_of(known: dict[str, Any]) -> Callable[[str], list[str]]:
    """Return a reader of names that are separated by commas; it keeps the order of the known."""

    def read(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in known:
                msg = f"{name!r} is none of {', '.join(known)}"
                raise argparse.ArgumentTypeError(msg)
        return [name for name in known if name in given]

    return read


def piece_range(text: str) -> tuple[int, int]:
    """Read FIRST:LAST."""
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last) <= PIECES):
        msg = f"{text!r} is no FIRST:LAST with 0 <= FIRST < LAST <= {PIECES}"
        raise argparse.ArgumentTypeError(msg)
    return int(first), int(last)
