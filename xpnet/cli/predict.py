"""``xpnet predict``: predicted labels of images as CSV."""

import argparse
import csv
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, add_common_arguments, add_output_arguments, from_args
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.input_range import stream_rows
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite, table, work_facts, work_rows
from xpnet.cli.streams import print_note, standard_output

if TYPE_CHECKING:
    from xpnet.networks.network import Network


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "predict",
        help="write the predicted labels of images as CSV",
        description="Write the predicted labels of images as CSV in Kaggle's form: the columns"
        " ImageId, from 1, and Label; of a regression, ImageId and Value.",
        examples=(
            "predict test.csv --model model.safetensors -o labels.csv",
            "predict sample --rows 5",
        ),
        common="--rows --model --input-range --device --batch-size --reproducible --output --force",
    )
    add_data_arguments(parser)
    add_device_arguments(parser, reproducible=True, hashes=True)
    add_model_arguments(parser)
    text = "the CSV file, such as labels.csv; - is standard output"
    add_output_arguments(parser, text, default="-")
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.arrays.transfer_counts import count_transfers
    from xpnet.files.writing import atomic_write

    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    to_stdout = args.output in {"-", "/dev/stdout"}
    if args.json and to_stdout:
        msg = "--json needs -o FILE: standard output cannot hold both"
        raise UsageError(msg)
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch, data)
    if to_stdout:
        if options.device == "auto":
            print_note(device.reason)
        _, facts = _predict(data, model, options, stopwatch, _write_output)
        if options.hash:
            print_note(f"hash {facts['hash']}")
        return Outcome()
    with atomic_write(args.output, force=args.force) as file, count_transfers() as transfers:
        network, facts = _predict(data, model, options, stopwatch, file.write)
    total = facts["total"]
    batches = options.batch_facts(network)
    work = work_facts(network, device, batches, stopwatch, n_images=total, transfers=transfers)
    names = {"data": data.path, "model": model.name}
    rows = {"wrote": f"{args.output} ({total:,} images)"}
    if options.hash:
        rows["hash"] = facts["hash"]
    facts = {"output": args.output, **facts, **names, **work}
    return Outcome(facts, table({**rows, **work_rows(work)}))


def _predict(
    data: Data,
    model: Model,
    options: DeviceOptions,
    stopwatch: Stopwatch,
    write: Callable[[bytes], object],
) -> "tuple[Network, dict[str, Any]]":
    """Write the predictions of all images; return the network, numbers of images and the hash."""
    from xpnet.arrays.ranges import counting_from
    from xpnet.inference.nonfinite import count_nonfinite, remove_marks
    from xpnet.inference.predict import predict_ids

    # Lines are written after each block, so that data with an error at the start give no output at
    # all, not even the header.
    lines = StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    n_images = 0
    size = options.used_batch_size(model.network)
    with computation_errors(data.path, size), count_nonfinite() as nonfinite:
        network, blocks = stream_rows(
            data, model, options.batching(), "predicting", stopwatch, want_labels=False
        )
        runner = options.hashed_runner(network)
        has_values, n_out = network.output == "values", network.n_out
        names = ["Value"] if n_out == 1 else [f"Value{i + 1}" for i in range(n_out)]
        writer.writerow(["ImageId", *(names if has_values else ["Label"])])
        classes = network.classes or range(network.n_classes)
        for rows, _ in stopwatch.measure_items(blocks, "loading"):
            with stopwatch.measure("computing"), counting_from(n_images):
                if runner is None:
                    results = predict_ids(network, rows, **options.batching())
                else:
                    results = remove_marks(runner.marked_class_ids(rows), network)
            found = results.tolist()
            fields = found if has_values else [[classes[i]] for i in found]
            writer.writerows([n, *row] for n, row in enumerate(fields, n_images + 1))
            write(lines.getvalue().encode())
            lines.seek(0)
            lines.truncate()
            n_images += len(rows)
    if not n_images:
        print_note(f"{data.path} holds no images: no predictions")
    note_nonfinite(network, nonfinite.n_images, n_images)
    text = None if runner is None else runner.hash.text()
    return network, {"total": n_images, "nonfinite": nonfinite.n_images, "hash": text}


def _write_output(content: bytes) -> None:
    with standard_output() as output:
        output.buffer.write(content)
