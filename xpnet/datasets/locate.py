"""The file and the part of a data set for a word, a folder or a file name."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.datasets.fetch import DATA_SETS, fetch_once
from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import FilePath, ReadOptions

__all__ = ["SAMPLE_IMAGES", "SPLITS", "choose_split", "labels_beside", "locate"]

SPLITS = ("train", "test")

SAMPLE_IMAGES = Path(__file__).parent / "sample" / "images-idx3-ubyte.gz"
_PREFIXES = {"train": "train", "test": "t10k"}


def locate(path: "FilePath", options: "ReadOptions") -> "tuple[FilePath, str | None]":
    """Return the file of images, or the folder of pictures, and the part that this is, if any.

    Raise the errors of `xpnet.fetch` for a data set known by name, and DataError if a folder does
    not contain the part `split`.
    """
    if path == "sample":
        return SAMPLE_IMAGES, None
    folder = fetch_once(str(path)) if path in DATA_SETS else Path(path)
    if path == "-" or not folder.is_dir():
        return path, None
    files = _idx_images(folder)
    part = choose_split(str(path), files, options)
    return folder if part is None else files[part], part


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

    Raise DataError if `split` is missing, or nothing decides between two.
    """
    if options.split in parts:
        return options.split
    if options.split is not None:
        hint = f"got {', '.join(parts)}" if parts else "leave out --split (split=)"
        msg = f"no {options.split} part; {hint}"
        raise DataError(msg, file=name)
    if len(parts) < len(SPLITS):
        return next(iter(parts), None)
    if options.default_split is None:
        msg = "data of two parts; choose one by --split test (in Python split='test')"
        raise DataError(msg, file=name)
    return options.default_split


def labels_beside(images: Path) -> Path | None:
    """Return the file of labels for a file of images by its usual name, or None if missing.

    It is in the same folder, has "labels" for "images" and "idx1" for "idx3" in its name, and may
    differ in the suffix ``.gz``.
    """
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    if name == images.name:
        return None
    plain = name.removesuffix(".gz")
    paths = map(images.with_name, (name, plain, f"{plain}.gz"))
    return next((path for path in paths if path.is_file()), None)
