"""The training and test part of a data set, and the choice between them."""

import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING

from xpnet.files import DataError, DataWarning
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions

__all__ = ["SPLITS", "choose_split"]

SPLITS = ("train", "test")


def choose_split(name: str, parts: Collection[str], options: "ReadOptions") -> str | None:
    """Return the part of the data set `name` to read, or None if it has no `parts`.

    If it has both and `default_split` decides, DataWarning is given; if nothing decides, or `split`
    is missing, DataError is raised.
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
        msg, hint = "data of two parts", "choose one by --split test (in Python split='test')"
        raise DataError(msg, file=name, found="train and test", hint=hint)
    other = "test" if part == "train" else "train"
    msg = f"{printable(name)}: reading the {part} part; --split {other} reads the other"
    warnings.warn(msg, DataWarning, stacklevel=2)
    return part
