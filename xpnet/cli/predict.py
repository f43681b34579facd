"""``xpnet predict``: predicted labels of images as CSV."""

import argparse
import csv
from io import StringIO
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import Subparsers, UsageError, add_common_arguments, file_name, from_args
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments, chosen_precision
from xpnet.cli.input_range import stream_rows
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite, table, work_facts, work_rows
from xpnet.cli.streams import print_note, standard_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from xpnet.networks.network import Network

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predict",
        help="write the predicted labels of images as CSV",
        description="Write the predicted labels of images as CSV in Kaggle's form: the columns"
        " ImageId, from 1, and Label; of a regression, ImageId and Value.",
        allow_abbrev=False,
    )
    add_data_arguments(parser)
    add_device_arguments(parser, batch_invariant=True)
    add_model_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        default="-",
        metavar="FILE",
        help="the CSV file, such as labels.csv (default: -, standard output)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.arrays.transfer_counts import count_transfers
    from xpnet.files.writing import atomic_write

    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    to_stdout = args.output in {"-", "/dev/stdout"}
    if args.json and to_stdout:
        msg = "--json needs -o FILE: standard output cannot hold both"
        raise UsageError(msg)
    with chosen_precision(options):
        model, device = open_model(ModelOptions.from_args(args), options, stopwatch, data)
        if to_stdout:
            if options.device == "auto":
                print_note(device.reason)
            _predict(data, model, options, stopwatch, _write_output)
            return Outcome()
        with atomic_write(args.output, force=args.force) as file, count_transfers() as transfers:
            network, counts = _predict(data, model, options, stopwatch, file.write)
        work = work_facts(
            network,
            device,
            options,
            data=data.path,
            model=model.name,
            n_images=counts["total"],
            transfers=transfers,
            seconds=stopwatch.seconds(),
        )
    rows = {"wrote": f"{args.output} ({counts['total']:,} images)", **work_rows(work)}
    return Outcome({"output": args.output, **counts, **work}, table(rows))


def _predict(
    data: Data,
    model: Model,
    options: DeviceOptions,
    stopwatch: Stopwatch,
    write: "Callable[[bytes], object]",
) -> "tuple[Network, dict[str, int]]":
    """Write the predictions of all images; return the network and the numbers of images."""
    from xpnet.arrays.ranges import counting_from
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict

    # Lines are written after each block, so that data with an error at the start give no output at
    # all, not even the header.
    lines = StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    n_images = 0
    with (
        computation_errors(data.path, options.used_batch_size(model.network)),
        count_nonfinite() as nonfinite,
    ):
        network, blocks = stream_rows(
            data, model, options.batch_size, "predicting", stopwatch, want_labels=False
        )
        writer.writerow(["ImageId", *_column_names(network)])
        for rows, _ in stopwatch.measure_items(blocks, "loading"):
            with stopwatch.measure("computing"), counting_from(n_images):
                results = predict(
                    network,
                    rows,
                    batch_size=options.batch_size,
                    threads=options.threads,
                    batch_invariant=options.batch_invariant,
                )
            fields = _as_fields(network, results)
            writer.writerows([n, *row] for n, row in enumerate(fields, n_images + 1))
            write(lines.getvalue().encode())
            lines.seek(0)
            lines.truncate()
            n_images += len(rows)
    if not n_images:
        print_note(f"{data.path} holds no images: no predictions")
    note_nonfinite(network, nonfinite.n_images, n_images)
    return network, {"total": n_images, "nonfinite": nonfinite.n_images}


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
