"""What is done to many images, batch by batch, where they and the network live."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from xpnet.arrays.memory import keep_freed_memory
from xpnet.arrays.namespace import array_namespace, as_array, current_device, library_of
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batches import (
    TransferPolicy,
    as_rows,
    check_batch_size,
    check_transfer,
    check_transfers,
    is_stream,
    on_network_device,
)
from xpnet.inference.tiles import check_threads, in_tiles
from xpnet.networks.network import Network, forward

__all__ = ["Work", "batched", "plan"]


class Work(NamedTuple):
    """What is done to rows.

    Attributes
    ----------
    compute : callable
        Makes the results of a batch of rows.
    batch_size : int
    threads : int or None
        As for `xpnet.predict`.
    transfers : {"allow", "forbid"}
    """

    compute: Callable[[Any], Any]
    batch_size: int
    threads: int | None
    transfers: TransferPolicy


def plan(
    network: Network,
    finish: Callable[[Network, Any], Any],
    *,
    batch_size: int | None,
    threads: int | None,
    batch_invariant: bool,
    transfers: TransferPolicy,
) -> Work:
    """Return the work whose results are ``finish(network, outputs)``; options as of `predict`.

    Raises
    ------
    TypeError, ValueError
        If an option has a value that it cannot have.
    """
    check_threads(network, threads)
    check_transfers(transfers)
    if batch_invariant:
        from xpnet.inference.invariance import tiled

        return Work(*tiled(network, finish, batch_size), threads, transfers)
    size = check_batch_size(network, batch_size)
    return Work(lambda rows: finish(network, forward(network, rows)), size, threads, transfers)


def batched(network: Network, images: Any, work: Work) -> Any:
    """Return the results of all images, where the images live."""
    if not is_stream(images):
        images = as_array(images, "images")
        if library_of(images) == "dask":
            from xpnet.inference.lazy import map_rows

            return map_rows(lambda block: batched(network, block, work), images)
    if network.library == "numpy":
        keep_freed_memory()
    with current_device(network.layers[0].weight):
        parts = list(_results(network, images, work))
        return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)


def _results(network: Network, images: Any, work: Work) -> Iterator[Any]:
    """Yield the results part by part; at least one, if of no rows."""
    blocks = images if is_stream(images) else iter([images])
    first = next(blocks, np.empty((0, network.n_in), np.uint8))
    for block in chain([first], blocks):
        rows = as_rows(block, network.n_in)
        on_host = isinstance(rows, np.ndarray)
        n_rows = rows.shape[0]
        if on_host and n_rows and work.transfers != "allow":
            check_transfer(rows, network, work.transfers)
        if on_host and network.library == "numpy":
            yield in_tiles(work.compute, rows, work.batch_size, work.threads)
            continue
        for start in range(0, max(n_rows, 1), work.batch_size):
            batch = rows[start : min(start + work.batch_size, n_rows), :]
            result = work.compute(on_network_device(network, batch))
            yield to_numpy(result) if on_host else result
