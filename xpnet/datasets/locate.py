"""The file and the part of a data set for a word, a folder or a file name."""

import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.datasets.fetch import DATA_SETS, fetch_once
from xpnet.files import DataError, DataWarning
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.datasets.read_options import FilePath, ReadOptions

__all__ = ["SAMPLE_IMAGES", "SPLITS", "choose_split", "locate"]

SAMPLE_IMAGES = Path(__file__).parent / "sample" / "images-idx3-ubyte.gz"
SPLITS = ("train", "test")

_PREFIXES = {"train": "train", "test": "t10k"}


def locate(path: "FilePath", options: "ReadOptions") -> "tuple[FilePath, ReadOptions]":
    """Return the file of images that a word, a folder or a file name means, and its options.

    A folder without IDX files is returned itself; otherwise the options for its file have no
    `split`. Raise the errors of `xpnet.fetch` for a data set known by name, and DataError if a
    folder does not contain the part `split`.
    """
    if path == "sample":
        return SAMPLE_IMAGES, options
    folder = Path(path)
    if path in DATA_SETS:
        folder = fetch_once(str(path))
    elif path == "-" or not folder.is_dir():
        return path, options
    files = _idx_images(folder)
    part = choose_split(str(path), files, options)
    if part is None:  # a folder of pictures
        return folder, options
    return files[part], replace(options, split=None, default_split=None)


def _idx_images(folder: Path) -> dict[str, Path]:
    """Return the files of images by their part, under the names with which MNIST is distributed."""
    found = {}
    for part, prefix in _PREFIXES.items():
        for end in (".gz", ""):  # an unpacked file comes first
            # Some copies have a dot for the second hyphen.
            for path in folder.glob(f"{prefix}-images[-.]idx3-ubyte{end}"):
                if path.is_file():
                    found[part] = path
    return found


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
