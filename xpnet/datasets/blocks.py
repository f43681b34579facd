"""The rows of a file in blocks, and their labels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from xpnet.files import DataError

__all__ = ["REGRESSION", "Block", "RowBlocks", "first_rows", "paired"]

# The remedy of an error about labels that are numbers, such as 3.75.
REGRESSION = "measurements are learned in Python by xpnet.MLPRegressor().fit(x, y)"

# Labels are uint8, or strings.
Block: TypeAlias = tuple[NDArray[Any], NDArray[Any] | None]


@dataclass(frozen=True)
class RowBlocks:
    """The rows of a file in blocks, at least one, and what was understood of it."""

    blocks: Iterator[Block]
    count: int | None = None  # number of rows; None if only reading to the end would show it
    label: str | None = None  # where the labels are; None if the blocks have none
    names: tuple[str, ...] | None = None  # of the columns of a CSV file with a header
    left_out: tuple[str, ...] = ()  # columns of a CSV file
    split: str | None = None  # the part of data that have two


def first_rows(blocks: Iterator[Block], n: int) -> Iterator[Block]:
    """Yield the first `n` rows, in at least one block."""
    for images, labels in blocks:
        yield images[:n], None if labels is None else labels[:n]
        n -= len(images)
        if n <= 0:
            return


def paired(
    rows: RowBlocks, labels: NDArray[Any], files: tuple[str, str], wanted: int | None
) -> RowBlocks:
    """Return the first `wanted` rows (None: all) with the labels of all rows.

    `files` are those of the rows and of the labels. Raise DataError if their numbers differ: at
    once if both are known, otherwise at the end of the rows, which are then read to the end.
    """
    if rows.count is not None and rows.count != len(labels):
        raise _count_error(rows.count, len(labels), files)

    def pairs() -> Iterator[Block]:
        n = 0
        for images, _ in rows.blocks:
            part = labels[n : n + len(images)]
            if len(part) < len(images):
                raise _count_error(n + len(images), len(labels), files, "at least ")
            left = len(images) if wanted is None else max(wanted - n, 0)
            if left or n == 0:
                yield images[:left], part[:left]
            n += len(images)
            if rows.count is not None and wanted is not None and n >= wanted:
                return
        if n != len(labels):
            raise _count_error(n, len(labels), files)

    return replace(rows, blocks=pairs(), label=Path(files[1]).name)


def _count_error(
    n_images: int, n_labels: int, files: tuple[str, str], least: str = ""
) -> DataError:
    hint = "; --header tells whether the first line of CSV files is one (in Python header=)"
    what = f"images must be as many as the {n_labels} labels in {files[1]}; got {least}{n_images}"
    return DataError(what + hint * (abs(n_images - n_labels) == 1), file=files[0])
