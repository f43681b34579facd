"""``xpnet show``: images with their labels and predictions."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_output_arguments,
    check_output,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.evaluate import expected
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, added_text, terminal
from xpnet.cli.scaled_rows import with_range
from xpnet.cli.streams import print_note
from xpnet.cli.training_options import is_table
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.networks.network import Network

# The arguments of `xpnet.show`, and a summary.
_Shown: TypeAlias = tuple[Sequence[Any], str]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "show",
        help="draw images with their labels and predictions",
        description="Draw images with their labels, and with the predictions that differ from them:"
        " in the terminal, or with -o FILE as a picture, which needs matplotlib.",
        examples=("show --rows 5", "show train.csv --mistakes -o mistakes.png"),
    )
    add_data_arguments(parser, rows_text="show N images (default: 25; 10 in the terminal)")
    text = "show wrong predictions only, of all images, those of the highest probability first"
    parser.add_argument("--mistakes", action="store_true", help=text)
    add_device_arguments(parser)
    add_model_arguments(parser)
    add_output_arguments(parser, "a .png, .svg or .pdf file (default: text in the terminal)")
    add_common_arguments(parser, run, json=False)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    data, options = Data.from_args(args, args.path), from_args(DeviceOptions, args)
    if args.output is not None:
        check_output(args.output, force=args.force, kind="picture")
    if data.rows == 0:
        msg = "--rows must be at least 1 to show images; got 0"
        raise UsageError(msg)
    if data.rows is None:
        data = data.with_options(rows=25 if args.output else 10)
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    if options.device == "auto":
        print_note(device.reason)
    if args.mistakes and model.network.output == "values":
        msg = f"{model.name} is a regression, which has no classes to mistake; omit --mistakes"
        raise UsageError(msg)
    choose = _mistakes if args.mistakes else _first_images
    given, summary = choose(data, model, options)
    is_foreign = model.name == "sample" != data.path
    summary += "; predicted by the embedded network for digits" * is_foreign
    from xpnet.pictures.images import captions_of, show, text_images

    if args.output is None:
        heading = [summary, ""] * (args.mistakes or is_foreign)
        captions = [lines for lines, _ in captions_of(*given)]
        return Outcome(lines=[*heading, *text_images(given[0], captions, **terminal())])
    from xpnet.pictures.figures import save_figure

    try:
        figure = show(*given)
    except ValueError as error:
        raise UsageError(str(error)) from error
    save_figure(figure, args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output} ({summary})"])


def _first_images(data: Data, model: Model, options: DeviceOptions) -> _Shown:
    """Return the first images of DATA with their labels and predictions."""
    from xpnet.inference.class_labels import as_class_ids

    network, images, labels, ids = _predicted(data, model, options)
    names = _class_names(network)
    if network.classes and labels is not None:
        with suppress(ValueError):  # labels that are no classes are shown as they are
            labels = names[as_class_ids(network, data.named(labels, network))]
    predictions = None if network.output == "values" else names[ids]
    return [images, labels, predictions], f"{len(ids):,} image" + "s" * (len(ids) != 1)


def _mistakes(data: Data, model: Model, options: DeviceOptions) -> _Shown:
    """Return the wrong predictions among all images of DATA that have the highest probability."""
    import numpy as np

    from xpnet.inference.class_labels import as_class_ids
    from xpnet.inference.predict import predict_proba

    every = data.with_options(rows=None)
    network, images, labels, ids = _predicted(every, model, options)
    labels = expected(data, network, labels)
    classes = as_data_error(data.labels_path, as_class_ids, network, labels)
    wrong = np.flatnonzero(ids != classes)
    shares = predict_proba(network, images[wrong], **options.batching())
    shares = shares[range(len(wrong)), ids[wrong]]
    order = np.argsort(-shares, kind="stable")[: data.rows]
    shown, names = wrong[order], _class_names(network)
    summary = f"{len(wrong):,} mistake{'s' * (len(wrong) != 1)} among {len(ids):,} images"
    summary += f"; {len(shown)} shown, the most probable first" * (len(wrong) > 0)
    return [images[shown], names[classes[shown]], names[ids[shown]], shares[order]], summary


def _predicted(data: Data, model: Model, options: DeviceOptions) -> "tuple[Network, Any, Any, Any]":
    """Return the network for the images of DATA, the images, their labels and predictions."""
    from xpnet.inference.predict import predict_ids
    from xpnet.inference.rows import as_rows
    from xpnet.pictures.images import as_images

    images, labels = data.read(features=model.network.n_in)
    if is_table(images):
        found = f"{images.shape[1]} numbers in each row"
        what = f"no pictures to show, but {found}; use predict or evaluate"
        raise DataError(what, file=data.path)
    network = with_range(model, images)
    if (added := added_text(model, network)) is not None:
        print_note(f"inputs {added}")
    rows = as_data_error(data.path, as_rows, images, network.n_in)
    with computation_errors(data.path, options.used_batch_size(network)):
        ids = predict_ids(network, rows, **options.batching())
    if not len(ids):
        print_note(f"{data.path} holds no images: nothing to show")
    return network, as_data_error(data.path, as_images, images), labels, ids


def _class_names(network: "Network") -> Any:
    import numpy as np

    return np.asarray(network.classes or range(network.n_classes))
