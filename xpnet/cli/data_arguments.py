"""The argument DATA, the options for reading it, and errors in its rows."""

import argparse
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_option,
    file_name,
    from_args,
    not_negative_integer,
    positive_integer,
)
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.datasets.blocks import RowBlocks
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.networks.network import Network

DATA_HELP = (
    "CSV, IDX, npz or npy file, gzipped or not; a picture; a folder of IDX files, of pictures or of"
    " one folder per class; - for standard input; or a word: sample, the embedded digits, mnist or"
    " fashion-mnist, downloaded once (./mnist is a file of that name)"
)


def add_data_arguments(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Add DATA and the options for reading it, the fields of `Data`."""
    text = f"{DATA_HELP} (default: sample)"
    parser.add_argument(
        "path", nargs="?", type=file_name, default="sample", metavar="DATA", help=text
    )
    add_reading_arguments(parser, **options)


def add_reading_arguments(
    parser: argparse.ArgumentParser,
    *,
    rows: int | None = None,
    rows_text: str = "",
    split: str = "test",
    labels: bool = True,
) -> None:
    """Add the options for reading DATA; `rows` (None: all) and `split` are defaults.

    `rows_text` replaces the help of --rows. If `labels` is false, --labels is not added.
    """
    add = partial(add_option, parser)
    usual = f"read the first N images only (default: {'all' if rows is None else rows})"
    add("--rows N", not_negative_integer, rows_text or usual)
    parser.set_defaults(rows=rows)
    text = "file of the labels (default: DATA itself, or the file beside it with the usual name)"
    if labels:
        add("--labels FILE", file_name, text)
    text = f"train or test, for mnist, a folder or an npz file with both parts (default: {split})"
    add("--split PART", str, text, choices=("train", "test"))
    parser.set_defaults(default_split=split)
    text = "label column of a CSV file: first, last, none, or its name, such as --label species"
    add("--label NAME", str, text, default="auto")
    text = "columns of a CSV file to leave out, by names or numbers, such as --drop island,sex"
    add("--drop NAME,...", _names, text, default="")
    text = "whether the first line of CSV files is a header; auto: if it holds no number"
    add("--header", str, text, choices=("auto", "yes", "no"), default="auto")
    add("--delimiter C", str, "delimiter of a CSV file, such as ';' or tab", default=",")
    text = "take any numbers in a CSV file, not bytes only: the default below 64 numbers in a row"
    parser.add_argument("--float", action="store_true", dest="floating", help=text)
    text = "resize pictures to N x N pixels, such as --size 28; they keep their proportions"
    add("--size N", positive_integer, text)
    text = "invert bytes, for pictures with dark ink on paper: networks for MNIST expect light ink"
    parser.add_argument("--invert", action=argparse.BooleanOptionalAction, help=text)


def _names(text: str) -> tuple[str, ...]:
    """Return the names in a list such as "island,sex"; an argparse type."""
    return tuple(filter(None, map(str.strip, text.split(","))))


@dataclass(frozen=True)
class Data:
    """A data set and the options for reading it."""

    path: str
    options: "ReadOptions"

    @classmethod
    def from_args(cls, args: argparse.Namespace, path: str) -> "Data":
        """Return the data set `path` with the parsed options; UsageError if one is invalid."""
        from xpnet.datasets.read_options import ReadOptions

        try:
            return cls(path, from_args(ReadOptions, args))
        except ValueError as error:
            raise UsageError(str(error)) from error

    @property
    def rows(self) -> int | None:
        """The number of rows to read, from the first; None for all."""
        return self.options.rows

    @property
    def labels_path(self) -> Any:
        """The file of the labels, as far as is known before it is read."""
        return self.options.labels or self.path

    def with_options(self, **options: Any) -> "Data":
        """Return the data set with other options for reading it."""
        return replace(self, options=replace(self.options, **options))

    @contextmanager
    def open(self, **more: Any) -> "Iterator[RowBlocks]":
        """Open the images and labels; `more` are further options."""
        from xpnet.datasets.read import open_rows

        with open_rows(self.path, replace(self.options, **more)) as rows:
            yield rows

    def read(self, **more: Any) -> tuple[Any, Any]:
        """Return all images and labels; `more` are further options."""
        from xpnet.datasets.read import joined

        with self.open(**more) as rows:
            return joined(list(rows.blocks))

    def read_rows(self, n_in: int, purpose: str, **more: Any) -> tuple[Any, Any]:
        """Return all images as rows, and labels; raise DataError if there are no images."""
        from xpnet.inference.rows import as_rows

        images, labels = self.read(features=n_in, **more)
        if not len(images):
            what = f"no images to {purpose}"
            raise DataError(what, file=self.path)
        return as_data_error(self.path, as_rows, images, n_in), labels

    def named(self, labels: Any, network: "Network") -> Any:
        """Return the labels, as names if DATA is a word for images whose classes have names.

        For a network without names, they remain numbers.
        """
        import numpy as np

        from xpnet.datasets.fetch import DATA_SETS

        known = DATA_SETS.get(self.path)
        if network.classes is None or known is None or known.classes is None:
            return labels
        return np.asarray(known.classes)[labels]


def as_data_error(path: str, check: Callable[..., Any], /, *checked: Any) -> Any:
    """Return ``check(*checked)``; raise its ValueError as a DataError of the file."""
    try:
        return check(*checked)
    except ValueError as error:
        raise DataError(str(error), file=path) from error


@contextmanager
def computation_errors(path: str, batch_size: int | None = None) -> Iterator[None]:
    """Add the data file or the batch size to the errors of a computation.

    A MemoryError gets a note with the batch size.
    """
    try:
        yield
    except DataError as error:
        if error.file is not None:
            raise
        text = str(error).replace("network.astype('float64')", "--precision float64")
        raise DataError(text, file=path) from error
    except (MemoryError, OSError) as error:
        if batch_size is not None and is_memory_error(error):
            error.add_note(f"in batches of {batch_size:,}: try a smaller --batch-size")
        raise


def is_memory_error(error: Exception) -> bool:
    """Return whether an error means that Python or the system is out of memory."""
    is_refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return is_refused or isinstance(error, MemoryError)
