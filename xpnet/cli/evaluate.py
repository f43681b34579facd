"""``xpnet evaluate``: accuracy and speed of a network on labelled images."""

import argparse
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import Subparsers, UsageError, add_common_arguments, from_args
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments, chosen_precision
from xpnet.cli.input_range import stream_rows
from xpnet.cli.models import ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite, table, work_facts, work_rows
from xpnet.cli.streams import print_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    add_device_arguments(parser, batch_invariant=True)
    add_model_arguments(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    options = from_args(DeviceOptions, args)
    with chosen_precision(options):
        return _evaluate(from_args(Data, args), ModelOptions.from_args(args), options, stopwatch)


def _evaluate(
    data: Data, model_options: ModelOptions, options: DeviceOptions, stopwatch: Stopwatch
) -> Outcome:
    from xpnet.inference.evaluate import evaluate
    from xpnet.inference.nonfinite import count_nonfinite

    model, device = open_model(model_options, options, stopwatch, data)
    if model.network.output == "values":
        msg = f"{model.name} is a regression, which has no accuracy; use predict"
        raise UsageError(msg)
    # With named classes, the labels are names. No label of a file is above 255.
    n_classes = None if model.network.classes else min(model.network.n_classes, 256)
    with (
        computation_errors(data.path, options.used_batch_size(model.network)),
        count_nonfinite() as nonfinite,
    ):
        network, blocks = stream_rows(
            data, model, options.batch_size, "evaluating", stopwatch, classes=n_classes
        )
        with stopwatch.measure("computing"):
            pairs = stopwatch.measure_items(_labelled(data, network, blocks), "loading")
            result = evaluate(
                network,
                pairs,
                batch_size=options.batch_size,
                threads=options.threads,
                batch_invariant=options.batch_invariant,
            )
    accuracy = result.accuracy if result.total else None
    if accuracy is None:
        print_note(f"{data.path} holds no images: no accuracy")
    note_nonfinite(network, nonfinite.n_images, result.total)
    work = work_facts(
        network,
        device,
        options,
        data=data.path,
        model=model.name,
        n_images=result.total,
        transfers=result.transfers,
        seconds=stopwatch.seconds(),
    )
    facts = {
        "accuracy": accuracy,
        "correct": result.correct,
        "total": result.total,
        "nonfinite": nonfinite.n_images,
        **work,
        "confusion": result.confusion.tolist(),
    }
    share = "n/a" if accuracy is None else f"{accuracy:.4f}"
    row = f"{share} ({result.correct:,} of {result.total:,})"
    return Outcome(facts, table({"accuracy": row, **work_rows(work)}))


def _labelled(
    data: Data, network: "Network", blocks: "Iterable[tuple[Any, Any]]"
) -> "Iterator[tuple[Any, Any]]":
    """Yield blocks with their labels; raise DataError if those are missing or unknown."""
    from xpnet.files.errors import DataError
    from xpnet.inference.class_labels import as_class_ids

    for rows, labels in blocks:
        if labels is None:
            what, hint = "no labels to compare with", "give them by --labels FILE, or use predict"
            raise DataError(what, file=data.path, hint=hint)
        if network.classes is not None:
            as_data_error(data.labels or data.path, as_class_ids, network, labels)
        yield rows, labels
