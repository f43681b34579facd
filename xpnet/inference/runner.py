"""Batched computation of a network over many images, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, groupby, pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory, release_pages, rows_in_file
from xpnet.arrays.dask_blocks import is_dask, map_blocks
from xpnet.arrays.gpu.cuda_streams import Bus, bus_to
from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    current_device,
    is_real,
    widest_floating,
)
from xpnet.arrays.ranges import counting_from, dtype_before_cast
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batches import (
    BatchOptions,
    as_rows,
    default_batch_size,
    is_stream,
    on_network_device,
)
from xpnet.inference.gpu_pipeline import in_chunks, streamed
from xpnet.inference.nonfinite import outputs_and_lost_rows
from xpnet.inference.tiles import compute_tiles, tile_bounds
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import check_digits, map_arrays, preprocessed

__all__ = ["Finish", "Runner", "run"]

Finish: TypeAlias = Callable[[Network, Any, Any], Any]
"""``finish(network, outputs, is_lost)``, an array with a result for each row.

`is_lost` tells in which rows of a NumPy network a layer overflows, or is None.
"""

# Multiplications in a tile, some 30 microseconds, below which threads only wait for each other.
_SHORT_WORK = 2_500_000
# Bytes of a memory-mapped file that are in memory at a time.
_MAPPED_BYTES = 2**26


def run(network: Network, images: Any, finish: Finish, options: BatchOptions) -> Any:
    """Return ``finish(network, outputs, is_lost)``, batch by batch, of images as for `predict`."""
    return Runner(network, finish, options).run(images)


class Runner:
    """The computation of `run`, reusable for several arrays."""

    def __init__(self, network: Network, finish: Finish, options: BatchOptions) -> None:
        self._network, on_host = network, network.library == "numpy"
        self._options = options = options.checked()
        if options.threads is not None and not on_host:
            msg = f"`threads` must be None for a network of {network.library}, which has its own"
            raise ValueError(msg)
        self._finish = finish
        # 0 if tiles are chosen for the number of rows.
        self._batch_size = options.batch_size or (0 if on_host else default_batch_size(network))

    def run(self, images: Any) -> Any:
        """Return the results for an array or an iterator of arrays."""
        if not isinstance(images, np.ndarray) and not is_stream(images):
            images = as_array(images, "images")
            if is_dask(images):
                return map_blocks(Runner.run, self, images)
        weight = self._network.layers[0].weight
        bus = bus_to(weight)
        if bus is None and isinstance(images, np.memmap):
            images = _parts_of_file(images)
        with current_device(weight):
            if bus is None and isinstance(images, np.ndarray) and self._network.library == "numpy":
                keep_freed_memory()
                rows = as_rows(images, self._network.n_in)
                bounds, threads = self._bounds(len(rows)), self._options.threads
                if bounds[1] * self._network.multiplications < _SHORT_WORK:
                    threads = 1
                return compute_tiles(self._compute, rows, bounds, threads)
            parts = list(self._in_batches(images) if bus is None else self._on_gpu(images, bus))
            return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)

    def _compute(self, rows: Any) -> Any:
        network = self._network
        if network.library == "numpy" and isinstance(rows, np.ndarray) and is_real(rows, np):
            return self._finish(network, *outputs_and_lost_rows(network, rows))
        return self._finish(network, network(rows), None)

    def _in_batches(self, images: Any) -> Iterator[Any]:
        """Yield the results in one or more parts, possibly empty."""
        network, n_before = self._network, 0
        for block in self._blocks(images):
            rows = as_rows(block, network.n_in)
            on_host = isinstance(rows, np.ndarray)
            if on_host and network.library == "numpy":
                with counting_from(n_before):
                    results = self.run(rows)
                yield results
            elif on_host:
                for start, end in pairwise(self._bounds(len(rows))):
                    with counting_from(n_before + start):
                        yield to_numpy(self._compute_on_device(rows[start:end]))
            else:
                for start, end in pairwise(self._bounds(rows.shape[0])):
                    yield self._compute(rows[start:end, :])
            n_before += rows.shape[0]

    def _compute_on_device(self, rows: NDArray[Any]) -> Any:
        """Return the results for host rows, preprocessed on the host if only it has float64."""
        network, weight = self._network, self._network.layers[0].weight
        xp, steps = array_namespace(weight), network.preprocessing
        check_digits(steps, rows, np)
        narrow = np.dtype(np.float32)
        is_number = rows.dtype.kind in "iuf"
        is_wide = is_number and dtype_before_cast(rows.dtype, narrow, np) == np.float64
        if not is_wide or widest_floating(weight, xp) == xp.float64:
            return self._compute(on_network_device(network, rows))
        steps = tuple(map_arrays(step, to_numpy) for step in steps)
        rows = preprocessed(steps, rows, narrow, np)
        plain = replace(network, preprocessing=())
        return self._finish(plain, plain(on_network_device(plain, rows)), None)

    def _on_gpu(self, images: Any, bus: Bus) -> Iterator[Any]:
        """Yield the results of a CuPy network in one or more parts, possibly empty."""
        compute, size, n_in = self._compute, self._batch_size, self._network.n_in
        stream = partial(streamed, compute=compute, bus=bus, batch_size=size, n_in=n_in)
        if isinstance(images, np.memmap):
            with rows_in_file(self._host_rows(images)) as file:
                if file is not None:
                    yield stream([file], is_stable=True)
                    return
            images = _parts_of_file(images)
        if isinstance(images, np.ndarray):
            yield stream([self._host_rows(images)], is_stable=True)
            return
        # Consecutive blocks on the host are one stream.
        groups = groupby(self._blocks(images), lambda block: isinstance(block, np.ndarray))
        for on_host, blocks in groups:
            if on_host:
                yield stream(self._host_blocks(blocks))
                continue
            for block in blocks:
                yield from in_chunks(as_rows(block, n_in), compute, bus, size)

    def _host_blocks(self, blocks: Iterable[Any]) -> Iterator[NDArray[Any]]:
        """Yield host images as rows, counted in errors from the first block on."""
        n_before = 0
        for block in blocks:
            with counting_from(n_before):
                rows = self._host_rows(block)
            yield rows
            n_before += len(rows)

    def _host_rows(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return host images as rows that may be copied to the device."""
        rows: NDArray[Any] = as_rows(images, self._network.n_in)
        if not is_real(rows, np) or rows.dtype.itemsize > 8:
            msg = f"`images` must hold real numbers of at most 64 bits; got dtype {rows.dtype}"
            raise TypeError(msg)
        check_digits(self._network.preprocessing, rows, np)
        return rows

    def _blocks(self, images: Any) -> Iterator[Any]:
        """Return an iterator over one or more blocks of images, possibly empty."""
        blocks = images if is_stream(images) else iter([images])
        return chain([next(blocks, np.empty((0, self._network.n_in), np.uint8))], blocks)

    def _bounds(self, n_rows: int) -> Sequence[int]:
        """Return the first row of each batch, and the number of rows."""
        if not self._batch_size:
            return tile_bounds(self._network, n_rows)
        return [*range(0, max(n_rows, 1), self._batch_size), n_rows]


def _parts_of_file(images: "np.memmap[Any, Any]") -> Iterator[NDArray[Any]] | NDArray[Any]:
    """Return parts of a memory-mapped file, each freed after its use; a small file as one array."""
    if images.nbytes <= _MAPPED_BYTES:
        return images.view(np.ndarray)

    def parts() -> Iterator[NDArray[Any]]:
        n_rows = max(_MAPPED_BYTES * len(images) // images.nbytes, 1)
        for start in range(0, len(images), n_rows):
            part = images[start : start + n_rows]
            yield part.view(np.ndarray)
            if part.flags.c_contiguous:
                release_pages(part)

    return parts()
