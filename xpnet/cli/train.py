"""``xpnet train``: training of a network on labelled images."""

import argparse
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, add_common_arguments, from_args
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_argument import add_device_argument
from xpnet.cli.device_choice import DeviceOptions, open_device
from xpnet.cli.report import Outcome, Stopwatch, network_text, table, transfers_text
from xpnet.cli.streams import print_note, progress_bar, write_error_text
from xpnet.cli.training_options import add_training_arguments, choose_options, options_text
from xpnet.cli.training_setup import (
    Examples,
    fitted,
    name_checkpoint,
    range_metadata,
    read_examples,
    reserved_files,
    write_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network
    from xpnet.training.run import Epoch, Run

# Options that are arguments of `xpnet.train`.
_SAME_NAMES = (
    *("epochs", "batch_size", "learning_rate", "validation", "patience"),
    *("augment", "distort", "seed"),
)
# He's scheme preserves the scale of their signals; Xavier's is for the others.
_RECTIFIERS = frozenset(
    {"celu", "elu", "gelu", "hard_silu", "leaky_relu", "mish", "relu", "relu6", "silu"}
)


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "train",
        help="train a network on labelled images",
        description="Train a classifier. Raw bytes are scaled to 0..1 by the network itself; the"
        " scaling is stored with the weights. The state of the training is kept in"
        " MODEL.checkpoint; after an interruption, --resume continues.",
        examples=(
            "train train.csv -o model.safetensors",
            "train sample -o model.npz --hidden 30 --activation relu --plot curve.png",
        ),
        common="--labels --hidden --activation --epochs --learning-rate"
        " --augment --validation --output --plot --resume --force --device",
    )
    add_data_arguments(parser, split="train")
    add_training_arguments(parser)
    add_device_argument(parser)
    text = "tf32 rounds the factors of products to 10 bits, on a GPU"
    parser.add_argument("--precision", choices=("float32", "tf32"), help=text)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.training.run import MOST_MEASURED, RunawayError

    diverged: RunawayError | None = None
    with reserved_files(args) as (checkpoint, replaces):
        # The errors of the device come first.
        device = open_device(DeviceOptions(args.device), stopwatch)
        stopwatch.switch("loading")
        data = from_args(Data, args)
        examples = read_examples(data, exclude=args.exclude, classes=args.classes)
        images = examples.images
        chosen, hint = choose_options(args, images)
        start = _untrained(args, examples)
        with stopwatch.measure("loading" if device.library == "numpy" else "device"):
            start = start.to(device)
        with name_checkpoint(checkpoint):
            try:
                with stopwatch.measure("computing"):
                    heading = f"training with {options_text(chosen)}{hint}"
                    trained = _train(args, start, examples, checkpoint, heading)
            except RunawayError as error:
                trained, diverged = error.run, error
            if trained.best is not None:
                write_run(trained, args, force=replaces)
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)
    if diverged is not None:
        best = trained.best
        kept = "" if best is None else f"; {args.output} holds the weights of epoch {best.number}"
        msg = f"{diverged}{kept}"
        raise UsageError(msg) from diverged
    n_learned = len(images) - int(args.validation * len(images))
    part = f"{MOST_MEASURED:,} of " if n_learned > MOST_MEASURED else ""
    measured = f"{part}the training images"
    return _outcome(args.output, device, trained, stopwatch, options=chosen, measured=measured)


def _untrained(args: argparse.Namespace, examples: Examples) -> "Network":
    """Return a network with random parameters; raise, before the training, errors of options."""
    from xpnet.datasets.picture_files import number_labels
    from xpnet.files.errors import DataError
    from xpnet.formats.load_save import serialized
    from xpnet.networks.initializers import init_network
    from xpnet.training.augmentation import Augmentation, image_shape

    images, names = examples.images, examples.names
    if args.augment or args.distort:
        shape = as_data_error(args.path, image_shape, images.shape)
        try:
            Augmentation(shape, args.augment, args.distort)
        except ValueError as error:
            raise UsageError(str(error)) from error
    if args.reproducible and (args.distort or args.preprocessing):
        given = "distort" if args.distort else args.preprocessing
        option = "whiten" if given in {"pca", "zca"} else given
        msg = f"--{option} does not go with --reproducible: its result depends on the machine"
        raise UsageError(msg)
    if args.patience and not int(args.validation * len(images)):
        msg = "--patience needs held-out images: --validation must be larger"
        raise UsageError(msg)
    if names and len(names) != (wanted := args.classes or max(len(names), 2)):
        what, found = "folders of classes", f"{len(names)}: {', '.join(names)}"
        raise DataError(what, file=args.path, found=found, expected=wanted)
    ids, _ = number_labels(examples.labels)
    n_classes = _n_classes(ids, args.classes or len(names or ()))
    sizes = prod(images.shape[1:]), *args.hidden, n_classes
    scheme: Any = "he" if args.activation in _RECTIFIERS else "xavier"
    try:
        network = init_network(sizes, seed=args.seed, activation=args.activation, scheme=scheme)
    except MemoryError as error:
        msg = f"--hidden: the layers do not fit: {error}"
        raise MemoryError(msg) from error
    split = {"validation": args.validation, "seed": args.seed}
    steps = fitted(args.path, images, args.preprocessing, **split)
    metadata = range_metadata(args.path, images, args.preprocessing)
    metadata["trained_on"] = examples.trained_on
    network = replace(network, preprocessing=steps, classes=names, metadata=metadata)
    try:
        serialized(network, args.output)  # the format may not be able to hold the network
    except ValueError as error:
        raise UsageError(str(error)) from error
    return network


def _train(
    args: argparse.Namespace,
    start: "Network",
    examples: Examples,
    checkpoint: "Path | None",
    heading: str,
) -> "Run":
    from xpnet.networks.reproducible import reproducible
    from xpnet.training.optimizers import OPTIMIZERS
    from xpnet.training.schedules import SCHEDULES
    from xpnet.training.train import train

    optimizer: Any = OPTIMIZERS[args.optimizer]
    optimizer = replace(optimizer, weight_decay=args.weight_decay)
    n_images = len(examples.images)
    n_learned = n_images - int(args.validation * n_images)
    with (
        computation_errors(args.path, args.batch_size, has_precision=False),
        _progress(args.epochs, n_learned, heading) as (progress, on_epoch),
    ):
        return train(
            reproducible(start) if args.reproducible else start,
            examples.images,
            examples.labels,
            **{name: getattr(args, name) for name in _SAME_NAMES},
            optimizer=optimizer,
            schedule=SCHEDULES[args.schedule](warmup=args.warmup),
            checkpoint=checkpoint,
            # Alone, --force keeps the result of the same training if that has ended.
            resume="finished" if args.force and not args.resume else args.resume,
            progress=progress,
            on_epoch=on_epoch,
        )


def _n_classes(labels: "NDArray[Any]", n_classes: int) -> int:
    """Return the number of classes; print a note about classes without images."""
    import numpy as np

    n_classes = n_classes or max(int(labels.max()) + 1, 2)
    missing = sorted(set(range(n_classes)) - set(np.unique(labels).tolist()))
    if missing:
        names = ", ".join(map(str, missing[:5])) + (" ..." if len(missing) > 5 else "")
        print_note(f"no image of class {names}: the network cannot learn it")
    return n_classes


@contextmanager
def _progress(
    n_epochs: int, n_images: int, heading: str
) -> "Iterator[tuple[Callable[[int], None] | None, Callable[[Epoch], None]]]":
    """Yield the callbacks that show the progress: a bar on a terminal, and a line per epoch.

    The heading comes with the first epoch: an error of the data, before it, remains one line.
    """
    lines = [heading]
    with progress_bar(total=n_epochs * n_images, unit_scale=True) as bar:

        def show(epoch: "Epoch") -> None:
            learned = f"loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
            held_out = epoch.validation_accuracy
            validation = "" if held_out is None else f", validation accuracy {held_out:.4f}"
            number = f"epoch {epoch.number}/{n_epochs}"
            lines.append(f"{number}: {learned}{validation}, {epoch.seconds:.1f} s")
            text = "\n".join(lines)
            lines.clear()
            if bar is None:
                write_error_text(f"{text}\n")
                return
            bar.n = epoch.number * n_images  # includes epochs before an interruption
            bar.write(text, file=bar.fp)
            accuracy = epoch.accuracy if held_out is None else held_out
            bar.set_postfix_str(f"loss {epoch.loss:.4f}, accuracy {accuracy:.4f}")

        yield None if bar is None else bar.update, show


def _outcome(
    output: str,
    device: "Device",
    trained: "Run",
    stopwatch: Stopwatch,
    *,
    options: "Mapping[str, Any]",
    measured: str,
) -> Outcome:
    best: Any = trained.best  # not None: there is at least one epoch
    network, transfers = network_text(trained.network), asdict(trained.transfers)
    facts = {
        "output": output,
        "options": options,
        "network": network,
        "loss": best.loss,
        "accuracy": best.accuracy,
        "validation_loss": best.validation_loss,
        "validation_accuracy": best.validation_accuracy,
        "best_epoch": best.number,
        "epochs": len(trained.history),
        "transfers": transfers,
        "device": device.name,
        "library": device.library,
        "device_reason": device.reason,
        "seconds": stopwatch.seconds(),
    }
    accuracy = best.validation_accuracy
    measured = f"{best.accuracy:.4f} on {measured}"
    held_out = "" if accuracy is None else ", the best on held-out images"
    rows = {
        "wrote": output,
        "network": network,
        "epoch": f"{best.number} of {len(trained.history)}{held_out}",
        "loss": f"{best.loss:.4f} nats on the training images",
        "accuracy": measured
        if accuracy is None
        else f"{accuracy:.4f} on held-out images, {measured}",
        "device": f"{device.name} ({device.library}, {device.hardware}; {device.reason})",
    }
    if any(transfers.values()):
        rows["transfers"] = transfers_text(transfers)
    return Outcome(facts, table(rows))
