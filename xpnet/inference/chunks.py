"""Computation of a network over many rows, chunk by chunk: in the cache, and by all cores."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.threads import blas_threads, one_blas_thread, run_tasks
from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.namespace import (
    array_namespace,
    current_device,
    device_of,
    dtype_before_cast,
    limits_of,
    widest_floating,
    without_warnings,
)
from xpnet.arrays.transfer import is_in_host_memory, move, to_numpy
from xpnet.inference.rows import as_rows, check_integer
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import map_arrays, preprocessed

__all__ = ["DeviceMemoryError", "chunk_rows", "on_network_device", "run", "suited"]

# What a layer makes of a chunk stays in the second-level cache, so new arrays cost little. For 8
# chunks or more, threads of their own are faster than those of BLAS: 10 chunks of 784-50-100-10
# take 6.3 ms for 8.8, 4 take as long (two cores of a Xeon, family 6 model 167).
_CHUNK, _MANY_CHUNKS = 1024, 8
# Surely one chunk: without further choices, one row of 784-50-100-10 takes 11.4 microseconds
# instead of 12.6 (Xeon, model 167).
_FEW_ROWS = 32
# The slices of exact products are several arrays of float64.
_EXACT_CHUNK = 512
# Numbers of the widest stage of a chunk: 64 MB of float32.
_MOST_NUMBERS = 2**24
# Bytes of the widest stage of a chunk on a device, the rows included: 21,399 rows of 784 numbers in
# float32. A device needs many rows per call, and computes with several such arrays.
_DEVICE_BYTES = 2**26
# In the errors of torch, JAX and cuBLAS, which are no MemoryError.
_FULL = re.compile("out of memory|ALLOC_FAILED", re.IGNORECASE)


class DeviceMemoryError(DeviceError, MemoryError):
    """Out of device memory for a chunk of rows."""


def chunk_rows(network: Network, batch_size: int | None = None) -> int:
    """Return the rows of a chunk: `batch_size`, or by default what suits the network's device."""
    if batch_size is not None:
        check_integer("batch_size", batch_size)
        return int(batch_size)
    weight = network.layers[0].weight
    if is_in_host_memory(weight):
        usual = _EXACT_CHUNK if network.is_reproducible else _CHUNK
        return min(usual, _MOST_NUMBERS // network.widest) or 1
    n_bytes = network.widest * limits_of(weight.dtype, array_namespace(weight)).bits // 8
    return max(_DEVICE_BYTES // n_bytes, 1)


def run(
    network: Network,
    images: Any,
    finish: Callable[[Network, Any], Any],
    batch_size: int | None = None,
    threads: int | None = None,
) -> Any:
    """Return ``finish(network, outputs)``, with a result for each image, where the images are.

    Arguments and errors are those of `xpnet.predict`. Outputs of shape (n, n_out) are on the
    network's device.
    """
    keep_freed_memory()
    rows, is_host = as_rows(images, network.n_in), network.library == "numpy"
    is_plain = type(rows) is np.ndarray and is_host and batch_size is threads is None
    if is_plain and 0 < len(rows) <= _FEW_ROWS:
        with without_warnings():
            return finish(network, network.compute(rows, np))
    size = chunk_rows(network, batch_size)
    if threads is not None:
        check_integer("threads", threads)
        if not is_host:
            msg = f"`threads` must be None for a network of {network.library}, which has its own"
            raise ValueError(msg)
    elif network.is_reproducible and is_host and rows.shape[0] > size:
        threads = blas_threads()  # most of its time is outside of products, on one thread

    def compute(part: Any) -> Any:
        return np.asarray(finish(network, network.compute(part, np)))

    with current_device(network.layers[0].weight), without_warnings():
        if is_host and isinstance(rows, np.ndarray):
            return _on_host(compute, rows, size, threads)
        return _on_device(network, rows, finish, size)


def _on_host(
    compute: Callable[[Any], Any], rows: NDArray[Any], size: int, threads: int | None
) -> Any:
    """Return ``compute(rows)``, one result per row, computed for `size` rows at a time.

    Few chunks are computed one after the other, by BLAS's own threads. Many, or with a number of
    `threads`, are taken by threads with one BLAS thread each.
    """
    starts = range(0, len(rows), size)
    parts: list[Any] = [None] * len(starts)

    def work(i: int) -> None:
        parts[i] = compute(rows[starts[i] : starts[i] + size])

    is_few = threads is None and len(starts) < _MANY_CHUNKS
    n_threads = 1 if is_few else min(threads or blas_threads(), len(starts))
    with nullcontext() if is_few else one_blas_thread():
        if len(starts) < 2:
            return compute(rows)
        run_tasks(work, range(len(starts)), n_threads)
    return np.concatenate(parts)


def _on_device(
    network: Network, rows: Any, finish: Callable[[Network, Any], Any], size: int
) -> Any:
    """Return the results, on the host for host rows, otherwise where the rows are."""
    n_rows = rows.shape[0]
    if not n_rows:  # CuPy cannot find the largest of no rows (cupy#266)
        xp, shape = array_namespace(rows), (1, network.n_in)
        row = xp.zeros(shape, dtype=rows.dtype, device=device_of(rows))
        return _on_device(network, row, finish, size)[:0, ...]
    parts: list[Any] = []
    reason = ""
    for start in range(0, n_rows, size):
        chunk = rows[start : min(start + size, n_rows), :]
        try:
            if isinstance(chunk, np.ndarray):
                plain, chunk = suited(network, chunk)
                parts.append(to_numpy(finish(plain, plain(chunk))))
            else:
                parts.append(finish(network, network(chunk)))
        except (MemoryError, RuntimeError) as error:
            is_full = isinstance(error, MemoryError) or _FULL.search(str(error)) is not None
            if not is_full or is_in_host_memory(network.layers[0].weight):
                raise
            reason = str(error)
        if reason:  # not raised above, where its context would keep arrays on the device
            code, n = "out-of-memory", min(size, n_rows - start)
            what = f"the device has no memory for {n:,} rows at a time ({reason})"
            fix = "give a smaller batch_size= (--batch-size), or end other programs on the device"
            raise DeviceMemoryError(code, what, fix)
    return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)


def suited(network: Network, rows: NDArray[Any]) -> tuple[Network, Any]:
    """Return host rows on the network's device, and a network for them.

    If only the host has the dtype of the preprocessing, the rows are preprocessed there, and the
    network has no steps.
    """
    weight = network.layers[0].weight
    xp, narrow = array_namespace(weight), np.dtype(np.float32)
    is_wide = dtype_before_cast(rows.dtype, narrow, np) != narrow
    if is_wide and widest_floating(weight, xp) != xp.float64:
        steps = [map_arrays(step, to_numpy) for step in network.preprocessing]
        rows = preprocessed(steps, rows, narrow, np)
        network = replace(network, preprocessing=())
    return network, on_network_device(network, rows)


def on_network_device(network: Network, rows: Any) -> Any:
    """Return host rows on the network's device, and rows of other libraries unchanged.

    Rows of float64 become float32 if the device has no float64.
    """
    if not isinstance(rows, np.ndarray):
        return rows
    weight = network.layers[0].weight
    xp = array_namespace(weight)
    if rows.dtype == np.float64 and widest_floating(weight, xp) != xp.float64:
        with without_warnings():  # a number may overflow
            rows = rows.astype(np.float32)
    return move(rows, xp, network.device)
