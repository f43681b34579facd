"""The rows of DATA for the network of --model, in blocks, and what was read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import chain
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.model import added_text, open_model, suited
from xpnet.cli.report import Clock, plural, work_facts, work_rows
from xpnet.cli.streams import print_note, progress_bar
from xpnet.files.errors import DataError, quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.cli.model import Model
    from xpnet.datasets.blocks import Block, RowBlocks
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.hashes import ResultHash
    from xpnet.networks.network import Network

__all__ = ["Rows", "data_facts", "data_text", "in_file", "is_table", "named"]
__all__ += ["open_rows", "reading"]

# Eight chunks on the host, which threads take: four take 7 times as long on a machine with other
# work (60,000 digits in 0.12 s instead of 0.9, two cores of a Xeon).
_BLOCK_ROWS = 8192


def reading(given: Mapping[str, Any], **more: Any) -> "ReadOptions":
    """Return those of the given options that are for reading DATA, and more."""
    from xpnet.datasets.read_options import ReadOptions

    names = {field.name for field in fields(ReadOptions)} & given.keys()
    return ReadOptions(**{"default_split": "test", **{x: given[x] for x in names}, **more})


@contextmanager
def in_file(path: str) -> Iterator[None]:
    """Name the file in errors about its rows and labels."""
    try:
        yield
    except DataError as error:
        if error.file is not None:
            raise
        raise DataError(str(error), file=path) from error


@dataclass(eq=False)
class Rows:
    """The rows of DATA, the network of --model for them, and the clock of both."""

    data: str
    model: "Model"
    device: "Device"
    clock: Clock
    batch_size: int | None
    network: "Network"  # with the steps that the rows need
    read: dict[str, Any]  # as by `data_facts`
    source: "Iterator[Block]"
    bar: Any  # of the progress
    digest: "ResultHash | None" = None  # of the outputs, if they are reproducible
    n: int = 0  # rows so far

    def blocks(self) -> "Iterator[Block]":
        """Yield blocks of rows and their labels."""
        while True:
            with self.clock.loading():
                block = next(self.source, None)
            if block is None:
                return
            yield block
            self.n += len(block[0])
            self.bar.update(len(block[0]))

    def predicted(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield blocks of rows, their labels, and their class ids or values."""
        from xpnet.files.hashes import ResultHash
        from xpnet.inference.predict import check_ids, class_ids, outputs_of
        from xpnet.networks.input_range import warn_of_range

        self.digest = ResultHash() if self.network.is_reproducible else None
        for rows, labels in self.blocks():
            warn_of_range(self.network, rows)
            y = outputs_of(self.network, rows, self.batch_size)
            if self.digest is not None:
                self.digest.update(y)
            ids = class_ids(self.network, y)
            check_ids(self.network, rows, ids, self.n)
            yield rows, labels, ids
        if not self.n:
            print_note(f"{self.data} holds no images")

    def facts(self) -> dict[str, Any]:
        """Return what was computed, where, and in which time."""
        return {
            "data": self.data,
            **self.read,
            "model": self.model.name,
            "inputs": added_text(self.model, self.network),
            "hash": self.digest and self.digest.text(),
            **work_facts(self.network, self.device, self.clock),
        }

    def table(self, facts: Mapping[str, Any]) -> dict[str, str | None]:
        """Return the facts of `facts` as rows of a table."""
        rows = {
            "data": data_text(self.read, self.n),
            "inputs": facts["inputs"],
            "hash": facts["hash"],
        }
        return rows | work_rows(facts)


@contextmanager
def open_rows(
    data: str, task: str, given: Mapping[str, Any], *, classifies: bool = False, **more: Any
) -> Iterator[Rows]:
    """Open DATA for the network of --model: blocks of whole batches, with `task` at a progress bar.

    `given` are the options of the command, `more` are further ones for reading. A network that must
    classify, but is a regression, is an error.
    """
    from xpnet.datasets.read import open_rows as opened
    from xpnet.inference.chunks import chunk_rows
    from xpnet.inference.rows import as_rows
    from xpnet.networks.column_names import positions

    clock, batch_size = Clock(), given.get("batch_size")
    with clock.loading():
        model, device = open_model(**given)
    if classifies and model.network.output == "values":
        msg = f"{model.name} is a regression, which has no classes: use predict"
        raise ValueError(msg)
    n_batch = chunk_rows(model.network, batch_size)
    block_rows = n_batch * -(-_BLOCK_ROWS // n_batch)
    options = reading(given, features=model.network.n_in, block_rows=block_rows, **more)
    with in_file(data), opened(data, options) as found, progress_bar(task, options.rows) as bar:
        order = positions(model.network, found.names)
        with clock.loading():
            first = next(found.blocks)

        def in_order() -> "Iterator[Block]":
            for images, labels in chain([first], found.blocks):
                rows = as_rows(images, model.network.n_in)
                yield rows if order is None else rows[:, order], labels

        network, read = suited(model, first[0]), data_facts(found, first[0])
        yield Rows(data, model, device, clock, batch_size, network, read, in_order(), bar)


def data_facts(found: "RowBlocks", images: "NDArray[Any]") -> dict[str, Any]:
    """Return what was read: images like these, and where their labels are."""
    return {
        "row_shape": list(images.shape[1:]),
        "dtype": images.dtype.name,
        "label": found.label,
        "left_out": list(found.left_out),
        "split": found.split,
    }


def data_text(facts: Mapping[str, Any], n: int) -> str:
    """Return the facts of `data_facts` about `n` rows as text."""
    shape = " x ".join(map(str, facts["row_shape"]))
    left_out = ", ".join(map(quoted, facts["left_out"]))
    parts = (
        f"{plural(n, 'row')} of {shape} numbers, {facts['dtype']}",
        facts["split"] and f"the {facts['split']} part",
        facts["label"] and f"label {facts['label']}",
        left_out and f"left out {left_out}",
    )
    return "; ".join(filter(None, parts))


def named(path: str, labels: Any, network: "Network") -> Any:
    """Return the labels of DATA, as names if it is a word for images whose classes have names.

    For a network without names they remain numbers. Raise DataError if there are no labels.
    """
    import numpy as np

    from xpnet.datasets.fetch import DATA_SETS

    if labels is None:
        what = "no labels to compare with; give --labels FILE, or use predict"
        raise DataError(what, file=path)
    known = DATA_SETS.get(path)
    if network.classes is None or known is None or known.classes is None:
        return labels
    names = dict(enumerate(known.classes))
    return np.asarray([names.get(label, label) for label in labels.tolist()])


def is_table(images: "NDArray[Any]") -> bool:
    """Return whether rows are floating-point numbers, but not the pixels of a picture."""
    from xpnet.networks.input_range import FEWEST_PIXELS

    n = prod(images.shape[1:])
    is_square = images.ndim > 2 or isqrt(n) ** 2 == n
    return images.dtype.kind == "f" and not (n >= FEWEST_PIXELS and is_square)
