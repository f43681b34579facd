"""Folders of pictures, all in one or in a folder per class."""

import re
import warnings
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import ImageBlocks
from xpnet.datasets.picture_files import PICTURES, picture_blocks
from xpnet.files import DataError, DataWarning, open_source, quoted
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files import Source

__all__ = ["number_labels", "open_picture_folder"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def open_picture_folder(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open the images in a folder.

    Pictures, known by their suffixes, are in natural order (2.png before 10.png). In folders of
    classes they take turns, so that the first rows show all classes. The labels are the names of
    these folders, as strings. Raise DataError if there are no pictures, or pictures and folders of
    pictures, or more than 256 classes.
    """
    folder = Path(source.name)
    children = _visible(folder)
    entries = children + [path for child in children if child.is_dir() for path in _visible(child)]
    pictures = [path for path in entries if path.suffix.lower() in _SUFFIXES and path.is_file()]
    paths = [path for path in pictures if path.parent == folder]
    classes: dict[str, list[Path]] = {}
    for path in pictures[len(paths) :]:
        classes.setdefault(path.parent.name, []).append(path)
    n_others = len(entries) - len(pictures) - len(classes)
    if bool(paths) == bool(classes):
        msg = "pictures beside folders of pictures" if paths else "folder without pictures"
        found = f"{len(paths)} pictures, {len(classes)} folders of pictures, {n_others} others"
        rule = f"IDX files; or {PICTURES}, all in this folder or all in one folder per class"
        # Such as train and test, each with a folder per class.
        below = [path for path in entries if path.parent != folder and path.is_dir()]
        parts = dict.fromkeys(printable(path.parent.name) for path in below)
        hint = f"give its folder {' or '.join([*parts][:2])}" if parts and not paths else None
        raise DataError(msg, file=source.name, found=found, expected=rule, hint=hint)
    if n_others:
        msg = f"{printable(source.name)}: other files and folders are left out ({n_others:,})"
        warnings.warn(msg, DataWarning, stacklevel=4)
    labels = None
    if classes:
        turns = zip_longest(*classes.values())
        pairs = [(x, i) for turn in turns for i, x in enumerate(turn) if x is not None]
        paths = [path for path, _ in pairs]
        if options.own_labels:
            labels = _checked_names([*classes], source.name, options)[[i for _, i in pairs]]
    source.incoming.size = sum(path.stat().st_size for path in paths)
    blocks = picture_blocks(map(open_source, paths), source.name, labels, options)
    return ImageBlocks(blocks, len(paths), labels is not None, place="by folder")


def number_labels(labels: NDArray[Any]) -> tuple[NDArray[np.uint8], tuple[str, ...] | None]:
    """Return labels as class ids, and the names of the classes in natural order.

    The names are None if labels are integers, or strings of different numbers from 0 to 255.
    """
    if labels.dtype.kind != "U":
        return labels, None
    names = tuple(sorted(set(labels.tolist()), key=_natural))
    numbers = [int(name) if re.fullmatch("[0-9]{1,9}", name) else 256 for name in names]
    are_numbers = max(numbers, default=0) <= 255 and len(set(numbers)) == len(names)
    ids = dict(zip(names, numbers if are_numbers else range(len(names)), strict=True))
    found = np.asarray([ids[name] for name in labels.tolist()], np.uint8)
    return found, None if are_numbers else names


def _natural(name: str) -> tuple[list[Any], str]:
    """Return the sorting key that orders digits as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _visible(folder: Path) -> list[Path]:
    """Return the files and folders in a folder in natural order, without hidden ones."""
    paths = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(paths, key=lambda path: _natural(path.name))


def _checked_names(names: list[str], folder: str, options: "ReadOptions") -> NDArray[Any]:
    """Return the names of the classes, which must be printable and not too many."""
    labels, largest = np.asarray(names), len(names) - 1
    if largest <= options.largest_label:
        largest = int(number_labels(labels)[0].max())
    if largest > options.largest_label:
        rule = f"integers from 0 to {options.largest_label}, or at most as many names"
        msg, found = "folders of classes", f"{len(names)} from {names[0]} to {names[-1]}"
        raise DataError(msg, file=folder, found=found, expected=rule)
    if (name := next((name for name in names if not name.isprintable()), None)) is not None:
        msg, found = "name of a folder of a class", quoted(name)
        raise DataError(msg, file=folder, found=found, expected="printable characters in UTF-8")
    return labels
