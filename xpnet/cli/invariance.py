"""``--batch-invariant``, of the commands that predict."""

import argparse

from xpnet.cli.arguments import UsageError

__all__ = ["add_invariance_argument", "check_invariance"]


def add_invariance_argument(parser: argparse.ArgumentParser) -> None:
    """Add --batch-invariant."""
    parser.add_argument(
        "--batch-invariant",
        action="store_true",
        help="give each image the same bits whatever is computed with it",
    )


def check_invariance(args: argparse.Namespace) -> None:
    """Refuse --batch-size beside --batch-invariant.

    Raises
    ------
    UsageError
        If both are given.
    """
    if args.batch_invariant and args.batch_size is not None:
        msg = (
            f"--batch-invariant chooses how many images are computed at a time: leave out"
            f" --batch-size {args.batch_size}"
        )
        raise UsageError(msg)
