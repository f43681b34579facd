"""What is done to many images, batch by batch, where they and the network live."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import forget_pages, keep_freed_memory, rows_in_file
from xpnet.arrays.gpu.cuda_streams import Bus, bus_to
from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    current_device,
    is_real,
    library_of,
)
from xpnet.arrays.ranges import counting_from, dtype_before_cast, rounded
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batches import (
    TransferPolicy,
    as_rows,
    check_batch_size,
    check_transfer,
    check_transfers,
    default_batch_size,
    is_stream,
    on_network_device,
)
from xpnet.inference.gpu_pipeline import in_chunks, streamed
from xpnet.inference.tiles import check_threads, in_tiles, tiles_of
from xpnet.networks.network import Network, forward, outputs
from xpnet.networks.prepared import made_constant
from xpnet.networks.preprocessing import Scale

__all__ = ["Work", "batched", "plan"]

# From so many rows on, it takes less time to make a network ready than it saves, on a CPU and on a
# GPU; unless it is so large that two more copies of its weights are a burden.
_MANY_ROWS = {"numpy": 2**11, "cupy": 2**18}
_MANY_WEIGHTS = 2**24
# As much of a memory-mapped file is in memory at a time.
_MAPPED_BYTES = 2**26


class Work(NamedTuple):
    """What is done to rows.

    Attributes
    ----------
    network : Network
    compute : callable
        Makes the results of a batch of rows.
    batch_size : int or None
        None where the number of rows decides.
    threads : int or None
        As for `xpnet.predict`.
    transfers : {"allow", "forbid"}
    """

    network: Network
    compute: Callable[[Any], Any]
    batch_size: int | None
    threads: int | None
    transfers: TransferPolicy


def plan(
    network: Network,
    images: Any,
    finish: Callable[[Network, Any, Any], Any],
    *,
    batch_size: int | None,
    threads: int | None,
    batch_invariant: bool,
    transfers: TransferPolicy,
) -> Work:
    """Return the work whose results are ``finish(network, rows, outputs)``; see `predict`.

    Raises
    ------
    TypeError, ValueError
        If an option has a value that it cannot have.
    """
    if threads is not None:
        check_threads(network, threads)
    if transfers != "allow":
        check_transfers(transfers)
    if batch_invariant:
        from xpnet.inference.batch_invariance import tiled

        return Work(network, *tiled(network, finish, batch_size), threads, transfers)
    if batch_size is not None:
        batch_size = check_batch_size(network, batch_size)
    is_on_host = network.library == "numpy"
    xp, ready = array_namespace(network.layers[0].weight), network
    if _has_many_rows(images, network) and network.multiplications <= _MANY_WEIGHTS:
        ready = made_constant(network)
    # To cast rows before a mean is subtracted would cost digits; before a scaling, it does not.
    is_scaled = not ready.preprocessing and all(isinstance(x, Scale) for x in network.preprocessing)

    def compute(rows: Any) -> Any:
        used, given = ready, rows
        if (
            ready is not network
            and dtype_before_cast(rows.dtype, network.dtype, xp) != network.dtype
        ):
            given = rounded(rows, network.dtype, xp) if is_scaled else None
            if given is None:
                used, given = network, rows
        if is_on_host and type(rows) is np.ndarray and rows.dtype.kind in "biuf":
            return finish(used, rows, outputs(used, given, np))
        return finish(used, rows, forward(used, given))

    return Work(ready, compute, batch_size, threads, transfers)


def _has_many_rows(images: Any, network: Network) -> bool:
    if network.library not in _MANY_ROWS:
        return False
    if isinstance(images, np.ndarray):
        return images.ndim > 0 and len(images) >= _MANY_ROWS[network.library]
    return is_stream(images)


def batched(images: Any, work: Work) -> Any:
    """Return the results of all images, where the images live."""
    network = work.network
    if not isinstance(images, np.ndarray) and not is_stream(images):
        images = as_array(images, "images")
        if library_of(images) == "dask":
            from xpnet.inference.dask import map_rows

            return map_rows(lambda block: batched(block, work), images)
    weight = network.layers[0].weight
    bus = bus_to(weight)
    if bus is not None:
        with current_device(weight):
            return _joined(_over_bus(images, work, bus))
    if isinstance(images, np.memmap):
        images = _in_parts(images)
    if type(images) is np.ndarray and network.library == "numpy":
        return _in_tiles(as_rows(images, network.n_in), work)
    with current_device(weight):
        return _joined(_results(images, work))


def _joined(results: Iterator[Any]) -> Any:
    parts = list(results)
    return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)


def _over_bus(images: Any, work: Work, bus: Bus) -> Iterator[Any]:
    """Yield the results, of a network on a device with a bus, part by part; at least one."""
    n_in = work.network.n_in
    batch_size = work.batch_size or default_batch_size(work.network)

    def over(blocks: Any, *, is_there: bool = False) -> Any:
        y = streamed(blocks, work.compute, bus, batch_size, n_in=n_in, is_there=is_there)
        return to_numpy(y)

    if isinstance(images, np.memmap):
        rows = _host_rows(images, work)
        with rows_in_file(rows) as file:
            if file is not None:
                yield over([file], is_there=True)
                return
        images = _in_parts(images)
    if isinstance(images, np.ndarray):
        yield over([_host_rows(images, work)], is_there=True)
        return
    blocks = images if is_stream(images) else iter([images])
    first = next(blocks, np.empty((0, n_in), np.uint8))
    # Blocks on the host that follow one another are one stream.
    groups = groupby(chain([first], blocks), lambda block: isinstance(block, np.ndarray))
    for on_host, group in groups:
        if on_host:
            yield over(_host_rows(block, work) for block in group)
        else:
            for block in group:
                yield from in_chunks(as_rows(block, n_in), work.compute, bus, batch_size)


def _host_rows(images: NDArray[Any], work: Work) -> NDArray[Any]:
    """Return images on the host as rows that may go to the device."""
    rows: NDArray[Any] = as_rows(images, work.network.n_in)
    if not is_real(rows, np) or rows.dtype.itemsize > 8:
        msg = f"`images` must hold real numbers of at most 64 bits; got dtype {rows.dtype}"
        raise TypeError(msg)
    if len(rows) and work.transfers != "allow":
        check_transfer(rows, work.network, work.transfers)
    return rows


def _in_parts(images: "np.memmap[Any, Any]") -> Iterator[NDArray[Any]] | NDArray[Any]:
    """Return a memory-mapped file as an iterator of its parts, or as an array if it is small."""
    return _mapped(images) if images.nbytes > _MAPPED_BYTES else images.view(np.ndarray)


def _mapped(images: "np.memmap[Any, Any]") -> Iterator[NDArray[Any]]:
    """Yield a memory-mapped file in parts, which do not stay in memory."""
    n_rows = max(_MAPPED_BYTES * len(images) // images.nbytes, 1)
    for start in range(0, len(images), n_rows):
        part = images[start : start + n_rows]
        yield part.view(np.ndarray)
        if part.flags.c_contiguous:
            forget_pages(part)


def _results(images: Any, work: Work) -> Iterator[Any]:
    """Yield the results part by part; at least one, if of no rows."""
    network = work.network
    blocks = images if is_stream(images) else iter([images])
    first = next(blocks, np.empty((0, network.n_in), np.uint8))
    n_before = 0
    for block in chain([first], blocks):
        rows = as_rows(block, network.n_in)
        on_host = isinstance(rows, np.ndarray)
        n_rows = rows.shape[0]
        if on_host and n_rows and work.transfers != "allow":
            check_transfer(rows, network, work.transfers)
        if on_host and network.library == "numpy":
            with counting_from(n_before):
                results = _in_tiles(rows, work)
            yield results
            n_before += n_rows
            continue
        for start, end in pairwise(_bounds(work, n_rows)):
            result = work.compute(on_network_device(network, rows[start:end, :]))
            yield to_numpy(result) if on_host else result


def _in_tiles(rows: NDArray[Any], work: Work) -> NDArray[Any]:
    """Return the results of rows on the host, of a NumPy network."""
    keep_freed_memory()
    bounds, is_shared = _bounds(work, len(rows)), work.network.may_be_shared_out
    return in_tiles(work.compute, rows, bounds, work.threads, holds_blas=is_shared)


def _bounds(work: Work, n_rows: int) -> Sequence[int]:
    """Return where batches start, and where the last one ends."""
    if work.batch_size is not None:
        return [*range(0, max(n_rows, 1), work.batch_size), n_rows]
    if work.network.library == "numpy":
        return tiles_of(work.network, n_rows)
    return [*range(0, max(n_rows, 1), default_batch_size(work.network)), n_rows]
