"""``xpnet train``: a network that learns from labelled images."""

import argparse
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict
from math import prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    as_data_error,
    not_negative,
    on_terminal,
    positive,
    read_options,
)
from xpnet.cli.report import network_text, print_json, print_table, transfers_text
from xpnet.cli.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.training.train import Epoch, Run

__all__ = ["add_parser"]


# Of which He's scheme keeps the size of the signals; Xavier's is for the others.
_RECTIFIERS = frozenset(
    {"celu", "elu", "gelu", "hard_silu", "leaky_relu", "mish", "relu", "relu6", "silu"}
)


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    from xpnet.arrays.device import add_device_argument
    from xpnet.functions.activations import ACTIVATIONS

    parser = commands.add_parser(
        "train",
        help="train a network on labelled images",
        description="Train a classifier by Adam. Raw bytes are scaled to 0..1 by the network"
        " itself; the scaling is stored with the weights.",
        allow_abbrev=False,
    )
    add_data_arguments(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="MODEL", help="a .safetensors, .npz or .onnx file"
    )
    parser.add_argument("--force", action="store_true", help="replace MODEL if it exists")
    parser.add_argument(
        "--hidden",
        type=_widths,
        default=(50, 100),
        metavar="N,N,...",
        help="the widths of the hidden layers (default: 50,100)",
    )
    parser.add_argument(
        "--activation",
        choices=sorted(name for name, row in ACTIVATIONS.items() if row.is_learnable),
        default="sigmoid",
        metavar="NAME",
        help="of the hidden layers, such as sigmoid, tanh, relu or gelu (default: sigmoid)",
    )
    parser.add_argument(
        "--classes", type=positive, metavar="N", help="how many (default: the largest label + 1)"
    )
    parser.add_argument("--epochs", type=positive, default=20, metavar="N", help="(default: 20)")
    parser.add_argument(
        "--batch-size", type=positive, default=100, metavar="N", help="(default: 100)"
    )
    parser.add_argument(
        "--learning-rate",
        type=_rate,
        default=0.005,
        metavar="X",
        help="at the start; it falls to zero by a cosine (default: 0.005)",
    )
    parser.add_argument(
        "--validation",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="of the images, held out to measure the accuracy (default: 0.1)",
    )
    parser.add_argument(
        "--augment",
        type=not_negative,
        default=0,
        metavar="N",
        help="move each image by up to N pixels whenever it is met (default: 0)",
    )
    parser.add_argument(
        "--exclude",
        metavar="DATA",
        help="leave out the images of this data set, such as sample",
    )
    parser.add_argument("--seed", type=not_negative, default=0, metavar="N", help="(default: 0)")
    add_device_argument(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def _widths(text: str) -> tuple[int, ...]:
    return tuple(positive(width) for width in text.split(","))


def _rate(text: str) -> float:
    return _number(text, lambda x: 0 < x < float("inf"), "a positive number")


def _share(text: str) -> float:
    return _number(text, lambda x: 0 <= x < 1, "a number from 0 to below 1")


def _number(text: str, fits: "Callable[[float], bool]", rule: str) -> float:
    with suppress(ValueError):
        if fits(float(text)):
            return float(text)
    msg = f"must be {rule}; got {text!r}"
    raise argparse.ArgumentTypeError(msg)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.arrays.device import Device
    from xpnet.formats.choosing import save
    from xpnet.networks.initializers import init_network
    from xpnet.networks.preprocessing import Scale
    from xpnet.training.train import train

    _check_output(args.output, force=args.force)
    device = Device(args.device)
    stopwatch.switch("loading")
    images, labels = _read(args)
    n_classes = args.classes or max(int(labels.max()) + 1, 2)
    try:
        start = init_network(
            (prod(images.shape[1:]), *args.hidden, n_classes),
            seed=args.seed,
            activation=args.activation,
            scheme="he" if args.activation in _RECTIFIERS else "xavier",
            preprocessing=Scale(1 / 255) if images.dtype.kind == "u" else None,
            device=device,
        )
    except MemoryError as error:
        msg = f"--hidden: the layers do not fit into the memory: {error}"
        raise UsageError(msg) from error
    with stopwatch.measure("computing"), _progress(args, len(images)) as (progress, on_epoch):
        try:
            trained = train(
                start,
                images,
                labels,
                epochs=args.epochs,
                batch_size=args.batch_size,
                learning_rate=args.learning_rate,
                validation=args.validation,
                augment=args.augment,
                seed=args.seed,
                progress=progress,
                on_epoch=on_epoch,
            )
        except FloatingPointError as error:
            raise UsageError(str(error)) from error
    save(trained.network, args.output, force=args.force)
    _report(args, device, trained, stopwatch)
    return 0


def _check_output(path: str, *, force: bool) -> None:
    """Refuse a file that could not be written, before and not after the training."""
    from xpnet.files.writing import check_target
    from xpnet.formats.choosing import check_suffix

    try:
        check_suffix(path)
    except ValueError as error:
        raise UsageError(str(error)) from error
    check_target(path, force=force)


def _read(args: argparse.Namespace) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Return the images and labels to learn from."""
    from xpnet.datasets import read
    from xpnet.files.errors import DataError
    from xpnet.training.augmentation import image_shape

    images, labels = read(args.data, **read_options(args, classes=args.classes))
    if labels is None:
        what, hint = "no labels to learn from", "give them by --labels FILE"
        raise DataError(what, file=args.data, hint=hint)
    what = "no images to learn from"
    if args.exclude is not None:
        known = {image.tobytes() for image in _excluded(args, images)}
        kept = [i for i, image in enumerate(images) if image.tobytes() not in known]
        print(f"left out {len(images) - len(kept):,} images of {args.exclude}", file=sys.stderr)
        images, labels = images[kept], labels[kept]
        what = f"{what} that are not in {args.exclude}"
    if not len(images):
        raise DataError(what, file=args.data)
    if args.augment:
        as_data_error(args.data, image_shape, images.shape)
    return images, labels


def _excluded(args: argparse.Namespace, images: "NDArray[Any]") -> "NDArray[Any]":
    """Return the images of --exclude, in the dtype of those to learn from."""
    from xpnet.datasets import read
    from xpnet.files.errors import DataError

    options = read_options(args, want_labels=False) | {"rows": None, "labels": None}
    excluded, _ = read(args.exclude, **options)
    n_pixels, n_expected = prod(excluded.shape[1:]), prod(images.shape[1:])
    if n_pixels != n_expected:
        what = "images of another size than those to learn from"
        found, expected = f"{n_pixels} pixels", str(n_expected)
        raise DataError(what, file=args.exclude, found=found, expected=expected)
    # Bytes and their equal floating-point numbers are the same images.
    return excluded.astype(images.dtype)


@contextmanager
def _progress(
    args: argparse.Namespace, n_images: int
) -> "Iterator[tuple[Callable[[int], None] | None, Callable[[Epoch], None]]]":
    """Give the callbacks that show how far it is: a bar on a terminal, and a line an epoch."""
    if not on_terminal():
        yield None, lambda epoch: print(_epoch_line(epoch, args.epochs), file=sys.stderr)
        return
    from tqdm import tqdm

    n_learned = n_images - int(args.validation * n_images)
    with tqdm(total=args.epochs * n_learned, unit=" images", unit_scale=True, leave=False) as bar:
        yield bar.update, lambda epoch: bar.write(_epoch_line(epoch, args.epochs), file=sys.stderr)


def _epoch_line(epoch: "Epoch", n_epochs: int) -> str:
    accuracy = epoch.validation_accuracy
    validation = "" if accuracy is None else f", validation accuracy {accuracy:.4f}"
    loss = f"loss {epoch.loss:.4f}{validation}, {epoch.seconds:.1f} s"
    return f"epoch {epoch.number}/{n_epochs}: {loss}"


def _report(
    args: argparse.Namespace, device: "Device", trained: "Run", stopwatch: Stopwatch
) -> None:
    last = trained.history[-1]
    transfers = asdict(trained.transfers)
    if args.json:
        print_json(
            {
                "output": args.output,
                "network": repr(trained.network),
                "loss": last.loss,
                "validation_accuracy": last.validation_accuracy,
                "epochs": last.number,
                "transfers": transfers,
                "device": device.name,
                "library": device.library,
                "device_reason": device.reason,
                "seconds": stopwatch.seconds(),
            }
        )
        return
    accuracy = last.validation_accuracy
    rows = {
        "wrote": args.output,
        "network": network_text(repr(trained.network)),
        "loss": f"{last.loss:.4f} nats on the training images",
        "accuracy": "n/a" if accuracy is None else f"{accuracy:.4f} on images held out",
        "device": f"{device.name} ({device.library}, {device.hardware}; {device.reason})",
    }
    if any(transfers.values()):
        rows["transfers"] = transfers_text(transfers)
    print_table(rows)
