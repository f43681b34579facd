"""``xpnet show``: the digits as a picture, with their labels and predictions."""

import argparse
from typing import Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    as_data_error,
    file_name,
    read_options,
)
from xpnet.cli.input_range import with_range
from xpnet.cli.models import add_model_arguments, open_model
from xpnet.cli.report import print_line, tell_of_nonfinite
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import tell

__all__ = ["add_parser"]

_ROWS = 25


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help="draw images with their labels and predictions",
        description="Draw images with their labels, and with what a network takes them for where"
        " that differs. Needs matplotlib.",
        allow_abbrev=False,
    )
    add_data_arguments(parser, rows=_ROWS)
    add_model_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        required=True,
        metavar="FILE",
        help="a .png, .svg or .pdf file",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser, json=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.datasets import read
    from xpnet.inference.batches import as_rows, check_batch_size
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict
    from xpnet.pictures.images import MOST_IMAGES, as_images, draw_images
    from xpnet.pictures.saving import check_picture, save_figure

    try:
        check_picture(args.output)
    except ValueError as error:
        raise UsageError(str(error)) from error
    model, device = open_model(args, stopwatch)
    if args.device == "auto":
        tell(device.reason)
    images, labels = read(args.data, **read_options(args, features=model.network.n_in))
    network = with_range(args, model, images)
    if len(images) > MOST_IMAGES:
        msg = f"a picture holds at most {MOST_IMAGES:,} images; got {len(images):,} (see --rows)"
        raise UsageError(msg)
    if not len(images):
        tell(f"{args.data} holds no images: an empty picture")
    rows = as_data_error(args.data, as_rows, images, network.n_in)
    # For the message of a MemoryError.
    args.n_batch = check_batch_size(network, args.batch_size)
    with count_nonfinite() as nonfinite:
        predictions = predict(network, rows, batch_size=args.batch_size, threads=args.threads)
    tell_of_nonfinite(network, nonfinite.n_images, len(rows))
    figure = draw_images(
        as_data_error(args.data, as_images, images),
        None if labels is None else list(map(str, labels.tolist())),
        _names(network.classes, predictions) if network.output != "values" else None,
    )
    save_figure(figure, args.output, force=args.force)
    print_line(f"wrote {args.output} ({len(images)} images)")
    return 0


def _names(classes: tuple[str | int, ...] | None, ids: Any) -> list[str]:
    return [str(i if classes is None else classes[i]) for i in ids.tolist()]
