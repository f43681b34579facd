"""Options of ``xpnet train``, and the values that they have by default."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt, prod
from typing import TYPE_CHECKING, Any, Literal

from xpnet.cli.arguments import (
    add_option,
    file_name,
    fraction,
    not_negative_integer,
    not_negative_number,
    positive_integer,
    positive_integers,
    positive_number,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Options that are printed when the training begins.
_PRINTED = (
    *("hidden", "activation", "optimizer", "learning_rate", "weight_decay", "schedule"),
    *("epochs", "batch_size", "validation", "seed", "augment"),
)
# Options that are arguments of `xpnet.train`.
_SAME_NAMES = (
    *("epochs", "batch_size", "learning_rate", "validation", "patience"),
    *("augment", "schedule", "seed"),
)
_USUAL_SHARE, _FEW_ROWS = 0.1, 500


def _add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the training images."""
    add = partial(add_option, parser)
    text = "shift each image at random by up to N pixels in each epoch, such as 1 for digits"
    add("--augment N", not_negative_integer, text, default=0)
    preprocessing = parser.add_mutually_exclusive_group()
    text = "subtract each input's mean, divide by its standard deviation: the default for tables"
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
    add("--hidden N,N,...", positive_integers, "widths of the hidden layers", default="100,100")
    names = sorted(name for name, row in ACTIVATIONS.items() if row.is_learnable)
    text = "activation of the hidden layers, such as sigmoid, tanh, relu or gelu"
    add("--activation NAME", _trainable, text, choices=names, default="relu")
    add(
        "--classes N",
        positive_integer,
        "number of classes (default: those of the labels, at least 2)",
    )
    add("--epochs N", positive_integer, "epochs", default=30)
    text = "images per update of the weights (default: an eighth of all, but 8 to 100)"
    add("--batch-size N", positive_integer, text)
    text = ", ".join(OPTIMIZERS)
    add("--optimizer NAME", str, text, choices=list(OPTIMIZERS), default="adamw")
    text = "largest learning rate (default: 0.005 for adam and adamw, 0.1 for the others)"
    add("--learning-rate X", positive_number, text)
    add(
        "--weight-decay X",
        not_negative_number,
        "strength of weight decay (default: 0; adamw: 0.01)",
    )
    text = f"course of the learning rate: {' or '.join(SCHEDULES)}; cosine goes down to zero"
    add("--schedule NAME", str, text, choices=list(SCHEDULES), default="cosine")
    text = "share of the images held out to choose the best epoch"
    text += f" (default: {_USUAL_SHARE}; 0 for tables of fewer than {_FEW_ROWS} rows)"
    add("--validation SHARE", fraction, text)
    add(
        "--patience N",
        positive_integer,
        "stop after N epochs without a better one (default: never)",
    )
    add("--seed N", not_negative_integer, "random seed", default=0)
    text = "learn weights that have the same bits on every device and library; not with"
    text += " --standardize and --whiten"
    parser.add_argument("--reproducible", action="store_true", help=text)
    _add_file_arguments(parser)


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the files to write."""
    add = partial(add_option, parser)
    add("-o --output MODEL", file_name, "a .safetensors, .npz or .onnx file", required=True)
    text = "write the loss and accuracy of each epoch as JSON, such as history.json"
    add("--history FILE", file_name, text)
    add("--plot FILE", file_name, "draw loss and accuracy by epoch: .png, .svg or .pdf")
    text = "replace files if they exist"
    parser.add_argument("--force", action="store_true", help=text)


@dataclass(frozen=True)
class TrainArguments:
    """The options of the images, the network and the training.

    The defaults of some depend on the optimizer or on the images, see `completed`.
    """

    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    learning_rate: float | None
    weight_decay: float | None
    schedule: str
    epochs: int
    batch_size: int | None
    validation: float | None
    patience: int | None
    seed: int
    augment: int
    classes: int | None
    preprocessing: Literal["standardize", "pca", "zca"] | None
    reproducible: bool

    def n_held_out(self, n_images: int) -> int:
        """Return the number of images that are held out."""
        return int((self.validation or 0.0) * n_images)

    def completed(self, images: "NDArray[Any]") -> "TrainArguments":
        """Return the options with all defaults."""
        from xpnet.training.optimizers import OPTIMIZERS
        from xpnet.training.train import usual_batch_size

        optimizer: Any = OPTIMIZERS[self.optimizer]
        rate, decay = self.learning_rate, self.weight_decay
        rate = optimizer.usual_rate if rate is None else rate
        decay = optimizer.weight_decay if decay is None else decay
        found: Any = {"learning_rate": rate, "weight_decay": decay}
        found["batch_size"] = self.batch_size or usual_batch_size(len(images))
        share = self.validation
        if share is None:  # a few rows would choose an epoch by chance
            share = 0.0 if is_table(images) and len(images) < _FEW_ROWS else _USUAL_SHARE
        return replace(self, validation=share, **found)

    def keywords(self) -> dict[str, Any]:
        """Return the arguments of `xpnet.train`."""
        from xpnet.training.optimizers import OPTIMIZERS

        optimizer: Any = OPTIMIZERS[self.optimizer]
        return {
            **{name: getattr(self, name) for name in _SAME_NAMES},
            "optimizer": replace(optimizer, weight_decay=self.weight_decay),
        }

    def printed(self) -> dict[str, Any]:
        """Return the options that are printed when the training begins."""
        return {name: getattr(self, name) for name in _PRINTED}


def is_table(images: "NDArray[Any]") -> bool:
    """Return whether rows are floating-point numbers, but not the pixels of a picture."""
    from xpnet.networks.input_range import FEWEST_PIXELS

    n = prod(images.shape[1:])
    is_square = images.ndim > 2 or isqrt(n) ** 2 == n
    return images.dtype.kind == "f" and not (n >= FEWEST_PIXELS and is_square)


def options_text(options: Mapping[str, Any]) -> str:
    """Return options as on a command line."""
    lists = {name: x if isinstance(x, tuple) else (x,) for name, x in options.items()}
    return " ".join(
        f"--{name.replace('_', '-')} {','.join(map(str, values))}" for name, values in lists.items()
    )
