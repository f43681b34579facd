"""``xpnet show``: a picture of images with their labels and predictions."""

import argparse
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_output_arguments,
    check_output,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.input_range import with_range
from xpnet.cli.models import ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite
from xpnet.cli.streams import print_note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.networks.network import Network

_ROWS = 25


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "show",
        help="draw images with their labels and predictions",
        description="Draw images with their labels, and with the predictions that differ from them."
        " Needs matplotlib.",
        examples=(
            "show -o digits.png",
            "show train.csv --model model.safetensors --rows 100 -o digits.png",
        ),
        common="--rows --labels --model --input-range --output --force --device",
    )
    add_data_arguments(parser, rows=_ROWS)
    add_device_arguments(parser)
    add_model_arguments(parser)
    add_output_arguments(parser, "a .png, .svg or .pdf file", required=True)
    add_common_arguments(parser, run, json=False)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.inference.batches import as_rows
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict
    from xpnet.pictures.images import MOST_IMAGES, as_images, draw_images
    from xpnet.pictures.saving import save_figure

    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    check_output(args.output, force=args.force, kind="picture")
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
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
    size = options.used_batch_size(network)
    with computation_errors(data.path, size), count_nonfinite() as nonfinite:
        predictions = predict(network, rows, **options.batching())
    note_nonfinite(network, nonfinite.n_images, len(rows))
    classes = network.classes or range(network.n_classes)
    figure = draw_images(
        as_data_error(data.path, as_images, images),
        None if labels is None else _label_names(network, labels),
        None if network.output == "values" else [str(classes[i]) for i in predictions.tolist()],
    )
    save_figure(figure, args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output} ({len(images)} images)"])


def _label_names(network: "Network", labels: "NDArray[Any]") -> list[str]:
    """Return labels as text: their class names if all classes of the network have one."""
    names = network.classes or ()
    if not all(isinstance(name, str) for name in names):
        names = ()
    return [str(names[i] if i < len(names) else i) for i in labels.tolist()]
