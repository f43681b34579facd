"""Labels in a file of their own: where it lies, what is in it, whether it fits the images."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.datasets.delimited import read_delimited_labels
from xpnet.datasets.idx import open_idx
from xpnet.datasets.npz import npz_labels, open_npy
from xpnet.datasets.recognize import format_of
from xpnet.datasets.roles import label_values
from xpnet.files import open_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xpnet.datasets.options import FilePath, Options
    from xpnet.datasets.tables import Table
    from xpnet.files import Source

__all__ = ["labels_beside", "read_labels"]


def labels_beside(images: Path) -> Path | None:
    """Find the file that by its usual name holds the labels of a file of images.

    Parameters
    ----------
    images : pathlib.Path
        The file of images: train-images-idx3-ubyte.gz, images.npy ...

    Returns
    -------
    pathlib.Path or None
        The file in the same folder whose name says labels and idx1 instead, with ``.gz`` or
        without; None where there is none.
    """
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    if name == images.name:
        return None
    plain = name.removesuffix(".gz")
    names = dict.fromkeys([name, plain, f"{plain}.gz"])
    found = (path for path in map(images.with_name, names) if path.is_file())
    return next(found, None)


def read_labels(
    path: "FilePath", images: str, options: "Options"
) -> "tuple[NDArray[np.uint8], int | None]":
    """Read all labels of a file.

    Parameters
    ----------
    path : str or os.PathLike
        An IDX, npy, npz or CSV file.
    images : str
        The file of the images, for the text of an error.
    options : Options
        `classes`, `header` and `delimiter` are used.

    Returns
    -------
    labels : ndarray of uint8, shape (n,)
        The labels.
    doubtful : int or None
        The number of a line that may be a header, as `read_delimited_labels` returns it.

    Raises
    ------
    DataError
        If the file does not hold labels.
    """
    # All of them, whatever number of rows is wanted: the whole count must fit the images'.
    options = replace(options, rows=None)
    with open_source(path) as source:
        kind = format_of(source)
        if kind == "csv":
            return read_delimited_labels(source, options)
        return label_values(_table(source, kind), options, images), None


def _table(source: "Source", kind: str) -> "Table":
    if kind == "npz":
        return npz_labels(source)
    return open_idx(source) if kind == "idx" else open_npy(source, source.name, source.size)
