"""``xpnet predict``: the labels of images, as Kaggle takes them."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    add_model_arguments,
    as_data_error,
    open_network,
    read_options,
    with_progress,
)
from xpnet.cli.report import describe_work, print_json, print_table, work_rows
from xpnet.cli.stopwatch import Stopwatch

if TYPE_CHECKING:
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
    parser.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="the CSV file (default: -, standard output)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.files.writing import atomic_write

    to_stdout = args.output in {"-", "/dev/stdout"}
    if args.json and to_stdout:
        msg = "--json needs -o FILE: standard output cannot hold both"
        raise UsageError(msg)
    network, device = open_network(args, stopwatch)
    if to_stdout:
        _write(args, network, stopwatch, _standard_output())
        return 0
    with atomic_write(args.output, force=args.force) as file:
        n_images = _write(args, network, stopwatch, file)
    work = describe_work(args, network, device, stopwatch, n_images)
    if args.json:
        print_json({"output": args.output, "total": n_images, **work})
    else:
        print_table({"wrote": f"{args.output} ({n_images:,} images)", **work_rows(work)})
    return 0


def _write(
    args: argparse.Namespace, network: "Network", stopwatch: Stopwatch, file: BinaryIO
) -> int:
    """Write the predictions of all images; return how many."""
    from xpnet.inference.predict import predict

    is_regression = network.output == "values"
    names = [f"Value{i}" for i in range(1, network.n_out + 1)] if network.n_out > 1 else ["Value"]
    header = ",".join(["ImageId", *names]) if is_regression else "ImageId,Label"
    # It goes out with the first lines: data that cannot be read shall give no output at all.
    text = f"{header}\n"
    n_images = 0
    blocks = with_progress(_blocks(args, network), total=args.rows, what="predicting")
    for images, _ in stopwatch.measure_items(blocks, "loading"):
        with stopwatch.measure("computing"):
            results = predict(network, images, batch_size=args.batch_size)
        fields = _as_fields(network, results)
        lines = (f"{number},{field}\n" for number, field in enumerate(fields, n_images + 1))
        file.write((text + "".join(lines)).encode())
        text = ""
        n_images += len(images)
    if not n_images:
        print(f"xpnet: {args.data} holds no images: no predictions", file=sys.stderr)
    return n_images


def _as_fields(network: "Network", results: Any) -> list[str]:
    if network.output == "values":
        return [",".join(map(str, row)) for row in results.tolist()]
    if network.classes is None:
        return [str(label) for label in results.tolist()]
    names = [_as_field(name) for name in network.classes]
    return [names[label] for label in results.tolist()]


def _as_field(name: str | int) -> str:
    """Return a name as CSV has it: in quotes where it would look like more than one field."""
    text = str(name)
    if not any(character in text for character in ',"\r\n'):
        return text
    return '"{}"'.format(text.replace('"', '""'))


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        msg = "standard output is closed"
        raise OSError(msg)
    return sys.stdout.buffer


def _blocks(args: argparse.Namespace, network: "Network") -> Iterator[tuple[Any, None]]:
    from xpnet.datasets import stream
    from xpnet.inference.batches import as_rows

    options = read_options(args, features=network.n_in, want_labels=False)
    for images, _ in stream(args.data, **options):
        yield as_data_error(args.data, as_rows, images, network.n_in), None
