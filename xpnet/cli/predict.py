"""``xpnet predict``: the labels of images, as Kaggle takes them."""

import argparse
import csv
from io import StringIO
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    file_name,
)
from xpnet.cli.invariance import add_invariance_argument, check_invariance
from xpnet.cli.models import Model, add_model_arguments, open_model, stream_rows
from xpnet.cli.report import describe_work, print_json, print_table, tell_of_nonfinite, work_rows
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import standard_output, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from xpnet.networks.network import Network

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predict",
        help="write the labels of images as CSV",
        description="Write the labels of images as CSV in Kaggle's form: ImageId,Label, from 1."
        " A regression gives ImageId,Value.",
        allow_abbrev=False,
    )
    add_data_arguments(parser)
    add_model_arguments(parser)
    add_invariance_argument(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        default="-",
        metavar="FILE",
        help="the CSV file (default: -, standard output)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.arrays.transfer_counts import count_transfers
    from xpnet.files.writing import atomic_write
    from xpnet.inference.nonfinite import count_nonfinite

    check_invariance(args)
    to_stdout = args.output in {"-", "/dev/stdout"}
    if args.json and to_stdout:
        msg = "--json needs -o FILE: standard output cannot hold both"
        raise UsageError(msg)
    model, device = open_model(args, stopwatch, weighs=True)
    if to_stdout:
        if args.device == "auto":
            tell(device.reason)
        with count_nonfinite() as nonfinite:
            network, n_images = _write(args, model, stopwatch, _write_output)
        tell_of_nonfinite(network, nonfinite.n_images, n_images)
        return 0
    with (
        atomic_write(args.output, force=args.force) as file,
        count_transfers() as transfers,
        count_nonfinite() as nonfinite,
    ):
        network, n_images = _write(args, model, stopwatch, file.write)
    tell_of_nonfinite(network, nonfinite.n_images, n_images)
    work = describe_work(args, network, device, stopwatch, n_images, transfers=transfers)
    if args.json:
        counts = {"total": n_images, "nonfinite": nonfinite.n_images}
        print_json({"output": args.output, **counts, **work})
    else:
        print_table({"wrote": f"{args.output} ({n_images:,} images)", **work_rows(work)})
    return 0


def _write(
    args: argparse.Namespace, model: Model, stopwatch: Stopwatch, write: "Callable[[bytes], object]"
) -> "tuple[Network, int]":
    """Write the predictions of all images; return the network, and how many there are."""
    from xpnet.arrays.ranges import counting_from
    from xpnet.inference.batches import check_batch_size
    from xpnet.inference.predict import predict

    # A block of lines is written when it is whole: data that cannot be read from the start on
    # give no output at all, the header included.
    lines = StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    # For the message of a MemoryError.
    args.n_batch = check_batch_size(model.network, args.batch_size)
    network, blocks = stream_rows(args, model, "predicting", stopwatch, want_labels=False)
    writer.writerow(["ImageId", *_column_names(network)])
    n_images = 0
    for rows, _ in stopwatch.measure_items(blocks, "loading"):
        with stopwatch.measure("computing"), counting_from(n_images):
            results = predict(
                network,
                rows,
                batch_size=args.batch_size,
                threads=args.threads,
                batch_invariant=args.batch_invariant,
            )
        numbers = range(n_images + 1, n_images + 1 + len(rows))
        fields = _as_fields(network, results)
        writer.writerows([n, *row] for n, row in zip(numbers, fields, strict=True))
        write(lines.getvalue().encode())
        lines.seek(0)
        lines.truncate()
        n_images += len(rows)
    if not n_images:
        tell(f"{args.data} holds no images: no predictions")
    return network, n_images


def _column_names(network: "Network") -> list[str]:
    if network.output != "values":
        return ["Label"]
    return ["Value"] if network.n_out == 1 else [f"Value{i + 1}" for i in range(network.n_out)]


def _as_fields(network: "Network", results: Any) -> list[list[Any]]:
    if network.output == "values":
        values: list[list[Any]] = results.tolist()
        return values
    names = network.classes or range(network.n_classes)
    return [[names[i]] for i in results.tolist()]


def _write_output(content: bytes) -> None:
    with standard_output() as output:
        output.buffer.write(content)
