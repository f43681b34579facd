"""Arguments of ``xpnet train``: its images, the network, the training and the files to write."""

import argparse

from xpnet.cli.arguments import (
    file_name,
    not_negative,
    not_negative_number,
    positive,
    positive_number,
    positive_numbers,
    share,
)

__all__ = ["add_example_arguments", "add_output_arguments", "add_training_arguments"]


def add_example_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the training images."""
    parser.add_argument(
        "--exclude",
        type=file_name,
        metavar="DATA",
        help="leave out the images of this data set, such as sample",
    )
    parser.add_argument(
        "--augment",
        type=not_negative,
        default=0,
        metavar="N",
        help="shift each image at random by up to N pixels in each epoch (default: 0)",
    )
    parser.add_argument(
        "--distort",
        type=not_negative_number,
        default=0.0,
        metavar="X",
        help="rotate, scale and bend each image at random by about X pixels in each epoch"
        " (default: 0)",
    )
    preprocessing = parser.add_mutually_exclusive_group()
    preprocessing.add_argument(
        "--standardize",
        action="store_const",
        const="standardize",
        dest="preprocessing",
        help="subtract each input's mean, divide by its standard deviation",
    )
    preprocessing.add_argument(
        "--whiten",
        nargs="?",
        const="zca",
        dest="preprocessing",
        choices=("pca", "zca"),
        help="make the inputs uncorrelated and of equal variance, by pca or zca (default: zca)",
    )


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the network and the training."""
    from xpnet.functions.activations import ACTIVATIONS
    from xpnet.training.optimizers import OPTIMIZERS
    from xpnet.training.schedules import SCHEDULES

    add = parser.add_argument
    add(
        "--hidden",
        type=positive_numbers,
        default=(50, 100),
        metavar="N,N,...",
        help="widths of the hidden layers (default: 50,100)",
    )
    add(
        "--activation",
        choices=sorted(name for name, row in ACTIVATIONS.items() if row.is_learnable),
        default="sigmoid",
        metavar="NAME",
        help="activation of the hidden layers, such as sigmoid, tanh, relu or gelu (default:"
        " sigmoid)",
    )
    add(
        "--classes",
        type=positive,
        metavar="N",
        help="number of classes (default: the largest label + 1)",
    )
    add("--epochs", type=positive, default=20, metavar="N", help="epochs (default: 20)")
    add(
        "--batch-size",
        type=positive,
        default=100,
        metavar="N",
        help="images per update of the weights (default: 100)",
    )
    add(
        "--optimizer",
        choices=list(OPTIMIZERS),
        default="adam",
        metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: adam)",
    )
    add(
        "--learning-rate",
        type=positive_number,
        metavar="X",
        help="largest learning rate (default: 0.005 for adam and adamw, 0.1 for the others)",
    )
    add(
        "--weight-decay",
        type=not_negative_number,
        metavar="X",
        help="weight decay (default: 0; adamw: 0.01)",
    )
    add(
        "--schedule",
        choices=list(SCHEDULES),
        default="cosine",
        metavar="NAME",
        help=f"schedule of the learning rate: {', '.join(SCHEDULES)} (default: cosine, down to"
        " zero)",
    )
    add(
        "--warmup",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="share of the steps in which the learning rate rises at the start, such as 0.1"
        " (default: 0)",
    )
    add(
        "--validation",
        type=share,
        default=0.1,
        metavar="SHARE",
        help="share of the images that is held out to find the best epoch, whose weights are kept"
        " (default: 0.1)",
    )
    add(
        "--patience",
        type=positive,
        metavar="N",
        help="stop after N epochs without a better one (default: never)",
    )
    add("--seed", type=not_negative, default=0, metavar="N", help="random seed (default: 0)")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the files to write."""
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
        help="write the loss and accuracy of each epoch as JSON, such as history.json",
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
        help="continue from MODEL.checkpoint if it exists, with the same result to the bit; then"
        " replace MODEL and the other files",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files if they exist; start anew, unless MODEL.checkpoint holds the end of the"
        " same training",
    )
