"""The training and test part of a data set, and the choice between them."""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from xpnet.files import DataError, DataWarning
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions

__all__ = ["SPLITS", "choose_split"]

SPLITS = ("train", "test")


def choose_split(
    name: str, parts: Mapping[str, Callable[[], int]], options: "ReadOptions"
) -> str | None:
    """Return the part of the data set `name` to read, or None if it has no `parts`.

    `parts` are functions that return the number of images. If both exist and `default_split`
    decides, DataWarning is given; if nothing decides, or `split` is missing, DataError is raised.
    """
    if options.split in parts:
        return options.split
    if options.split is not None:
        msg, found = f"no {options.split} part", ", ".join(parts) or "no parts"
        hint = None if parts else "leave out --split (split=)"
        raise DataError(msg, file=name, found=found, hint=hint)
    if len(parts) < len(SPLITS):
        return next(iter(parts), None)
    part = options.default_split
    if part is None:
        found = " and ".join(f"{part} ({parts[part]():,} images)" for part in SPLITS)
        msg, hint = "data of two parts", "choose one by --split test (in Python split='test')"
        raise DataError(msg, file=name, found=found, hint=hint)
    images, other = ("training images", "test") if part == "train" else ("test images", "train")
    msg = f"{printable(name)}: its {parts[part]():,} {images}; --split {other} for the others"
    warnings.warn(msg, DataWarning, stacklevel=2)
    return part
