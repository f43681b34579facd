"""Options of ``xpnet train``, and the values that they have by default."""

import argparse
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    add_option,
    file_name,
    not_negative,
    not_negative_number,
    positive,
    positive_number,
    positive_numbers,
    share,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Options that are printed when the training begins.
_PRINTED = (
    *("hidden", "activation", "optimizer", "learning_rate", "weight_decay", "schedule"),
    *("epochs", "batch_size", "validation", "seed", "augment"),
)


def _add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the training images."""
    add = partial(add_option, parser)
    add("--exclude DATA", file_name, "leave out the images of this data set, such as sample")
    text = "shift each image at random by up to N pixels in each epoch (default: 1 for images of"
    text += " bytes, of at least 16 x 16 pixels, with blank edges; 0 for other data)"
    add("--augment N", not_negative, text)
    text = "rotate, scale and bend each image at random by about X pixels in each epoch"
    add("--distort X", not_negative_number, text, default="0")
    preprocessing = parser.add_mutually_exclusive_group()
    text = "subtract each input's mean, divide by its standard deviation"
    standardize: Any = {"action": "store_const", "const": "standardize", "dest": "preprocessing"}
    preprocessing.add_argument("--standardize", help=text, **standardize)
    text = "make the inputs uncorrelated and of equal variance, by pca or zca (default: zca)"
    whiten = {"nargs": "?", "const": "zca", "choices": ("pca", "zca"), "dest": "preprocessing"}
    add_option(preprocessing, "--whiten", str, text, **whiten)


def _trainable(name: str) -> str:
    """Return the name of an activation, which must not be step; an argparse type."""
    if name == "step":
        msg = "step cannot be trained: its derivative is 0"
        raise argparse.ArgumentTypeError(msg)
    return name


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the images, the network, the training and the files."""
    from xpnet.functions.activations import ACTIVATIONS
    from xpnet.training.optimizers import OPTIMIZERS
    from xpnet.training.schedules import SCHEDULES

    _add_image_arguments(parser)
    add = partial(add_option, parser)
    add("--hidden N,N,...", positive_numbers, "widths of the hidden layers", default="100,100")
    names = sorted(name for name, row in ACTIVATIONS.items() if row.is_learnable)
    text = "activation of the hidden layers, such as sigmoid, tanh, relu or gelu"
    add("--activation NAME", _trainable, text, choices=names, default="relu")
    add("--classes N", positive, "number of classes (default: the largest label + 1, at least 2)")
    add("--epochs N", positive, "epochs", default=30)
    add("--batch-size N", positive, "images per update of the weights", default=100)
    text = ", ".join(OPTIMIZERS)
    add("--optimizer NAME", str, text, choices=list(OPTIMIZERS), default="adamw")
    text = "largest learning rate (default: 0.005 for adam and adamw, 0.1 for the others)"
    add("--learning-rate X", positive_number, text)
    add(
        "--weight-decay X",
        not_negative_number,
        "strength of weight decay (default: 0; adamw: 0.01)",
    )
    text = f"schedule of the learning rate: {', '.join(SCHEDULES)}; cosine goes down to zero"
    add("--schedule NAME", str, text, choices=list(SCHEDULES), default="cosine")
    text = "share of the steps in which the learning rate rises at the start, such as 0.1"
    add("--warmup SHARE", share, text, default="0")
    text = "share of the images that is held out to find the best epoch, whose weights are kept"
    add("--validation SHARE", share, text, default=0.1)
    add("--patience N", positive, "stop after N epochs without a better one (default: never)")
    add("--seed N", not_negative, "random seed", default=0)
    text = "learn weights that have the same bits on every device and library; not with --distort,"
    text += " --standardize and --whiten"
    parser.add_argument("--reproducible", action="store_true", help=text)
    _add_file_arguments(parser)


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the files to write, and for those of an earlier training."""
    add = partial(add_option, parser)
    add("-o --output MODEL", file_name, "a .safetensors, .npz or .onnx file", required=True)
    text = "write the loss and accuracy of each epoch as JSON, such as history.json"
    add("--history FILE", file_name, text)
    add("--plot FILE", file_name, "draw loss and accuracy by epoch: .png, .svg or .pdf")
    text = "continue from MODEL.checkpoint if it exists, with the same result to the bit; then"
    text += " replace all files"
    parser.add_argument("--resume", action="store_true", help=text)
    text = "replace files if they exist; start anew, unless MODEL.checkpoint holds the end of the"
    text += " same training"
    parser.add_argument("--force", action="store_true", help=text)


def choose_options(args: argparse.Namespace, images: "NDArray[Any]") -> tuple[dict[str, Any], str]:
    """Set the options whose defaults depend on others or on the data.

    Returns the main options by name, and the reason for the default of --augment.
    """
    from xpnet.training.augmentation import has_blank_edges
    from xpnet.training.optimizers import OPTIMIZERS

    optimizer: Any = OPTIMIZERS[args.optimizer]
    if args.learning_rate is None:
        args.learning_rate = optimizer.usual_rate
    if args.weight_decay is None:
        args.weight_decay = optimizer.weight_decay
    hint = ""
    if args.augment is None:
        args.augment = int(has_blank_edges(images))
        hint = " (no images with blank edges: not shifted)"
        if args.augment:
            hint = " (images with blank edges: shifted in each epoch, unless --augment 0)"
    return {name: getattr(args, name) for name in _PRINTED}, hint


def options_text(options: Mapping[str, Any]) -> str:
    """Return options as on a command line."""
    lists = {name: x if isinstance(x, tuple) else (x,) for name, x in options.items()}
    return " ".join(
        f"--{name.replace('_', '-')} {','.join(map(str, values))}" for name, values in lists.items()
    )
