"""Images and labels from files of any supported format, whole or in blocks; the sample."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from xpnet.datasets.blocks import Block, RowBlocks, first_rows, paired
from xpnet.datasets.detect_format import detect_format
from xpnet.datasets.locate import choose_split, labels_beside, locate
from xpnet.datasets.picture_files import open_picture_folder
from xpnet.datasets.read_options import FilePath, ReadOptions
from xpnet.files import DataError
from xpnet.files.opening import open_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["open_rows", "read", "sample", "stream"]


def read(
    path: FilePath,
    /,
    *,
    labels: FilePath | None = None,
    label: str = "auto",
    drop: Sequence[str] = (),
    header: str = "auto",
    rows: int | None = None,
    delimiter: str = ",",
    floating: bool = False,
    features: int | None = None,
    size: int | None = None,
    invert: bool | None = None,
    split: str | None = None,
) -> "tuple[NDArray[Any], NDArray[Any] | None]":
    """Read a whole data set: images, and labels if available.

    Other CSV than that of Kaggle and pandas is read by ``pandas.read_csv``: all functions take data
    frames. Rows that are read here have no names of columns: networks take them by position.

    Parameters
    ----------
    path : str or os.PathLike
        A CSV, IDX, npy or npz file, or a picture (PNG, JPEG, BMP, GIF, WebP; needs Pillow), plain
        or gzip, recognised by its content; a folder of pictures, or of one folder per class, or of
        IDX files as MNIST is distributed; ``"-"`` for standard input; or a word: ``"sample"`` for
        the embedded digits, ``"mnist"`` and ``"fashion-mnist"`` for the data sets of `xpnet.fetch`.
        (A file of that name is ``"./mnist"``.)
    labels : str or os.PathLike, optional
        A file of labels. By default, labels are searched in `path`, then in the file whose name
        has "labels" for "images" (and "idx1" for "idx3").
    label : {"auto", "first", "last", "none"} or str, default "auto"
        The label column of a CSV file, or its name, or its number from 1. By default, the column
        named label, class, target or y.
    drop : sequence of str, optional
        Columns of a CSV file to leave out, by their names, or by their numbers from 1. A first
        column without a name, or named as an id or index, is left out anyway.
    header : {"auto", "yes", "no"}, default "auto"
        Whether the first line of CSV files, `path` and `labels`, is a header. By default, a line
        without any number is; one of text and numbers, or that counts up, is an error.
    rows : int, optional
        Number of rows to read, from the first. By default, all rows.
    delimiter : str, default ","
        The character between the values of a CSV file, or the word tab, space, comma or semicolon.
    floating : bool, default False
        If true, the values of a CSV file may be any finite numbers, and are returned as float32; by
        default this holds for rows of fewer than 64 numbers, and 64 and more are bytes.
    features : int, optional
        The required number of pixels in a CSV file or picture.
    size : int, optional
        Side of the square to which pictures are resized, such as 28. The picture keeps its
        proportions, on the grey of its border. By default, all pictures must have the same size.
    invert : bool, optional
        If true, bytes x become 255 - x: for dark ink on paper. By default, bytes are unchanged,
        and a picture with a bright background gives a warning; false avoids it.
    split : {"train", "test"}, optional
        The part to read, required for data with both: ``"mnist"``, a folder of IDX files, or an
        npz file with x_train, y_train, x_test and y_test as Keras has it.

    Returns
    -------
    images : ndarray, shape (n, n_pixels) or (n, height, width)
        uint8 with 0 for the least ink and 255 for the most; float32 or float64 from files of
        floating-point numbers.
    labels : ndarray, shape (n,), or None
        uint8 from 0 to 255, or strings if labels are text; None if the data set has no labels.

    Raises
    ------
    DataError
        If the content of a file is invalid, or can be understood in two ways: the message contains
        the position and a remedy. Missing values and values that are not finite are errors.
    OSError
        If a file cannot be opened or read.
    TypeError, ValueError
        If an option has an invalid type or value.

    Warns
    -----
    xpnet.DataWarning
        If a picture's background is bright.

    Examples
    --------
    >>> images, labels = read("sample", rows=20)
    >>> images.shape, images.dtype, labels[:4]
    ((20, 28, 28), dtype('uint8'), array([0, 1, 2, 3], dtype=uint8))
    """
    options = ReadOptions(
        labels=labels,
        label=label,
        drop=drop,
        header=header,
        rows=rows,
        delimiter=delimiter,
        floating=floating,
        features=features,
        size=size,
        invert=invert,
        split=split,
    )
    with open_rows(path, options) as found:
        blocks = list(found.blocks)
    return joined(blocks)


def joined(blocks: Sequence[Block]) -> Block:
    """Return blocks of images and labels as one."""
    if len(blocks) == 1:
        return blocks[0]
    images, labels = zip(*blocks, strict=True)
    return np.concatenate(images), None if labels[0] is None else np.concatenate(labels)


def sample() -> "tuple[NDArray[np.uint8], NDArray[np.uint8]]":
    """Return 1,000 handwritten digits of MNIST, 100 of each; row i shows the digit i % 10.

    Sources and licences are in the file NOTICE beside the data.

    Returns
    -------
    images : ndarray of uint8, shape (1000, 28, 28)
        The images, 0 for the background and 255 for full ink.
    labels : ndarray of uint8, shape (1000,)
        The digits, 0 to 9.

    Examples
    --------
    >>> images, labels = sample()
    >>> images.shape, labels[:3]
    ((1000, 28, 28), array([0, 1, 2], dtype=uint8))
    """
    return cast("tuple[NDArray[np.uint8], NDArray[np.uint8]]", read("sample"))


def stream(path: FilePath, /, *, block_rows: int = 4096, **options: Any) -> Iterator[Block]:
    """Read a data set in blocks of at most `block_rows` images, in bounded memory.

    The options are those of `read`. CSV files and plain npy files are in memory block by block;
    other arrays as a whole.

    Invalid options are errors at once; the errors and warnings of `read` about data come from the
    iterator, where they are reached. It yields at least one block, which is empty if the file has
    no rows.
    """
    checked = ReadOptions(block_rows=block_rows, **options)

    def blocks() -> Iterator[Block]:
        with open_rows(path, checked) as rows:
            yield from rows.blocks

    return blocks()


@contextmanager
def open_rows(path: FilePath, options: ReadOptions) -> Iterator[RowBlocks]:
    """Open the rows and labels that a word, a folder or a file means."""
    place, part = locate(path, options)
    if options.rows is not None:
        options = replace(options, block_rows=min(options.block_rows, max(options.rows, 1)))
    with ExitStack() as stack:
        given = options.labels
        if place != "-" and Path(place).is_dir():
            name, kind = str(place), "a folder"
            rows = open_picture_folder(place, options)
        else:
            source = stack.enter_context(open_source(place))
            name, data_format = source.name, detect_format(source)
            kind = data_format.name
            if part is None and kind != "npz":
                choose_split(name, (), options)
            rows = data_format.open(source, options)
            if given is None and rows.label is None and source.path is not None:
                given = labels_beside(source.path)
        is_csv = kind == "csv"
        if given is not None and options.want_labels:
            source = stack.enter_context(open_source(given))
            data_format = detect_format(source)
            is_csv = is_csv or data_format.name == "csv"
            labels = data_format.labels(source, options)
            rows = paired(rows, labels, (name, str(given)), options.rows)
        elif options.rows is not None:
            rows = replace(rows, blocks=first_rows(rows.blocks, options.rows))
        if options.is_for_csv and not is_csv:
            hint = "leave out --label, --drop, --float, --header and --delimiter"
            msg = f"only CSV files have columns, a header and a delimiter; got {kind}; {hint}"
            raise DataError(msg, file=name)
        if options.size is not None and kind not in {"picture", "a folder"}:
            msg = f"only pictures can be resized; got {kind}; leave out --size (size=)"
            raise DataError(msg, file=name)
        if options.invert:
            rows = replace(rows, blocks=_inverted(rows.blocks, name))
        yield replace(rows, split=part or rows.split)


def _inverted(blocks: Iterator[Block], file: str) -> Iterator[Block]:
    for images, labels in blocks:
        if images.dtype != np.uint8:
            msg = f"only bytes can be inverted; got {images.dtype}"
            raise DataError(msg, file=file)
        yield 255 - images, labels
