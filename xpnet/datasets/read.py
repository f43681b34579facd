"""Images and labels out of any file that is understood, whole or in blocks."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.array_checks import image_rows
from xpnet.datasets.csv_file import open_delimited
from xpnet.datasets.detect_format import format_of
from xpnet.datasets.idx import open_idx
from xpnet.datasets.label_files import labels_beside, open_labels
from xpnet.datasets.limits import check_held
from xpnet.datasets.npz import open_npy, open_npz
from xpnet.datasets.pairing import paired
from xpnet.datasets.read_options import FilePath, Options
from xpnet.datasets.row_tables import Block, Rows
from xpnet.datasets.sample import SAMPLE_IMAGES
from xpnet.files import DataWarning, open_source
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.files import Source

__all__ = ["open_rows", "read", "stream"]


def read(
    path: FilePath,
    *,
    labels: FilePath | None = None,
    label: str = "auto",
    header: str = "auto",
    rows: int | None = None,
    delimiter: str = ",",
    floating: bool = False,
    features: int | None = None,
    classes: int | None = None,
    want_labels: bool = True,
    max_data_bytes: int | None = None,
) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Read a whole data set: images, and labels where there are any.

    Parameters
    ----------
    path : str or os.PathLike
        A CSV, IDX, npy or npz file, plain or gzip, recognised by its content; ``"-"`` for
        standard input, or ``"sample"`` for the embedded digits.
    labels : str or os.PathLike, optional
        A file of labels. Without it they are looked for in `path`, then in the file that is
        named like it with "labels" for "images" (and "idx1" for "idx3").
    label : {"auto", "first", "last", "none"}, default "auto"
        Which column of a CSV file is the label. By default the header tells, or else the number
        of columns and the values: labels repeat, and the corners of all pictures are 0.
    header : {"auto", "yes", "no"}, default "auto"
        Whether the first line of a CSV file is a header, of `path` and of `labels` alike. By
        default a line of names is, and so is a line of 16 numbers or more that count up from 0
        or 1, as pandas writes them for columns without names. Fewer are an error.
    rows : int, optional
        Read only so many rows from the front.
    delimiter : str, default ","
        The character between the values of a CSV file, or the word tab, space, comma or
        semicolon. A space stands for any run of blanks.
    floating : bool, default False
        Whether the pixels of a CSV file may be fractions and of any size: they become float32.
    features : int, optional
        The number of pixels that a CSV file should have.
    classes : int, optional
        The number of classes: labels are 0 to `classes` - 1. At most 256, the default.
    want_labels : bool, default True
        Whether labels are wanted. Otherwise none are looked for, and a column of them in a CSV
        file is not even parsed.
    max_data_bytes : int, optional
        The most bytes of images in memory. By default 100 times the size of the file, at least
        16 MiB, and at most 4 GiB or the size of the file: only a compressed file has more.

    Returns
    -------
    images : ndarray, shape (n, n_pixels) or (n, height, width)
        uint8 with 0 for the least ink and 255 for the most; float32 or float64 from files of
        floating-point numbers.
    labels : ndarray of uint8, shape (n,), or None
        The labels; None where there are none or none are wanted.

    Raises
    ------
    DataError
        If a file does not hold what it should: the text says where and what to do. Missing
        pixels, values that are not finite, and data above `max_data_bytes` are errors too.
    OSError
        If a file cannot be opened or read.
    TypeError, ValueError
        If an option has a value that it cannot have.

    Warns
    -----
    xpnet.DataWarning
        If a line of numbers is taken for a header, unless `header` is "yes".

    Examples
    --------
    >>> images, labels = read("sample", rows=20)
    >>> images.shape, images.dtype, labels[:4]
    ((20, 28, 28), dtype('uint8'), array([0, 1, 2, 3], dtype=uint8))
    """
    options = Options(
        labels=labels,
        label=label,
        header=header,
        rows=rows,
        delimiter=delimiter,
        floating=floating,
        features=features,
        classes=classes,
        want_labels=want_labels,
        max_data_bytes=max_data_bytes,
    )
    with _open(path) as source:
        blocks = list(_limited(_blocks(source, options, stacklevel=4), source, options))
    images = [block for block, _ in blocks]
    found = [values for _, values in blocks if values is not None]
    del blocks
    return _joined(images), _joined(found) if found else None


def stream(
    path: FilePath,
    *,
    labels: FilePath | None = None,
    label: str = "auto",
    header: str = "auto",
    rows: int | None = None,
    delimiter: str = ",",
    floating: bool = False,
    features: int | None = None,
    classes: int | None = None,
    want_labels: bool = True,
    max_data_bytes: int | None = None,
    block_rows: int = 4096,
) -> Iterator[Block]:
    """Read a data set of any length in blocks, in bounded memory.

    Parameters
    ----------
    path, labels, label, header, rows, delimiter, floating, features, classes, want_labels
        As for `read`.
    max_data_bytes : int, optional
        The most bytes that are held at once, with the default of `read`. Rows that follow each
        other in the file are streamed without a limit. An array in column-major order is held
        as a whole in a temporary file if its file is compressed or a pipe; so is a zip file.
    block_rows : int, default 4096
        The most rows in a block; fewer where rows are very wide.

    Returns
    -------
    iterator of tuple
        Images and labels as `read` gives them, block by block. There is at least one block,
        which has no rows if the file has none.

    Raises
    ------
    DataError, OSError
        As for `read`, from the iterator: a fault far down a file is found when it is reached.
    TypeError, ValueError
        If an option has a value that it cannot have.

    Warns
    -----
    xpnet.DataWarning
        As for `read`, from the iterator.

    Examples
    --------
    >>> [images.shape for images, labels in stream("sample", block_rows=600)]
    [(600, 28, 28), (400, 28, 28)]
    """
    options = Options(
        labels=labels,
        label=label,
        header=header,
        rows=rows,
        delimiter=delimiter,
        floating=floating,
        features=features,
        classes=classes,
        want_labels=want_labels,
        max_data_bytes=max_data_bytes,
        block_rows=block_rows,
    )
    return _stream(path, options)


def _stream(path: FilePath, options: Options) -> Iterator[Block]:
    with _open(path) as source:
        yield from _blocks(source, options, stacklevel=3)


def _open(path: FilePath) -> "Source":
    return open_source(SAMPLE_IMAGES if path == "sample" else path)


def _blocks(source: "Source", options: Options, *, stacklevel: int) -> Iterator[Block]:
    found = open_rows(source, options)
    header = found.layout and found.layout.header
    if header and header.count and options.header == "auto":
        low, high = header.count
        msg = (
            f"{printable(source.name)}:{header.number}: numbers from {low} to {high} are taken"
            " for a header (--header no, in Python header='no': for a row of values)"
        )
        warnings.warn(msg, DataWarning, stacklevel=stacklevel)
    place = _labels_place(source, found, options)
    if place is None:
        yield from found.blocks
        return
    with open_source(place) as source_of_labels:
        labels = open_labels(source_of_labels, source.name, options)
        yield from paired(found, labels, (source.name, str(place)), options.rows)


def _limited(blocks: Iterator[Block], source: "Source", options: Options) -> Iterator[Block]:
    n_bytes = 0
    for images, labels in blocks:
        n_bytes += images.nbytes
        check_held("images", n_bytes, source, options, is_part=True)
        yield images, labels


def open_rows(source: "Source", options: Options) -> Rows:
    """Open a file of images by its content; its blocks are read when they are asked for.

    Raises
    ------
    DataError
        If it is of a kind that is not read, or does not begin as it should.
    """
    kind = format_of(source)
    if kind == "csv":
        return open_delimited(source, options)
    if kind == "npz":
        return open_npz(source, options)
    table = open_idx(source) if kind == "idx" else open_npy(source)
    return image_rows(table, source, options)


def _labels_place(source: "Source", found: Rows, options: Options) -> FilePath | None:
    if not options.want_labels or options.labels is not None:
        return options.labels if options.want_labels else None
    if found.labelled or source.path is None:
        return None
    return labels_beside(source.path)


def _joined(blocks: list[NDArray[Any]]) -> NDArray[Any]:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
