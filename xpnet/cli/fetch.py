"""``xpnet fetch``: download of a data set into the cache."""

import argparse
from functools import partial
from typing import Any

from xpnet.cli.arguments import add_common_arguments
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.cli.streams import print_note, progress_bar

NAMES = ("mnist", "fashion-mnist")
_progress = partial(progress_bar, unit="B", unit_scale=True, delay=1.0)


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "fetch",
        help="download MNIST or Fashion-MNIST into the cache",
        description="Download a data set, verify its checksums, and keep it in the user's cache"
        " folder, or in the folder that the variable XPNET_CACHE names. Afterwards its name"
        " stands for DATA: xpnet evaluate mnist. Needs pooch.",
        examples=("fetch mnist", "fetch fashion-mnist --force"),
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=" or ".join(NAMES))
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--offline", action="store_true", help="look in the cache only")
    group.add_argument("--force", action="store_true", help="download all files anew")
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.datasets.fetch import fetch_files

    folder, hosts = fetch_files(
        args.name, offline=args.offline, force=args.force, progress=_progress
    )
    n_bytes = sum(path.stat().st_size for path in folder.glob("*.gz"))
    facts = {"name": args.name, "folder": str(folder), "bytes": n_bytes, "hosts": hosts}
    source = ", ".join(hosts) or "already in the cache"
    return Outcome(facts, {"folder": f"{folder} ({n_bytes:,} bytes)", "source": source})


def fetch_word(path: str, *, offline: bool) -> None:
    """Fetch the data set that DATA names, if it does, and print a note if it is downloaded."""
    if path in NAMES:
        from xpnet.datasets.fetch import fetch_files

        folder, hosts = fetch_files(path, offline=offline, verify=False, progress=_progress)
        if hosts:
            print_note(f"fetched {path} from {', '.join(hosts)} into {folder}")
