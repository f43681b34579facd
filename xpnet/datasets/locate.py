"""The file of images for a word, a folder or a file name."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.datasets.catalog import DATA_SETS
from xpnet.datasets.idx_folder import count_idx_images, find_idx_images
from xpnet.datasets.sample import SAMPLE_IMAGES
from xpnet.datasets.splits import choose_split

if TYPE_CHECKING:
    from xpnet.datasets.read_options import FilePath, ReadOptions

__all__ = ["locate", "open_folder"]


def locate(path: "FilePath", options: "ReadOptions") -> "tuple[FilePath, ReadOptions]":
    """Return the file of images that a word, a folder or a file name means, and its options.

    Raise the errors of `xpnet.fetch` for a data set known by name, and of `open_folder`.
    """
    if path == "sample":
        return SAMPLE_IMAGES, options
    if path in DATA_SETS:
        from xpnet.datasets.fetch import cache_folder, fetch, is_cached

        name = str(path)
        folder = cache_folder(name) if is_cached(name) else fetch(name)
        return open_folder(folder, options, name)
    return open_folder(Path(path), options, str(path)) if Path(path).is_dir() else (path, options)


def open_folder(folder: Path, options: "ReadOptions", name: str) -> "tuple[FilePath, ReadOptions]":
    """Return the IDX file of images in a folder, and the options for it, whose `split` is None.

    A folder without IDX files is returned itself. `name` is the folder's name in messages. Raise
    DataError if the folder does not contain the part `split`.
    """
    parts = find_idx_images(folder)
    counts = {part: partial(count_idx_images, path) for part, path in parts.items()}
    part = choose_split(name, counts, options)
    if part is None:  # a folder of pictures
        return folder, options
    return parts[part], replace(options, split=None, default_split=None)
