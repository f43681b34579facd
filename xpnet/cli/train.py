"""``xpnet train``: training of a network on labelled images."""

import argparse
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import Subparsers, UsageError, add_common_arguments, from_args
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, chosen_precision, open_device
from xpnet.cli.report import Outcome, Stopwatch, network_text, table, transfers_text
from xpnet.cli.streams import print_note, progress_bar, write_error_text
from xpnet.cli.training_arguments import (
    add_example_arguments,
    add_output_arguments,
    add_training_arguments,
)
from xpnet.cli.training_files import (
    fitted,
    name_checkpoint,
    read_examples,
    reserved_files,
    write_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network
    from xpnet.training.run import Epoch, Run

__all__ = ["add_parser"]

# Each layer's products: forward, and backward to the weights and to the inputs.
_PASSES = 3
# He's scheme preserves the scale of their signals; Xavier's is for the others.
_RECTIFIERS = frozenset(
    {"celu", "elu", "gelu", "hard_silu", "leaky_relu", "mish", "relu", "relu6", "silu"}
)


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    from xpnet.arrays.device import add_device_argument

    parser = commands.add_parser(
        "train",
        help="train a network on labelled images",
        description="Train a classifier. Raw bytes are scaled to 0..1 by the network itself; the"
        " scaling is stored with the weights. The state of the training is kept in"
        " MODEL.checkpoint: after an interruption, --resume continues from it.",
        allow_abbrev=False,
    )
    add_data_arguments(parser)
    add_example_arguments(parser)
    add_training_arguments(parser)
    add_output_arguments(parser)
    add_device_argument(parser)
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32"),
        help="tf32 rounds the factors of products to 10 bits, on a GPU",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.training.run import RunawayError
    from xpnet.training.schedules import SCHEDULES
    from xpnet.training.train import train

    data, outputs = from_args(Data, args), (args.output, args.history, args.plot)
    diverged: RunawayError | None = None
    device_options = DeviceOptions(args.device, args.precision, args.batch_size)
    is_auto = args.device == "auto"
    files = reserved_files(*outputs, resume=args.resume, force=args.force)
    with chosen_precision(device_options), files as (checkpoint, replaces):
        if not is_auto:  # errors of the device come first
            device = open_device(device_options, stopwatch)
        stopwatch.switch("loading")
        images, labels = read_examples(data, exclude=args.exclude, classes=args.classes)
        _check_options(data.path, images, args.augment, args.distort)
        n_held_out = int(args.validation * len(images))
        if args.patience and not n_held_out:
            msg = "--patience needs held-out images: --validation must be larger"
            raise UsageError(msg)
        sizes = prod(images.shape[1:]), *args.hidden, _n_classes(labels, args.classes)
        start = _untrained(sizes, args.activation, args.seed)
        steps = fitted(
            data.path, images, args.preprocessing, validation=args.validation, seed=args.seed
        )
        start = replace(start, preprocessing=steps)
        _check_writable(start, args.output)
        if is_auto:
            rows = args.epochs * len(images), images.dtype.itemsize
            device = open_device(device_options, stopwatch, start, rows=rows, passes=_PASSES)
        with stopwatch.measure("loading" if device.library == "numpy" else "device"):
            start = start.to(device)
        with name_checkpoint(checkpoint):
            try:
                with (
                    stopwatch.measure("computing"),
                    computation_errors(data.path, args.batch_size, has_precision=False),
                    _progress(args.epochs, len(images) - n_held_out) as (progress, on_epoch),
                ):
                    trained = train(
                        start,
                        images,
                        labels,
                        epochs=args.epochs,
                        batch_size=args.batch_size,
                        optimizer=_optimizer(args.optimizer, args.weight_decay),
                        learning_rate=args.learning_rate,
                        schedule=SCHEDULES[args.schedule](args.warmup),
                        validation=args.validation,
                        patience=args.patience,
                        augment=args.augment,
                        distort=args.distort,
                        seed=args.seed,
                        checkpoint=checkpoint,
                        # Alone, --force keeps the result of the same training if that has ended.
                        resume="finished" if args.force and not args.resume else args.resume,
                        progress=progress,
                        on_epoch=on_epoch,
                    )
            except RunawayError as error:
                trained, diverged = error.run, error
            if trained.best is not None:
                write_run(trained, *outputs, force=replaces)
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)
    if diverged is not None:
        best = trained.best
        kept = "" if best is None else f"; {args.output} holds the weights of epoch {best.number}"
        msg = f"{diverged}{kept}"
        raise UsageError(msg) from diverged
    return _outcome(args.output, device, trained, stopwatch)


def _check_options(path: str, images: "NDArray[Any]", augment: int, distort: float) -> None:
    """Raise an error if images of this shape cannot be augmented or distorted so far."""
    from xpnet.training.augmentation import Augmentation, image_shape

    if augment or distort:
        shape = as_data_error(path, image_shape, images.shape)
        try:
            Augmentation(shape, augment, distort)
        except ValueError as error:
            raise UsageError(str(error)) from error


def _optimizer(name: str, weight_decay: float | None) -> Any:
    from xpnet.training.optimizers import OPTIMIZERS

    optimizer: Any = OPTIMIZERS[name]
    return optimizer if weight_decay is None else replace(optimizer, weight_decay=weight_decay)


def _n_classes(labels: "NDArray[Any]", n_classes: int | None) -> int:
    """Return the number of classes; print a note about classes without images."""
    import numpy as np

    n_classes = n_classes or max(int(labels.max()) + 1, 2)
    missing = sorted(set(range(n_classes)) - set(np.unique(labels).tolist()))
    if missing:
        names = ", ".join(map(str, missing[:5])) + (" ..." if len(missing) > 5 else "")
        print_note(f"no image of class {names}: the network cannot learn it")
    return n_classes


def _untrained(sizes: tuple[int, ...], activation: str, seed: int) -> "Network":
    """Return a network with random parameters."""
    from xpnet.networks.initializers import init_network

    scheme: Any = "he" if activation in _RECTIFIERS else "xavier"
    try:
        return init_network(sizes, seed=seed, activation=activation, scheme=scheme)
    except MemoryError as error:
        msg = f"--hidden: the layers do not fit: {error}"
        raise MemoryError(msg) from error


def _check_writable(network: "Network", path: str) -> None:
    """Raise UsageError, before the training, if the format of a file cannot hold the network."""
    from xpnet.formats.load_save import serialized

    try:
        serialized(network, path)
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextmanager
def _progress(
    n_epochs: int, n_images: int
) -> "Iterator[tuple[Callable[[int], None] | None, Callable[[Epoch], None]]]":
    """Yield the callbacks that show the progress: a bar on a terminal, and a line per epoch."""
    with progress_bar(total=n_epochs * n_images, unit_scale=True) as bar:

        def show(epoch: "Epoch") -> None:
            line = _epoch_line(epoch, n_epochs)
            if bar is None:
                write_error_text(f"{line}\n")
                return
            bar.n = epoch.number * n_images  # includes epochs before an interruption
            bar.write(line, file=bar.fp)
            held_out = epoch.validation_accuracy
            accuracy = epoch.accuracy if held_out is None else held_out
            bar.set_postfix_str(f"loss {epoch.loss:.4f}, accuracy {accuracy:.4f}")

        yield None if bar is None else bar.update, show


def _epoch_line(epoch: "Epoch", n_epochs: int) -> str:
    accuracy = epoch.validation_accuracy
    validation = "" if accuracy is None else f", validation accuracy {accuracy:.4f}"
    learned = f"loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
    return f"epoch {epoch.number}/{n_epochs}: {learned}{validation}, {epoch.seconds:.1f} s"


def _outcome(output: str, device: "Device", trained: "Run", stopwatch: Stopwatch) -> Outcome:
    best: Any = trained.best  # not None: there is at least one epoch
    network, transfers = repr(trained.network), asdict(trained.transfers)
    facts = {
        "output": output,
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
    held_out = "" if accuracy is None else ", the best on held-out images"
    rows = {
        "wrote": output,
        "network": network_text(network),
        "epoch": f"{best.number} of {len(trained.history)}{held_out}",
        "loss": f"{best.loss:.4f} nats on the training images",
        "accuracy": "n/a" if accuracy is None else f"{accuracy:.4f} on held-out images",
        "device": f"{device.name} ({device.library}, {device.hardware}; {device.reason})",
    }
    if any(transfers.values()):
        rows["transfers"] = transfers_text(transfers)
    return Outcome(facts, table(rows))
