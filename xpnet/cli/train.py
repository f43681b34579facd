"""``xpnet train``: a network that learns from labelled images."""

import argparse
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
)
from xpnet.cli.device_choice import open_device
from xpnet.cli.report import network_text, print_json, print_table, transfers_text
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import on_terminal, progress_bar, tell, write_error_text
from xpnet.cli.training_arguments import add_learning_arguments
from xpnet.cli.training_data import add_example_arguments, fitted, read_examples
from xpnet.cli.training_files import checked_files, told_where, write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network
    from xpnet.training.run import Epoch, Run, RunawayError

__all__ = ["add_parser"]


# Forward, and backward to the weights and to the inputs of each layer.
_PASSES = 3
# Of which He's scheme keeps the size of the signals; Xavier's is for the others.
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
        " scaling is stored with the weights. While it learns, all is kept in MODEL.checkpoint:"
        " after an interruption, --resume goes on from there.",
        allow_abbrev=False,
    )
    add_example_arguments(parser)
    add_learning_arguments(parser)
    add_device_argument(parser)
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32"),
        help="tf32 rounds the factors of products to 10 bits, on a GPU",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.training.run import RunawayError

    checkpoint, force = checked_files(args)
    if args.device != "auto":  # what is wrong there is told first
        device = open_device(args, stopwatch)
    stopwatch.switch("loading")
    images, labels = read_examples(args)
    if args.patience and not int(args.validation * len(images)):
        msg = "--patience needs images held out: --validation must be larger"
        raise UsageError(msg)
    start = _start(args, images, labels)
    if args.device == "auto":
        rows = args.epochs * len(images), images.dtype.itemsize
        device = open_device(args, stopwatch, start, rows=rows, passes=_PASSES)
    with stopwatch.measure("loading" if device.library == "numpy" else "device"):
        start = start.to(device)
    with told_where(checkpoint):
        try:
            with stopwatch.measure("computing"), _progress(args, len(images)) as callbacks:
                trained = _trained(args, (start, images, labels), checkpoint, callbacks)
        except RunawayError as error:
            raise UsageError(_saved(args, error, checkpoint, force=force)) from error
        write_run(args, trained, force=force)
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
    _report(args, device, trained, stopwatch)
    return 0


def _start(args: argparse.Namespace, images: "NDArray[Any]", labels: "NDArray[Any]") -> "Network":
    """Return the network as it is before it learns anything."""
    import numpy as np

    from xpnet.formats.load_save import serialized
    from xpnet.networks.initializers import init_network

    n_classes = args.classes or max(int(labels.max()) + 1, 2)
    missing = sorted(set(range(n_classes)) - set(np.unique(labels).tolist()))
    if missing:
        names = ", ".join(map(str, missing[:5])) + (" ..." if len(missing) > 5 else "")
        tell(f"no image of class {names}: the network cannot learn it")
    try:
        network = init_network(
            (prod(images.shape[1:]), *args.hidden, n_classes),
            seed=args.seed,
            activation=args.activation,
            scheme="he" if args.activation in _RECTIFIERS else "xavier",
        )
        network = replace(network, preprocessing=fitted(args, images))
    except MemoryError as error:
        msg = f"--hidden: the layers do not fit: {error}"
        raise MemoryError(msg) from error
    try:
        serialized(network, args.output)  # whether it can be written is not left to the end
    except ValueError as error:
        raise UsageError(str(error)) from error
    return network


def _trained(
    args: argparse.Namespace,
    examples: "tuple[Network, NDArray[Any], NDArray[Any]]",
    checkpoint: Path | None,
    callbacks: "tuple[Callable[[int], None] | None, Callable[[Epoch], None]]",
) -> "Run":
    """Return what came of the training."""
    from xpnet.training.optimizers import OPTIMIZERS
    from xpnet.training.schedules import SCHEDULES
    from xpnet.training.train import train

    args.n_batch = args.batch_size  # for the message of a MemoryError
    optimizer: Any = OPTIMIZERS[args.optimizer]
    if args.weight_decay is not None:
        optimizer = replace(optimizer, weight_decay=args.weight_decay)
    return train(
        *examples,
        epochs=args.epochs,
        batch_size=args.batch_size,
        optimizer=optimizer,
        learning_rate=args.learning_rate,
        schedule=SCHEDULES[args.schedule](args.warmup),
        validation=args.validation,
        patience=args.patience,
        augment=args.augment,
        distort=args.distort,
        seed=args.seed,
        checkpoint=checkpoint,
        resume="finished" if args.force and not args.resume else args.resume,
        progress=callbacks[0],
        on_epoch=callbacks[1],
    )


def _saved(
    args: argparse.Namespace, error: "RunawayError", checkpoint: Path | None, *, force: bool
) -> str:
    """Write what was good until the weights ran away; return the message."""
    message = str(error)
    if error.run.best is not None:
        write_run(args, error.run, force=force)
        message += f"; {args.output} holds the weights of epoch {error.run.best.number}"
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return message


@contextmanager
def _progress(
    args: argparse.Namespace, n_images: int
) -> "Iterator[tuple[Callable[[int], None] | None, Callable[[Epoch], None]]]":
    """Give the callbacks that show how far it is: a bar on a terminal, and a line an epoch."""
    if not on_terminal():
        yield None, lambda epoch: write_error_text(_epoch_line(epoch, args.epochs) + "\n")
        return
    n_learned = n_images - int(args.validation * n_images)
    with progress_bar(total=args.epochs * n_learned, unit=" images", unit_scale=True) as bar:

        def show(epoch: "Epoch") -> None:
            bar.n = epoch.number * n_learned  # also of epochs before an interruption
            bar.write(_epoch_line(epoch, args.epochs), file=bar.fp)
            known = (
                epoch.accuracy if epoch.validation_accuracy is None else epoch.validation_accuracy
            )
            bar.set_postfix_str(f"loss {epoch.loss:.4f}, accuracy {known:.4f}")

        yield bar.update, show


def _epoch_line(epoch: "Epoch", n_epochs: int) -> str:
    accuracy = epoch.validation_accuracy
    validation = "" if accuracy is None else f", validation accuracy {accuracy:.4f}"
    learned = f"loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
    return f"epoch {epoch.number}/{n_epochs}: {learned}{validation}, {epoch.seconds:.1f} s"


def _report(
    args: argparse.Namespace, device: "Device", trained: "Run", stopwatch: Stopwatch
) -> None:
    best = trained.best
    assert best is not None  # noqa: S101 (there is at least one epoch; for the type checker)
    transfers = asdict(trained.transfers)
    if args.json:
        print_json(
            {
                "output": args.output,
                "network": repr(trained.network),
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
        )
        return
    accuracy = best.validation_accuracy
    rows = {
        "wrote": args.output,
        "network": network_text(repr(trained.network)),
        "epoch": f"{best.number} of {len(trained.history)}"
        + ("" if accuracy is None else ", the best on images held out"),
        "loss": f"{best.loss:.4f} nats on the training images",
        "accuracy": "n/a" if accuracy is None else f"{accuracy:.4f} on images held out",
        "device": f"{device.name} ({device.library}, {device.hardware}; {device.reason})",
    }
    if any(transfers.values()):
        rows["transfers"] = transfers_text(transfers)
    print_table(rows)
