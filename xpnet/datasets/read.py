"""Images and labels from files of any supported format, whole or in blocks; the sample."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block, ImageBlocks, pair_blocks
from xpnet.datasets.detect_format import detect_data_format
from xpnet.datasets.limits import check_data_size
from xpnet.datasets.locate import locate
from xpnet.datasets.read_options import FilePath, ReadKeywords, ReadOptions
from xpnet.files import DataError, DataWarning
from xpnet.files.errors import printable
from xpnet.files.opening import open_folder_source, open_source

if TYPE_CHECKING:
    from xpnet.files.opening import Source

__all__ = [
    "labels_beside",
    "open_data",
    "read",
    "sample",
    "stream",
]


def read(
    path: FilePath, **options: Unpack[ReadKeywords]
) -> "tuple[NDArray[Any], NDArray[Any] | None]":
    """Read a whole data set: images, and labels if available.

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
        The label column of a CSV file, or its name. By default it is found from the header, or from
        the number of columns and the values: labels are the only text, or repeat, and all image
        corners are 0.
    drop : sequence of str, optional
        Columns of a CSV file to leave out, by their names, or by their numbers from 1.
    header : {"auto", "yes", "no"}, default "auto"
        Whether the first line of a CSV file is a header, for both `path` and `labels`. By
        default, a line of names is a header, and so is a line of 16 or more numbers that count
        up from 0 or 1, as pandas writes them for unnamed columns. Fewer such numbers are an error.
    rows : int, optional
        Number of rows to read, from the first. By default, all rows.
    delimiter : str, default ","
        The character between the values of a CSV file, or the word tab, space, comma or
        semicolon. A space stands for any run of blanks.
    floating : bool, default False
        If true, the pixels of a CSV file may be any finite numbers, and are returned as float32; so
        are, by default, tables of measurements, and rows of which half the numbers have a point.
    features : int, optional
        The required number of pixels in a CSV file or picture.
    size : int, optional
        Side of the square to which pictures are resized, such as 28. The picture keeps its
        proportions, on the grey of its border. By default, all pictures must have the same size.
    classes : int, optional
        Number of classes: labels are 0 to `classes` - 1. At most 256, the default.
    want_labels : bool, default True
        If false, labels are not searched, and the label column of a CSV file is not parsed.
    max_data_bytes : int, optional
        Limit on the bytes of images in memory. By default 100 times the size of the file, at
        least 16 MiB, and at most 4 GiB or the size of the file: only compressed files exceed it.
    split : {"train", "test"}, optional
        The part to read, required for data with both: ``"mnist"``, a folder of IDX files, or an
        npz file with x_train, y_train, x_test and y_test as Keras has it.
    invert : bool, optional
        If true, bytes x become 255 - x: for dark ink on paper. By default, bytes are unchanged,
        and a picture with a bright background gives a warning; false avoids it.

    Returns
    -------
    images : ndarray, shape (n, n_pixels) or (n, height, width)
        uint8 with 0 for the least ink and 255 for the most; float32 or float64 from files of
        floating-point numbers.
    labels : ndarray of uint8, shape (n,), or None
        The labels, as strings if they are text, or names of folders that are not all numbers from
        0 to 255; None if the data set has no labels, or `want_labels` is false.

    Raises
    ------
    DataError
        If the content of a file is invalid: the message contains the position and a remedy.
        Missing pixels, values that are not finite, and data above `max_data_bytes` are errors.
    OSError
        If a file cannot be opened or read.
    TypeError, ValueError
        If an option has an invalid type or value.

    Warns
    -----
    xpnet.DataWarning
        If a line of numbers is read as a header, unless `header` is "yes"; if row numbers are left
        out of a table, or only the values of a column show that it is the label; if a picture's
        background is bright.

    Examples
    --------
    >>> images, labels = read("sample", rows=20)
    >>> images.shape, images.dtype, labels[:4]
    ((20, 28, 28), dtype('uint8'), array([0, 1, 2, 3], dtype=uint8))
    """
    checked = ReadOptions(**options)
    images: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    n_bytes = 0
    file, checked = locate(path, checked)
    with open_data(file) as source:
        for block, values in _blocks(source, checked):
            n_bytes += block.nbytes
            check_data_size("images", n_bytes, source, checked, is_partial=True)
            images.append(block)
            labels += [] if values is None else [values]
    return _concatenate(images), _concatenate(labels) if labels else None


# For help() and the site: the options and their defaults.
_PARAMETERS = {**signature(read).parameters, **signature(ReadOptions).parameters}
read.__dict__["__signature__"] = signature(read).replace(
    parameters=[_PARAMETERS[name] for name in ("path", *ReadKeywords.__annotations__)]
)


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


def stream(path: FilePath, **options: Unpack[ReadKeywords]) -> Iterator[Block]:
    """Read a data set of any length in blocks of images and labels, in bounded memory.

    The options are those of `read`; `block_rows`, 4096 by default, is the maximum number of rows
    per block (blocks of very wide rows are smaller). `max_data_bytes` limits the bytes held at
    once: rows in row-major order have no limit, while an array in column-major order is held as a
    whole in memory, and a compressed or piped zip file in a temporary file.

    Invalid options are errors at once; the errors and warnings of `read` about data come from the
    iterator, where they are reached. It yields at least one block, which is empty if the file has
    no rows.
    """
    return _stream(path, ReadOptions(**options))


def _stream(path: FilePath, options: ReadOptions) -> Iterator[Block]:
    path, options = locate(path, options)
    with open_data(path) as source:
        yield from _blocks(source, options)


def open_data(path: FilePath) -> "Source":
    """Open a file, or a folder of pictures."""
    is_folder = path != "-" and Path(path).is_dir()
    return open_folder_source(path) if is_folder else open_source(path)


def _blocks(source: "Source", options: ReadOptions) -> Iterator[Block]:
    data_format = detect_data_format(source, options)
    name, msg = data_format.name, None
    if options.size is not None and name not in {"picture", "folder"}:
        msg = "only pictures can be resized: leave out --size (size=)"
    elif options.names_columns and name != "csv":
        msg = "only CSV files have names of columns: leave out --label and --drop (label=, drop=)"
    if msg is not None:
        raise DataError(msg, file=source.name, found=name)
    images = data_format.open_images(source, options)
    if options.invert:
        images = replace(images, blocks=_inverted(images.blocks, source.name))
    header = images.columns and images.columns.header
    if header and header.numbers and options.header == "auto":
        low, high = header.numbers
        msg = (
            f"{printable(source.name)}:{header.line}: numbers from {low} to {high} are read as a"
            " header; if they are values, use --header no (in Python header='no')"
        )
        # The place is where `read` is called, or where `stream` is iterated over.
        warnings.warn(msg, DataWarning, stacklevel=3)
    path = _labels_path(source, images, options)
    if path is None:
        yield from images.blocks
        return
    # The labels of all images: their number must match the file's, whatever `rows` is.
    all_rows = replace(options, rows=None)
    with open_source(path) as labels_source:
        labels_format = detect_data_format(labels_source)
        labels = labels_format.open_labels(labels_source, all_rows, source.name)
        yield from pair_blocks(images, labels, (source.name, str(path)), options.rows)


def _inverted(blocks: Iterator[Block], name: str) -> Iterator[Block]:
    for images, labels in blocks:
        if images.dtype != np.uint8:
            msg = "only bytes can be inverted"
            raise DataError(msg, file=name, found=images.dtype, expected="uint8")
        yield 255 - images, labels


def _labels_path(source: "Source", images: ImageBlocks, options: ReadOptions) -> FilePath | None:
    if not options.want_labels or options.labels is not None:
        return options.labels if options.want_labels else None
    return None if images.labelled or source.path is None else labels_beside(source.path)


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


def _concatenate(blocks: list[NDArray[Any]]) -> NDArray[Any]:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
