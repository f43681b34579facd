"""Rows of DATA for a network, and the step before it that they need."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data, as_data_error
from xpnet.cli.models import Model
from xpnet.cli.streams import progress_bar
from xpnet.files.errors import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.cli.report import Stopwatch
    from xpnet.datasets.blocks import Block, RowBlocks
    from xpnet.networks.network import Network

# Eight chunks on the host, which threads take: four take 7 times as long on a machine with other
# work (60,000 digits in 0.12 s instead of 0.9, two cores of a Xeon).
_BLOCK_ROWS = 8192


@contextmanager
def stream_rows(
    data: Data,
    model: Model,
    batching: Mapping[str, Any],
    task: str,
    stopwatch: "Stopwatch",
    **options: Any,
) -> "Iterator[tuple[Network, Iterator[Block], dict[str, Any]]]":
    """Open DATA; yield the network that takes its rows, blocks of rows, and what was read.

    A block is a number of whole batches. A GPU computes the first block once before, so that the
    time of its first compilation and loading counts as its start. `batching` are the options of
    `xpnet.predict` for batches, `task` is the text at the progress bar, which appears after a
    second, and `options` are further ones for reading.
    """
    from xpnet.inference.chunks import chunk_rows
    from xpnet.inference.predict import outputs_of
    from xpnet.inference.rows import as_rows
    from xpnet.networks.column_names import positions

    n_batch = chunk_rows(model.network, batching.get("batch_size"))
    block_rows = n_batch * -(-_BLOCK_ROWS // n_batch)
    n_in = model.network.n_in
    with data.open(block_rows=block_rows, features=n_in, **options) as found:
        order = as_data_error(data.path, positions, model.network, found.names)
        first = next(found.blocks)
        network = with_range(model, first[0])
        if network.library != "numpy":
            # Rows that do not fit fail later.
            with stopwatch.measure("device"), suppress(ValueError):
                outputs_of(network, first[0], **batching)

        def counted() -> "Iterator[Block]":
            with progress_bar(total=data.rows, desc=task, delay=1.0) as bar:
                for images, labels in chain([first], found.blocks):
                    rows = as_data_error(data.path, as_rows, images, n_in)
                    yield rows if order is None else rows[:, order], labels
                    if bar is not None:
                        bar.update(len(images))

        yield network, counted(), data_facts(found, first[0])


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
        f"{n:,} row{'s' * (n != 1)} of {shape} numbers, {facts['dtype']}",
        facts["split"] and f"the {facts['split']} part",
        facts["label"] and f"label {facts['label']}",
        left_out and f"left out {left_out}",
    )
    return "; ".join(filter(None, parts))


def with_range(model: Model, images: "NDArray[Any]") -> "Network":
    """Return the network for images like these, with the steps before it that they need.

    These are the steps of --input-range. Without the option, bytes are divided by 255 for a network
    of another program, unless it takes bytes, or has so few inputs that they are measurements.
    """
    from xpnet.networks.input_range import FEWEST_PIXELS, ScalingWarning, takes_bytes, warn_of_range
    from xpnet.networks.preprocessing import Scale

    network, are_bytes = model.network, images.dtype.name == "uint8"
    if model.input_range is not None:
        network = in_range(network, model.input_range, are_bytes=are_bytes)
    elif are_bytes and not (model.is_own or takes_bytes(network) or network.n_in < FEWEST_PIXELS):
        network = replace(network, preprocessing=(Scale(1 / 255), *network.preprocessing))
    else:
        warn_of_range(network, images)
    warnings.simplefilter("ignore", ScalingWarning)  # once for all blocks
    return network


def in_range(network: "Network", input_range: str, *, are_bytes: bool = True) -> "Network":
    """Return the network with the steps of --input-range; raise UsageError if it does not suit."""
    from xpnet.formats.input_range import with_input_range

    try:
        return with_input_range(network, input_range, are_bytes=are_bytes)
    except ValueError as error:
        raise UsageError(str(error).replace("`input_range`", "--input-range")) from error
