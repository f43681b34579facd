"""Batched computation of a network over many images, in bounded memory."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from textwrap import shorten
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.dask_blocks import is_dask, map_blocks
from xpnet.arrays.device_errors import DeviceError, Diagnosis
from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    current_device,
    device_of,
    is_real,
    widest_floating,
)
from xpnet.arrays.ranges import counting_from, dtype_before_cast
from xpnet.arrays.transfer import is_in_host_memory, to_numpy
from xpnet.inference.batches import (
    BatchOptions,
    as_rows,
    default_batch_size,
    on_network_device,
)
from xpnet.inference.nonfinite import outputs_and_lost_rows
from xpnet.inference.tiles import compute_tiles, tile_bounds
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import check_digits, map_arrays, preprocessed

__all__ = ["DeviceMemoryError", "Finish", "Runner", "run"]

Finish: TypeAlias = Callable[[Network, Any, Any], Any]
"""``finish(network, outputs, is_lost)``, an array with a result for each row.

`is_lost` tells in which rows of a NumPy network a layer overflows, or is None.
"""

# Multiplications in a tile, some 30 microseconds, below which threads only wait for each other.
_SHORT_WORK = 2_500_000
# In the errors of torch, JAX and cuBLAS, which are no MemoryError.
_FULL = re.compile("out of memory|ALLOC_FAILED", re.IGNORECASE)


class DeviceMemoryError(DeviceError, MemoryError):
    """Out of device memory for a chunk of rows."""

    @classmethod
    def of_rows(cls, n_rows: int, reason: str, /) -> Self:
        """Return the error for a number of rows."""
        what = f"the device has no memory for {n_rows:,} rows at a time ({reason})"
        fix = "give a smaller batch_size= (--batch-size), or end other programs on the device"
        return cls(Diagnosis("out-of-memory", what, fix))


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
        """Return the results for an array."""
        if not isinstance(images, np.ndarray):
            images = as_array(images, "images")
            if is_dask(images):
                return map_blocks(Runner.run, self, images)
        network, rows = self._network, as_rows(images, self._network.n_in)
        bounds, threads = self._bounds(rows.shape[0]), self._options.threads
        with current_device(network.layers[0].weight):
            if isinstance(rows, np.ndarray) and network.library == "numpy":
                keep_freed_memory()
                if bounds[1] * network.multiplications < _SHORT_WORK:
                    threads = 1
                return compute_tiles(self._compute, np.asarray(rows), bounds, threads)
            parts = []
            for start, end in pairwise(bounds):
                with counting_from(start):
                    parts.append(self._chunk(rows[start:end, :]))
            return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)

    def _compute(self, rows: Any) -> Any:
        network = self._network
        if network.library == "numpy" and isinstance(rows, np.ndarray) and is_real(rows, np):
            return self._finish(network, *outputs_and_lost_rows(network, rows))
        return self._finish(network, network(rows), None)

    def _chunk(self, rows: Any) -> Any:
        """Return the results for a chunk: on the host for host rows, otherwise where they are."""
        n_rows = rows.shape[0]
        if not n_rows:  # CuPy cannot find the largest of no rows (cupy#266)
            xp, shape = array_namespace(rows), (1, self._network.n_in)
            return self._chunk(xp.zeros(shape, dtype=rows.dtype, device=device_of(rows)))[:0, ...]
        try:
            if isinstance(rows, np.ndarray):
                return to_numpy(self._compute_on_device(np.asarray(rows)))
            return self._compute(rows)
        except (MemoryError, RuntimeError) as error:
            is_full = isinstance(error, MemoryError) or _FULL.search(str(error)) is not None
            if not is_full or is_in_host_memory(self._network.layers[0].weight):
                raise
            reason = shorten(str(error), 200)
        # Not raised above, where its context would keep arrays on the device.
        raise DeviceMemoryError.of_rows(n_rows, reason)

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

    def _bounds(self, n_rows: int) -> Sequence[int]:
        """Return the first row of each batch, and the number of rows."""
        if not self._batch_size:
            return tile_bounds(self._network, n_rows)
        return [*range(0, max(n_rows, 1), self._batch_size), n_rows]
