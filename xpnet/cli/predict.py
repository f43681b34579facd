"""``xpnet predict``: predicted labels of images as CSV."""

import argparse
import csv
from collections import defaultdict
from contextlib import nullcontext
from io import StringIO
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    add_output_arguments,
    from_args,
    positive,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.input_range import stream_rows
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite, table, work_facts, work_rows
from xpnet.cli.streams import print_note, standard_output

if TYPE_CHECKING:
    from xpnet.inference.result_hash import HashedRunner
    from xpnet.networks.network import Network


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "predict",
        help="write the predicted labels of images as CSV or npz",
        description="Write the predicted labels of images as CSV in Kaggle's form: the columns"
        " ImageId, from 1, and Label; of a regression, ImageId and Value. An npz file holds arrays:"
        " labels or values, probabilities, and nonfinite (rows, from 0, with NaN or infinity).",
        examples=(
            "predict test.csv --model model.safetensors -o labels.csv",
            "predict sample --rows 5",
        ),
        common="--rows --model --device --top --proba --output --force",
    )
    add_data_arguments(parser, labels=False)
    add_device_arguments(parser, reproducible=True, hashes=True)
    add_model_arguments(parser)
    columns = parser.add_mutually_exclusive_group()
    text = "write the N most probable labels and their probabilities, such as --top 3"
    add_option(columns, "--top N", positive, text)
    text = "write the probabilities of all classes, a column for each, instead of labels"
    columns.add_argument("--proba", action="store_true", help=text)
    text = "a CSV file, or an .npz file, whose arrays must fit into memory; - is standard output"
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
    n_classes, n_wanted = model.network.n_classes, args.top or int(args.proba)
    if n_wanted > n_classes:
        option = "--proba" if args.proba else f"--top {n_wanted}"
        has = n_classes or "none, as it is a regression"
        msg = f"{option} needs more classes than {model.name} has: {has}"
        raise UsageError(msg)
    if to_stdout and options.device == "auto":
        print_note(device.reason)
    stdout = nullcontext(SimpleNamespace(write=_write_output))
    target = stdout if to_stdout else atomic_write(args.output, force=args.force)
    with target as file, count_transfers() as transfers:
        network, facts = _predict(args, model, stopwatch, file)
    if to_stdout:
        if options.hash:
            print_note(f"hash {facts['hash']}")
        return Outcome()
    total = facts["total"]
    batches = options.batch_facts(network)
    work = work_facts(network, device, batches, stopwatch, n_images=total, transfers=transfers)
    rows = {"wrote": f"{args.output} ({total:,} images)"}
    if options.hash:
        rows["hash"] = facts["hash"]
    facts = {"output": args.output, **facts, "data": data.path, "model": model.name, **work}
    return Outcome(facts, table({**rows, **work_rows(work)}))


def _predict(
    args: argparse.Namespace, model: Model, stopwatch: Stopwatch, file: Any
) -> "tuple[Network, dict[str, Any]]":
    """Write the predictions of all images; return the network, numbers of images and the hash."""
    import numpy as np

    from xpnet.arrays.ranges import counting_from
    from xpnet.inference.nonfinite import count_nonfinite

    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    is_npz, n_images, n_nonfinite = args.output.lower().endswith(".npz"), 0, 0
    arrays: defaultdict[str, list[Any]] = defaultdict(list)
    # Written block by block: an error at the start of the data leaves no output, not even a header.
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    with computation_errors(data.path, options.used_batch_size(model.network)):
        network, blocks = stream_rows(
            data, model, options.batching(), "predicting", stopwatch, want_labels=False
        )
        runner = options.hashed_runner(network)
        writer.writerow(["ImageId", *_column_names(network, args.top, proba=args.proba)])
        for rows, _ in stopwatch.measure_items(blocks, "loading"):
            with stopwatch.measure("computing"), counting_from(n_images), count_nonfinite() as bad:
                labels, shares = _labels_and_shares(args, network, rows, runner)
            if is_npz:
                arrays["labels" if network.n_classes else "values"].append(labels)
                if shares is not None:
                    arrays["probabilities"].append(shares)
                arrays["nonfinite"].append(n_images + bad.rows)
            else:
                fields = enumerate(_csv_fields(labels, shares), n_images + 1)
                writer.writerows([n, *row] for n, row in fields)
                file.write(text.getvalue().encode())
                text.seek(0)
                text.truncate()
            n_images += len(rows)
            n_nonfinite += bad.n_images
    if is_npz:
        joined: Any = {name: np.concatenate(parts) for name, parts in arrays.items()}
        np.savez(file, **joined)
    if not n_images:
        print_note(f"{data.path} holds no images: no predictions")
    note_nonfinite(network, n_nonfinite, n_images)
    facts = {"total": n_images, "nonfinite": n_nonfinite}
    return network, {**facts, "hash": None if runner is None else runner.hash.text()}


def _labels_and_shares(
    args: argparse.Namespace, network: "Network", rows: Any, runner: "HashedRunner | None"
) -> tuple[Any, Any]:
    """Return labels, or values, and the probabilities that --top or --proba ask for."""
    import numpy as np

    from xpnet.inference.nonfinite import remove_marks
    from xpnet.inference.predict import most_probable, predict_ids, predict_proba

    batching = from_args(DeviceOptions, args).batching()
    if runner is None:
        ids = predict_ids(network, rows, **batching)
    else:
        ids = remove_marks(runner.marked_class_ids(rows), network)
    shares = None
    if args.top or args.proba:  # computing twice takes less time than writing
        shares = predict_proba(network, rows, **batching)
    if args.top:
        ids, shares = most_probable(ids, shares, args.top)
    return ids if network.classes is None else np.asarray(network.classes)[ids], shares


def _column_names(network: "Network", top: int | None, *, proba: bool) -> list[Any]:
    """Return the names of the CSV columns after ImageId."""
    if network.output == "values":
        n_out = network.n_out
        return ["Value"] if n_out == 1 else [f"Value{i + 1}" for i in range(n_out)]
    if top:
        return [f"{name}{i + 1}" for i in range(top) for name in ("Label", "Probability")]
    return list(network.classes or range(network.n_classes)) if proba else ["Label"]


def _csv_fields(labels: Any, shares: Any) -> list[Any]:
    """Return rows of labels or values, of probabilities, or of labels with their probabilities."""
    names: list[Any] = (labels if labels.ndim > 1 else labels[:, None]).tolist()
    if shares is None:
        return names
    texts: list[Any] = shares.astype(str).tolist()  # no more digits than the dtype needs
    if labels.ndim == 1:
        return texts
    return [list(chain(*zip(*row, strict=True))) for row in zip(names, texts, strict=True)]


def _write_output(content: bytes) -> None:
    with standard_output() as output:
        output.buffer.write(content)
