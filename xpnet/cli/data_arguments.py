"""The argument DATA, the options for reading it, and errors in its rows."""

import argparse
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from xpnet.cli.arguments import UsageError, file_name, not_negative, positive

__all__ = [
    "DATA_HELP",
    "Data",
    "add_column_arguments",
    "add_data_arguments",
    "add_limit_argument",
    "add_reading_arguments",
    "as_data_error",
    "computation_errors",
    "is_memory_error",
]

DATA_HELP = (
    "CSV, IDX, npz or npy file, gzipped or not; - for standard input; or the word sample, the"
    " embedded digits"
)


def add_data_arguments(parser: argparse.ArgumentParser, *, rows: int | None = None) -> None:
    """Add DATA and the options for reading it, the fields of `Data`."""
    parser.add_argument(
        "path",
        nargs="?",
        type=file_name,
        default="sample",
        metavar="DATA",
        help=f"{DATA_HELP} (default)",
    )
    add_reading_arguments(parser, rows=rows)


def add_reading_arguments(parser: argparse.ArgumentParser, *, rows: int | None = None) -> None:
    """Add the options for reading DATA."""
    parser.add_argument(
        "--rows",
        type=not_negative,
        default=rows,
        metavar="N",
        help=f"read the first N images only (default: {'all' if rows is None else rows})",
    )
    parser.add_argument(
        "--labels",
        type=file_name,
        metavar="FILE",
        help="file of the labels (default: DATA itself, or the file beside it with the usual name)",
    )
    add_column_arguments(parser)
    parser.add_argument(
        "--float", action="store_true", dest="floating", help="accept fractions in a CSV file"
    )
    add_limit_argument(parser)


def add_column_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the columns of a CSV file."""
    parser.add_argument(
        "--label",
        choices=("auto", "first", "last", "none"),
        default="auto",
        help="label column of a CSV file without a header (default: auto)",
    )
    parser.add_argument(
        "--header",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether the first line of each CSV file is a header (default: auto, by its content)",
    )
    parser.add_argument(
        "--delimiter",
        default=",",
        metavar="C",
        help="delimiter of a CSV file, such as ';' or tab (default: ,)",
    )


def add_limit_argument(parser: argparse.ArgumentParser) -> None:
    """Add the limit on the bytes of DATA in memory."""
    parser.add_argument(
        "--max-data-bytes",
        type=positive,
        metavar="N",
        help="largest number of bytes of images in memory (default: 100 times a compressed file);"
        " streamed rows have no limit",
    )


@dataclass(frozen=True)
class Data:
    """A data set and the options for reading it, which `xpnet.read` documents."""

    path: str
    rows: int | None = None
    labels: str | None = None
    label: str = "auto"
    header: str = "auto"
    delimiter: str = ","
    floating: bool = False
    max_data_bytes: int | None = None

    def read(self, **more: Any) -> tuple[Any, Any]:
        """Return all images and labels; raise UsageError if an option has an invalid value."""
        from xpnet.datasets import read

        return read(self.path, **self._options(more))

    def stream(self, **more: Any) -> Iterator[tuple[Any, Any]]:
        """Return an iterator over blocks of images and labels; otherwise as `read`."""
        from xpnet.datasets import stream

        return stream(self.path, **self._options(more))

    def count(self) -> tuple[int | None, int]:
        """Return the number of rows, None if only the end of DATA shows it, and bytes per value."""
        from xpnet.datasets.preview import count_images

        counted, itemsize = count_images(self.path, max_data_bytes=self.max_data_bytes)
        itemsize = 4 if self.floating else itemsize
        if counted is None or self.rows is None:
            return self.rows if counted is None else counted, itemsize
        return min(counted, self.rows), itemsize

    def _options(self, more: dict[str, Any]) -> dict[str, Any]:
        from xpnet.datasets.read_options import ReadOptions

        options = asdict(self) | more
        del options["path"]
        try:
            ReadOptions(**options)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return options


def as_data_error(path: str, check: Callable[..., Any], /, *checked: Any) -> Any:
    """Return ``check(*checked)``; raise its ValueError as a DataError of the file."""
    from xpnet.files.errors import DataError

    try:
        return check(*checked)
    except ValueError as error:
        raise DataError(str(error), file=path) from error


@contextmanager
def computation_errors(
    path: str, batch_size: int | None = None, *, has_precision: bool = True
) -> Iterator[None]:
    """Add the data file or the batch size to the errors of a computation.

    A value too large for the network's dtype becomes a DataError. `has_precision` is true if the
    command has an option --precision with wider dtypes. A lack of memory gets a note with the batch
    size, if that is given.
    """
    from xpnet.arrays.ranges import RangeError
    from xpnet.files.errors import DataError

    try:
        yield
    except RangeError as error:
        can_widen = has_precision and error.wider_dtype is not None
        wider = f"try --precision {error.wider_dtype}, or " if can_widen else ""
        what = f"pixel {error.column + 1} of row {error.row + 1}"
        rule = f"a number that the preprocessing leaves finite in {error.dtype}"
        hint = f"{wider}scale the values"
        raise DataError(what, file=path, found=error.value, expected=rule, hint=hint) from error
    except (MemoryError, OSError) as error:
        if batch_size is not None and is_memory_error(error):
            error.add_note(f"in batches of {batch_size:,}: try a smaller --batch-size")
        raise


def is_memory_error(error: Exception) -> bool:
    """Return whether an error means that Python or the system is out of memory."""
    is_refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return is_refused or isinstance(error, MemoryError)
