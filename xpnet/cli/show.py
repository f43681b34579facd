"""``xpnet show``: a picture of images with their labels and predictions."""

import argparse
from typing import Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_picture_arguments,
    check_output,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments, chosen_precision
from xpnet.cli.input_range import with_range
from xpnet.cli.models import ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite
from xpnet.cli.streams import print_note

__all__ = ["add_parser"]

_ROWS = 25


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help="draw images with their labels and predictions",
        description="Draw images with their labels, and with the predictions that differ from them."
        " Needs matplotlib.",
        allow_abbrev=False,
    )
    add_data_arguments(parser, rows=_ROWS)
    add_device_arguments(parser)
    add_model_arguments(parser)
    add_picture_arguments(parser)
    add_common_arguments(parser, json=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.pictures.saving import save_figure

    options = from_args(DeviceOptions, args)
    check_output(args.output, force=args.force, kind="picture")
    with chosen_precision(options):
        data, model_options = from_args(Data, args), ModelOptions.from_args(args)
        figure, n_images = _draw(data, model_options, options, stopwatch)
    save_figure(figure, args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output} ({n_images} images)"])


def _draw(
    data: Data, model_options: ModelOptions, options: DeviceOptions, stopwatch: Stopwatch
) -> tuple[Any, int]:
    """Return a figure of the images, and their number."""
    from xpnet.inference.batches import as_rows
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict
    from xpnet.pictures.images import MOST_IMAGES, as_images, draw_images

    model, device = open_model(model_options, options, stopwatch)
    if options.device == "auto":
        print_note(device.reason)
    images, labels = data.read(features=model.network.n_in)
    network = with_range(model, data.path, images)
    if len(images) > MOST_IMAGES:
        msg = f"a picture holds at most {MOST_IMAGES:,} images; got {len(images):,} (see --rows)"
        raise UsageError(msg)
    if not len(images):
        print_note(f"{data.path} holds no images: an empty picture")
    rows = as_data_error(data.path, as_rows, images, network.n_in)
    with (
        computation_errors(data.path, options.used_batch_size(network)),
        count_nonfinite() as nonfinite,
    ):
        predictions = predict(network, rows, batch_size=options.batch_size, threads=options.threads)
    note_nonfinite(network, nonfinite.n_images, len(rows))
    classes = network.classes or range(network.n_classes)
    figure = draw_images(
        as_data_error(data.path, as_images, images),
        None if labels is None else list(map(str, labels.tolist())),
        None if network.output == "values" else [str(classes[i]) for i in predictions.tolist()],
    )
    return figure, len(images)
