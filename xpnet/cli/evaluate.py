"""``xpnet evaluate``: how many images does a network get right, and how fast."""

import argparse
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    as_data_error,
)
from xpnet.cli.invariance import add_invariance_argument, check_invariance
from xpnet.cli.models import Model, add_model_arguments, open_model, stream_rows
from xpnet.cli.report import describe_work, print_json, print_table, tell_of_nonfinite, work_rows
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    from xpnet.inference.evaluate import evaluate
    from xpnet.inference.nonfinite import count_nonfinite

    check_invariance(args)
    model, device = open_model(args, stopwatch, weighs=True)
    if model.network.output == "values":
        msg = f"{args.model} is a regression, which has no accuracy; use predict"
        raise UsageError(msg)
    network, pairs = _labelled_rows(args, model, stopwatch)
    with stopwatch.measure("computing"), count_nonfinite() as nonfinite:
        pairs = stopwatch.measure_items(pairs, "loading")
        result = evaluate(
            network,
            pairs,
            batch_size=args.batch_size,
            threads=args.threads,
            batch_invariant=args.batch_invariant,
        )
    work = describe_work(args, network, device, stopwatch, result.total, transfers=result.transfers)
    accuracy = result.accuracy if result.total else None
    if accuracy is None:
        tell(f"{args.data} holds no images: no accuracy")
    tell_of_nonfinite(network, nonfinite.n_images, result.total)
    if args.json:
        counts = {"accuracy": accuracy, "correct": result.correct, "total": result.total}
        counts["nonfinite"] = nonfinite.n_images
        print_json({**counts, **work, "confusion": result.confusion.tolist()})
    else:
        share = "n/a" if accuracy is None else f"{accuracy:.4f}"
        accuracy_row = f"{share} ({result.correct:,} of {result.total:,})"
        print_table({"accuracy": accuracy_row, **work_rows(work)})
    return 0


def _labelled_rows(
    args: argparse.Namespace, model: Model, stopwatch: Stopwatch
) -> "tuple[Network, Iterator[tuple[Any, Any]]]":
    """Return the network, and rows with labels of its classes."""
    from xpnet.inference.batches import check_batch_size

    # Where the network names its classes, the labels are names. No file has more than 256.
    n_classes = None if model.network.classes else min(model.network.n_classes, 256)
    # For the message of a MemoryError.
    args.n_batch = check_batch_size(model.network, args.batch_size)
    network, blocks = stream_rows(args, model, "evaluating", stopwatch, classes=n_classes)
    return network, (_checked(args, network, rows, labels) for rows, labels in blocks)


def _checked(
    args: argparse.Namespace, network: "Network", rows: Any, labels: Any
) -> tuple[Any, Any]:
    from xpnet.files.errors import DataError
    from xpnet.inference.class_labels import as_class_ids

    if labels is None:
        what, hint = "no labels to compare with", "give them by --labels FILE, or use predict"
        raise DataError(what, file=args.data, hint=hint)
    if network.classes is not None:
        as_data_error(args.labels or args.data, as_class_ids, network, labels)
    return rows, labels
