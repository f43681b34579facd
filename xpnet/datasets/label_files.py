"""Labels in a file of their own."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.datasets.array_checks import label_blocks
from xpnet.datasets.csv_file import read_delimited_labels
from xpnet.datasets.detect_format import format_of
from xpnet.datasets.idx import open_idx
from xpnet.datasets.npz import npz_labels, open_npy
from xpnet.datasets.row_tables import Labels

if TYPE_CHECKING:
    from xpnet.datasets.read_options import Options
    from xpnet.datasets.row_tables import Table
    from xpnet.files import Source

__all__ = ["labels_beside", "open_labels"]


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


def open_labels(source: "Source", images: str, options: "Options") -> Labels:
    """Open a file of labels; its blocks are read when they are asked for.

    Parameters
    ----------
    source : Source
        An open IDX, npy, npz or CSV file, of which nothing has been read.
    images : str
        The file of the images, for the text of an error.
    options : Options
        `classes`, `header`, `delimiter` and `block_rows` are used.

    Returns
    -------
    Labels
        All labels of the file.

    Raises
    ------
    DataError
        If the file does not hold labels.
    """
    # All of them, whatever number of rows is wanted: the whole count must fit the images'.
    options = replace(options, rows=None)
    kind = format_of(source)
    if kind == "csv":
        return read_delimited_labels(source, options)
    table = _table(source, kind, options)
    return Labels(label_blocks(table, options, images), table.shape[0])


def _table(source: "Source", kind: str, options: "Options") -> "Table":
    if kind == "npz":
        return npz_labels(source, options)
    return open_idx(source) if kind == "idx" else open_npy(source)
