"""Rows of DATA for a network, and the step before it that they need."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data, as_data_error
from xpnet.cli.models import Model
from xpnet.cli.streams import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.cli.report import Stopwatch
    from xpnet.datasets.blocks import Block
    from xpnet.networks.network import Network

# Eight chunks on the host, which threads take: four take 7 times as long on a machine with other
# work (60,000 digits in 0.12 s instead of 0.9, two cores of a Xeon).
_BLOCK_ROWS = 8192


def stream_rows(
    data: Data,
    model: Model,
    batching: Mapping[str, Any],
    task: str,
    stopwatch: "Stopwatch",
    **options: Any,
) -> "tuple[Network, Iterator[Block]]":
    """Return the network that takes the rows of DATA, and an iterator over blocks of rows.

    A block is a number of whole batches. A GPU computes the first block once before, so that the
    time of its first compilation and loading counts as its start. `batching` are the options of
    `xpnet.predict` for batches, `task` is the text at the progress bar, which appears after a
    second, and `options` are further ones of `xpnet.datasets.stream`.
    """
    from xpnet.inference.chunks import chunk_rows
    from xpnet.inference.predict import outputs_of
    from xpnet.inference.rows import as_rows

    n_batch = chunk_rows(model.network, batching.get("batch_size"))
    block_rows = n_batch * -(-_BLOCK_ROWS // n_batch)
    blocks = data.stream(block_rows=block_rows, features=model.network.n_in, **options)
    first = next(blocks)
    network = with_range(model, first[0])
    if network.library != "numpy":
        with stopwatch.measure("device"), suppress(ValueError):  # rows that do not fit fail later
            outputs_of(network, first[0], **batching)

    def counted() -> "Iterator[Block]":
        with progress_bar(total=data.rows, desc=task, delay=1.0) as bar:
            for images, labels in chain([first], blocks):
                yield as_data_error(data.path, as_rows, images, network.n_in), labels
                if bar is not None:
                    bar.update(len(images))

    return network, counted()


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
