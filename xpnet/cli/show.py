"""``xpnet show``: images with their labels and predictions, and pictures of a network's layers."""

import argparse
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from shutil import get_terminal_size
from typing import Any, TypeAlias

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_output_arguments,
    check_output,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.evaluate import labelled
from xpnet.cli.input_range import blocks_in_range, with_range
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, note_nonfinite
from xpnet.cli.streams import print_note, standard_output

# A function that draws, its arguments, and a summary.
_Drawing: TypeAlias = tuple[Callable[..., Any], Sequence[Any], str]
# Default numbers of rows.
_IN_PICTURE, _IN_TERMINAL, _IN_HISTOGRAMS = 25, 10, 1000


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "show",
        help="draw images with their labels and predictions, or a network's layers",
        description="Draw images with their labels, and with the predictions that differ from them:"
        " in the terminal, or with -o FILE as a picture, which needs matplotlib.",
        examples=("show --rows 5", "show train.csv --mistakes -o mistakes.png"),
        common="--rows --labels --mistakes --weights --activations --model --output --force",
    )
    text = f"show N images (default: {_IN_PICTURE}; {_IN_TERMINAL} in the terminal); with"
    text += f" --activations, compute the first N (default: {_IN_HISTOGRAMS})"
    add_data_arguments(parser, rows_text=text)
    group = parser.add_mutually_exclusive_group()
    text = "show wrong predictions only, of all images, those of the highest probability first"
    group.add_argument("--mistakes", action="store_true", help=text)
    text = "draw the weights of each unit of the first layer as an image, without DATA"
    group.add_argument("--weights", action="store_true", help=text)
    text = "draw a histogram of the outputs of each layer"
    group.add_argument("--activations", action="store_true", help=text)
    add_device_arguments(parser)
    add_model_arguments(parser)
    add_output_arguments(parser, "a .png, .svg or .pdf file (default: text in the terminal)")
    add_common_arguments(parser, run, json=False)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    draws_layers = args.weights or args.activations
    if args.output is not None:
        check_output(args.output, force=args.force, kind="picture")
    elif draws_layers:
        msg = f"--{'weights' if args.weights else 'activations'} needs -o FILE, a picture"
        raise UsageError(msg)
    default = _IN_PICTURE if args.output else _IN_TERMINAL
    default = _IN_HISTOGRAMS if args.activations else default
    data = data if data.rows is not None else replace(data, rows=default)
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    if options.device == "auto":
        print_note(device.reason)
    if draws_layers:
        draw, given, summary = _layers(data, model, weights=args.weights)
    else:
        draw, given, summary = _images(data, model, options, mistakes=args.mistakes)
        if args.output is None:
            return Outcome(lines=[*_as_text(*given), *[summary] * args.mistakes])
    from xpnet.pictures.saving import save_figure

    try:
        figure = draw(*given)
    except ValueError as error:
        raise UsageError(str(error)) from error
    save_figure(figure, args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output} ({summary})"])


def _images(data: Data, model: Model, options: DeviceOptions, *, mistakes: bool) -> _Drawing:
    """Draw the first images of DATA, or the most probable wrong predictions of all."""
    import numpy as np

    from xpnet.inference.batches import as_rows
    from xpnet.inference.class_labels import as_class_ids
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict_ids, predict_proba
    from xpnet.pictures.images import as_images, show

    n_in, is_regression = model.network.n_in, model.network.output == "values"
    if mistakes and is_regression:
        msg = f"{model.name} is a regression, which has no classes to mistake; omit --mistakes"
        raise UsageError(msg)
    if mistakes:
        n_classes = None if model.network.classes else min(model.network.n_classes, 256)
        found = replace(data, rows=None).stream(features=n_in, classes=n_classes)
    else:
        found = iter([data.read(features=n_in)])
    network, blocks = blocks_in_range(model, data.path, found)
    classes = np.asarray(network.classes or range(network.n_classes))
    labels: Any
    columns: list[Any] = []
    n_images = n_wrong = 0
    size = options.used_batch_size(network)
    with computation_errors(data.path, size), count_nonfinite() as nonfinite:
        for block, labels in labelled(data, network, blocks) if mistakes else blocks:
            rows = as_data_error(data.path, as_rows, block, n_in)
            images = as_data_error(data.path, as_images, block)
            ids = predict_ids(network, rows, **options.batching())
            n_images += len(rows)
            names = labels
            if network.classes and labels is not None:
                with suppress(ValueError):  # labels that are no classes are shown as they are
                    names = classes[as_class_ids(network, labels)]
            if not mistakes:
                columns = [images, names, None if is_regression else classes[ids]]
                continue
            wrong = np.flatnonzero(ids != as_class_ids(network, labels))
            n_wrong += len(wrong)
            shares = predict_proba(network, rows[wrong], **options.batching())
            shares = shares[np.arange(len(wrong)), ids[wrong]]
            more = [images[wrong], names[wrong], classes[ids[wrong]], shares]
            if columns:
                more = [np.concatenate(pair) for pair in zip(columns, more, strict=True)]
            order = np.argsort(-more[-1], kind="stable")[: data.rows]
            columns = [column[order] for column in more]
    note_nonfinite(network, nonfinite.n_images, n_images)
    if not n_images:
        print_note(f"{data.path} holds no images: nothing to show")
    if not mistakes:
        return show, columns, f"{n_images} images"
    summary = f"{n_wrong:,} mistake{'s' * (n_wrong != 1)} among {n_images:,} images"
    summary += f"; {len(columns[0])} shown, the most probable first" * (n_wrong > 0)
    return show, columns, summary


def _as_text(images: Any, *columns: Any) -> list[str]:
    """Return images as lines that fit the terminal, in ASCII if its encoding has no blocks."""
    from xpnet.pictures.images import captions_of
    from xpnet.pictures.text_images import text_images

    with standard_output() as output:
        encoding = getattr(output, "encoding", None) or "ascii"
    ascii_only = "?" in "▀▄█".encode(encoding, "replace").decode(encoding)
    width = get_terminal_size().columns
    return text_images(images, captions_of(images, *columns), width=width, ascii_only=ascii_only)


def _layers(data: Data, model: Model, *, weights: bool) -> _Drawing:
    """Draw the weights of the first layer, or the outputs of each layer for the rows of DATA."""
    from xpnet.arrays.namespace import array_namespace
    from xpnet.arrays.transfer import to_numpy
    from xpnet.inference.batches import on_network_device
    from xpnet.networks.execution import layer_results
    from xpnet.pictures.layers import draw_outputs, draw_weights

    weight = model.network.layers[0].weight
    if weights:
        return draw_weights, [to_numpy(weight)], "the first layer"
    rows, _ = data.read_rows(model.network.n_in, "compute")
    network = with_range(model, data.path, rows)
    with computation_errors(data.path, len(rows)):
        x = on_network_device(network, rows)
        results = list(layer_results(network, x, array_namespace(weight)))[1:]
    given = [network.layers, [(to_numpy(z), to_numpy(y)) for z, y in results]]
    return draw_outputs, given, f"{len(rows):,} images, {len(results)} layers"
