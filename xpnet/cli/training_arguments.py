"""The arguments of ``xpnet train``: which network, how it learns, and what is written."""

import argparse

from xpnet.cli.arguments import (
    file_name,
    not_negative,
    not_negative_number,
    positive,
    positive_number,
    share,
)

__all__ = ["add_learning_arguments"]


def add_learning_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the network, how it learns, and what is written."""
    _add_network_arguments(parser)
    _add_learning_arguments(parser)
    _add_file_arguments(parser)


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    from xpnet.functions.activations import ACTIVATIONS

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


def _add_learning_arguments(parser: argparse.ArgumentParser) -> None:
    from xpnet.training.optimizers import OPTIMIZERS
    from xpnet.training.schedules import SCHEDULES

    parser.add_argument("--epochs", type=positive, default=20, metavar="N", help="(default: 20)")
    parser.add_argument(
        "--batch-size", type=positive, default=100, metavar="N", help="(default: 100)"
    )
    parser.add_argument(
        "--optimizer",
        choices=list(OPTIMIZERS),
        default="adam",
        metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: adam)",
    )
    parser.add_argument(
        "--learning-rate",
        type=positive_number,
        metavar="X",
        help="at its height (default: 0.005 for adam and adamw, 0.1 for the others)",
    )
    parser.add_argument(
        "--weight-decay", type=not_negative_number, metavar="X", help="(default: 0; adamw: 0.01)"
    )
    parser.add_argument(
        "--schedule",
        choices=list(SCHEDULES),
        default="cosine",
        metavar="NAME",
        help=f"of the learning rate: {', '.join(SCHEDULES)} (default: cosine, down to zero)",
    )
    parser.add_argument(
        "--warmup",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="of all steps, in which the learning rate rises first (default: 0)",
    )
    parser.add_argument(
        "--validation",
        type=share,
        default=0.1,
        metavar="SHARE",
        help="of the images, held out to find the best epoch, whose weights are kept"
        " (default: 0.1)",
    )
    parser.add_argument(
        "--patience",
        type=positive,
        metavar="N",
        help="stop after N epochs without a better one (default: never)",
    )
    parser.add_argument("--seed", type=not_negative, default=0, metavar="N", help="(default: 0)")


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        required=True,
        metavar="MODEL",
        help="a .safetensors, .npz or .onnx file",
    )
    parser.add_argument(
        "--history",
        type=file_name,
        metavar="FILE",
        help="write what was measured after each epoch, as JSON",
    )
    parser.add_argument(
        "--plot",
        type=file_name,
        metavar="FILE",
        help="draw loss and accuracy by epoch: .png, .svg or .pdf",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from MODEL.checkpoint, if it is there, with the same bits in the end; what is"
        " at MODEL and the other files then is replaced",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files if they exist; begin anew, unless MODEL.checkpoint holds the end of the"
        " same training",
    )


def _widths(text: str) -> tuple[int, ...]:
    return tuple(positive(width) for width in text.split(","))
