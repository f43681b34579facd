"""What ``xpnet train`` learns from: labelled images, and what is done to them first."""

import argparse
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_data_arguments,
    as_data_error,
    file_name,
    not_negative,
    not_negative_number,
    read_options,
)
from xpnet.cli.streams import tell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.networks.preprocessing import Step

__all__ = ["add_example_arguments", "fitted", "read_examples"]


def add_example_arguments(parser: argparse.ArgumentParser) -> None:
    """Add DATA, and what is done to the images."""
    add_data_arguments(parser)
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
        help="move each image by up to N pixels whenever it is met (default: 0)",
    )
    parser.add_argument(
        "--distort",
        type=not_negative_number,
        default=0.0,
        metavar="X",
        help="turn, stretch and bend each image by about X pixels whenever it is met (default: 0)",
    )
    preprocessing = parser.add_mutually_exclusive_group()
    preprocessing.add_argument(
        "--standardize",
        action="store_true",
        help="subtract each input's mean, divide by its standard deviation",
    )
    preprocessing.add_argument(
        "--whiten",
        nargs="?",
        const="zca",
        choices=("pca", "zca"),
        help="make the inputs uncorrelated and of equal variance, by pca or zca (default: zca)",
    )


def read_examples(args: argparse.Namespace) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Return the images and labels to learn from."""
    from xpnet.datasets import read
    from xpnet.files.errors import DataError
    from xpnet.training.augmentation import Augmentation, image_shape

    images, labels = read(args.data, **read_options(args, classes=args.classes))
    if labels is None:
        what, hint = "no labels to learn from", "give them by --labels FILE"
        raise DataError(what, file=args.data, hint=hint)
    what = "no images to learn from"
    if args.exclude is not None:
        known = {image.tobytes() for image in _excluded(args, images)}
        kept = [i for i, image in enumerate(images) if image.tobytes() not in known]
        tell(f"left out {len(images) - len(kept):,} images of {args.exclude}")
        images, labels = images[kept], labels[kept]
        what = f"{what} that are not in {args.exclude}"
    if not len(images):
        raise DataError(what, file=args.data)
    if args.augment or args.distort:
        shape = as_data_error(args.data, image_shape, images.shape)
        try:
            Augmentation(shape, args.augment, args.distort)
        except ValueError as error:
            raise UsageError(str(error)) from error
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


def fitted(args: argparse.Namespace, images: "NDArray[Any]") -> "tuple[Step, ...]":
    """Return what is done to the inputs: fitted to the images that are learned from."""
    import numpy as np

    from xpnet.arrays.namespace import without_warnings
    from xpnet.files.errors import DataError
    from xpnet.networks.preprocessing import Scale, Standardize, Whiten, arrays_of, map_arrays
    from xpnet.training.examples import split

    if not (args.standardize or args.whiten):
        return (Scale(1 / 255),) if images.dtype.kind == "u" else ()
    kept, _ = split(len(images), args.validation, args.seed)
    rows = images.reshape(len(images), -1)[kept]
    n_constant = int((rows == rows[0]).all(axis=0).sum())
    if n_constant:
        what = f"{n_constant:,} of {rows.shape[1]:,} inputs are the same in all images"
        tell(f"{what}: they count as 0")
    fit = Standardize.fit if args.standardize else partial(Whiten.fit, method=args.whiten)
    step: Step = as_data_error(args.data, fit, rows)
    with without_warnings():
        step = map_arrays(step, lambda x: x.astype(np.float32))
    numbers = arrays_of(step)
    if not all(np.isfinite(x).all() for x in numbers.values()) or not np.all(
        numbers.get("scale", 1.0)
    ):
        what = "numbers too large, or too small, for float32"
        raise DataError(what, file=args.data)
    return (step,)
