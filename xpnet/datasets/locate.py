"""The file of images for a word, a folder or a file name."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.datasets.catalog import DATA_SETS
from xpnet.datasets.sample import SAMPLE_IMAGES
from xpnet.datasets.splits import choose_split

if TYPE_CHECKING:
    from xpnet.datasets.read_options import FilePath, ReadOptions

__all__ = ["locate"]

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
        from xpnet.datasets.fetch import fetch_files

        folder, _ = fetch_files(str(path), verify=False)
    elif path == "-" or not folder.is_dir():
        return path, options
    files = _idx_images(folder)
    part = choose_split(str(path), files, options)
    if part is None:  # a folder of pictures
        return folder, options
    return files[part], replace(options, split=None, default_split=None)


def _idx_images(folder: Path) -> dict[str, Path]:
    """Return the files of images by their part, under the names with which MNIST is distributed.

    The files of labels beside them are found by `labels_beside`.
    """
    found = {}
    for part, prefix in _PREFIXES.items():
        for end in (".gz", ""):  # an unpacked file comes first
            # Some copies have a dot for the second hyphen.
            for path in folder.glob(f"{prefix}-images[-.]idx3-ubyte{end}"):
                if path.is_file():
                    found[part] = path
    return found
