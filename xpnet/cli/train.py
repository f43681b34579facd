"""``xpnet train``: training of a network on labelled images."""

import argparse
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_argument import add_device_argument
from xpnet.cli.device_choice import DeviceOptions, open_device
from xpnet.cli.report import Outcome, Stopwatch, network_text
from xpnet.cli.scaled_rows import data_facts, data_text
from xpnet.cli.streams import print_note, progress_bar, write_error_text
from xpnet.cli.training_options import TrainArguments, add_training_arguments, options_text
from xpnet.cli.training_setup import (
    TrainingFiles,
    fitted,
    read_examples,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network
    from xpnet.training.run import Run


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "train",
        help="train a network on labelled images",
        description="Train a classifier. Raw bytes are scaled to 0..1 by the network itself; the"
        " scaling is stored with the weights.",
        examples=(
            "train train.csv -o model.safetensors",
            "train sample -o model.npz --hidden 30 --activation relu --plot curve.png",
        ),
    )
    add_data_arguments(parser, split="train")
    add_training_arguments(parser)
    add_device_argument(parser)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.formats.load_save import serialized
    from xpnet.networks.column_names import with_input_names
    from xpnet.networks.reproducible import reproducible
    from xpnet.training.run import MOST_MEASURED, RunawayError, TrainingInterrupted
    from xpnet.training.train import train

    data, options = Data.from_args(args, args.path), from_args(TrainArguments, args)
    files, place = from_args(TrainingFiles, args), DeviceOptions(args.device)
    files.check()
    device = open_device(place, stopwatch)  # its errors come first
    stopwatch.switch("loading")
    images, labels, found = read_examples(data)
    n_images = len(images)
    options = options.completed(images)
    start = with_input_names(_untrained(data, options, images, labels), found.names)
    try:
        serialized(start, files.output)  # the format may not be able to hold the network
    except ValueError as error:
        raise UsageError(str(error)) from error
    labels = data.named(labels, start)
    with stopwatch.measure("loading" if device.library == "numpy" else "device"):
        start = start.to(device)
    start = reproducible(start) if options.reproducible else start
    try:
        with (
            stopwatch.measure("computing"),
            computation_errors(data.path, options.batch_size),
            _progress(options) as on_epoch,
        ):
            trained = train(start, images, labels, **options.keywords(), on_epoch=on_epoch)
    except (RunawayError, TrainingInterrupted) as error:
        message = f"{error}{files.write_best(error.run)}"
        if isinstance(error, TrainingInterrupted):
            print_note(message)
            raise
        raise UsageError(message) from error
    files.write(trained)
    n_learned = n_images - options.n_held_out(n_images)
    part = f"{MOST_MEASURED:,} of " if n_learned > MOST_MEASURED else ""
    measured = f"{part}the training images"
    read = {"total": n_images, **data_facts(found, images)}
    return _outcome(files.output, device, trained, options, stopwatch, read=read, measured=measured)


def _untrained(data: Data, options: TrainArguments, images: Any, labels: Any) -> "Network":
    """Return a network with random parameters; raise, before the training, errors of options."""
    import numpy as np

    from xpnet.datasets.fetch import DATA_SETS
    from xpnet.files.hashes import RowsFingerprint
    from xpnet.inference.class_labels import with_label_names
    from xpnet.networks.initializers import init_network
    from xpnet.training.augmentation import image_shape

    if options.augment:
        try:
            image_shape(images.shape, options.augment)
        except ValueError as error:
            raise UsageError(str(error)) from error
    if options.reproducible and options.preprocessing:
        option = "whiten" if options.preprocessing in {"pca", "zca"} else options.preprocessing
        msg = f"--{option} does not go with --reproducible: its result depends on the machine"
        raise UsageError(msg)
    if options.patience and not options.n_held_out(len(images)):
        msg = "--patience needs held-out images: --validation must be larger"
        raise UsageError(msg)
    names = DATA_SETS[data.path].classes if data.path in DATA_SETS else None
    n_classes = options.classes or max(len(names or np.unique(labels)), 2)
    sizes = prod(images.shape[1:]), *options.hidden, n_classes
    try:
        network = init_network(sizes, seed=options.seed, activation=options.activation)
    except MemoryError as error:
        msg = f"--hidden: the layers do not fit: {error}"
        raise MemoryError(msg) from error
    fingerprint = RowsFingerprint()
    fingerprint.update(images)
    network = replace(network, metadata={"trained_on": fingerprint.text()})
    if names is None:
        network = as_data_error(data.labels_path, with_label_names, network, labels)
    steps = fitted(data.path, images, options)
    changed = partial(replace, preprocessing=steps, classes=names or network.classes)
    return as_data_error(data.path, changed, network)


@contextmanager
def _progress(options: TrainArguments) -> "Iterator[Callable[[Run], None]]":
    """Yield a function that shows an epoch: a line, and on a terminal a bar of epochs.

    The heading comes with the first epoch: an error of the data, before it, remains one line.
    """
    lines = [f"training with {options_text(options.printed())}"]
    with progress_bar(unit=" epochs", total=options.epochs) as bar:

        def show(run: "Run") -> None:
            lines.append(str(run.history[-1]).replace(":", f"/{options.epochs}:", 1))
            text = "\n".join(lines)
            lines.clear()
            if bar is None:
                write_error_text(f"{text}\n")
            else:
                bar.write(text, file=bar.fp)
                bar.update()

        yield show


def _outcome(
    output: str,
    device: "Device",
    trained: "Run",
    options: TrainArguments,
    stopwatch: Stopwatch,
    *,
    read: dict[str, Any],
    measured: str,
) -> Outcome:
    best: Any = trained.best  # not None: there is at least one epoch
    accuracy = best.validation_accuracy
    facts = {
        "output": output,
        **read,
        "options": options.printed(),
        "network": network_text(trained.network),
        "loss": best.loss,
        "accuracy": best.accuracy,
        "validation_loss": best.validation_loss,
        "validation_accuracy": accuracy,
        "baseline": trained.baseline,
        "best_epoch": best.number,
        "epochs": len(trained.history),
        "device": device.name,
        "library": device.library,
        "device_reason": device.reason,
        "seconds": stopwatch.seconds(),
    }
    epoch, learned = f"{best.number} of {facts['epochs']}", f"{best.accuracy:.4f} on {measured}"
    if accuracy is not None:
        epoch += ", the best on held-out images"
        learned = f"{accuracy:.4f} on held-out images, {learned}"
    rows = {
        "accuracy": f"{learned} (the most frequent class: {trained.baseline:.3f})",
        "data": data_text(read, read["total"]),
        "loss": f"{best.loss:.4f} nats on the training images",
        "epoch": epoch,
        "wrote": output,
        "network": facts["network"],
        "device": f"{device.name} ({device.library}, {device.hardware}; {device.reason})",
    }
    return Outcome(facts, rows)
