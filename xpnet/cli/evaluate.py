"""``xpnet evaluate``: how many images does a network get right, and how fast."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    add_model_arguments,
    as_data_error,
    open_network,
    stream_rows,
)
from xpnet.cli.invariance import add_invariance_argument, check_invariance
from xpnet.cli.report import describe_work, print_json, print_table, work_rows
from xpnet.cli.stopwatch import Stopwatch

if TYPE_CHECKING:
    from xpnet.networks.network import Network

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "evaluate",
        help="classify images and compare with their labels",
        description="Classify images and compare with their labels.",
        allow_abbrev=False,
    )
    add_data_arguments(parser)
    add_model_arguments(parser)
    add_invariance_argument(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.inference.predict import evaluate

    check_invariance(args)
    network, device = open_network(args, stopwatch)
    if network.output == "values":
        msg = f"{args.model} is a regression, which has no accuracy; use predict"
        raise UsageError(msg)
    with stopwatch.measure("computing"):
        pairs = stopwatch.measure_items(_labelled_rows(args, network), "loading")
        result = evaluate(
            network, pairs, batch_size=args.batch_size, batch_invariant=args.batch_invariant
        )
    work = describe_work(args, network, device, stopwatch, result.total, transfers=result.transfers)
    accuracy = result.accuracy if result.total else None
    if accuracy is None:
        print(f"xpnet: {args.data} holds no images: no accuracy", file=sys.stderr)
    if args.json:
        counts = {"accuracy": accuracy, "correct": result.correct, "total": result.total}
        print_json({**counts, **work, "confusion": result.confusion.tolist()})
    else:
        share = "n/a" if accuracy is None else f"{accuracy:.4f}"
        accuracy_row = f"{share} ({result.correct:,} of {result.total:,})"
        print_table({"accuracy": accuracy_row, **work_rows(work)})
    return 0


def _labelled_rows(args: argparse.Namespace, network: "Network") -> Iterator[tuple[Any, Any]]:
    from xpnet.files.errors import DataError
    from xpnet.inference.labels import as_class_ids

    # Where the network names its classes, the labels are names. No file has more than 256.
    n_classes = None if network.classes else min(network.n_classes, 256)
    for rows, labels in stream_rows(args, network, "evaluating", classes=n_classes):
        if labels is None:
            what, hint = "no labels to compare with", "give them by --labels FILE, or use predict"
            raise DataError(what, file=args.data, hint=hint)
        if network.classes is not None:
            as_data_error(args.labels or args.data, as_class_ids, network, labels)
        yield rows, labels
