"""Folders of IDX files under the names with which MNIST is distributed."""

from pathlib import Path

from xpnet.datasets.idx import open_idx
from xpnet.datasets.splits import SPLITS
from xpnet.files import open_source

__all__ = ["count_idx_images", "find_idx_images"]

# Some copies have a dot for the second hyphen.
_NAMES = ("{}-images-idx3-ubyte", "{}-images.idx3-ubyte")
_PREFIXES = {"train": "train", "test": "t10k"}


def find_idx_images(folder: Path) -> dict[str, Path]:
    """Return the files of images in a folder by their part, "train" or "test".

    The files of labels beside them are found by `labels_beside`.
    """
    found = {}
    for part in SPLITS:
        names = [name.format(_PREFIXES[part]) for name in _NAMES]
        paths = (folder / f"{name}{suffix}" for suffix in ("", ".gz") for name in names)
        found[part] = next((path for path in paths if path.is_file()), None)
    return {part: path for part, path in found.items() if path is not None}


def count_idx_images(path: Path) -> int:
    """Return the number of images in an IDX file, from its header."""
    with open_source(path) as source:
        return open_idx(source).shape[0]
