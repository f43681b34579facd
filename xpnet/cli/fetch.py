"""``xpnet fetch``: download of a data set into the cache."""

import argparse
from typing import Any

from xpnet.cli.arguments import add_common_arguments
from xpnet.cli.report import Outcome, Stopwatch

NAMES = ("mnist", "fashion-mnist")


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "fetch",
        help="download MNIST or Fashion-MNIST into the cache",
        description="Download a data set, verify its checksums, and keep it in the user's cache"
        " folder, or in the folder that the variable XPNET_CACHE names. Afterwards its name"
        " stands for DATA: xpnet evaluate mnist. Needs pooch.",
        examples=("fetch mnist", "fetch fashion-mnist"),
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=" or ".join(NAMES))
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.datasets.fetch import FILES, fetch

    folder = fetch(args.name)
    n_bytes = sum((folder / file).stat().st_size for file in FILES)
    facts = {"name": args.name, "folder": str(folder), "bytes": n_bytes}
    return Outcome(facts, {"folder": f"{folder} ({n_bytes:,} bytes)"})
