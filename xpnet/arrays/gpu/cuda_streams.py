"""CUDA streams, pinned memory and asynchronous copies."""

import threading
from collections.abc import Callable
from typing import Any, Self

from numpy.typing import DTypeLike, NDArray

from xpnet.arrays.gpu.gpu_errors import DeviceError, Diagnosis
from xpnet.arrays.gpu.gpu_info import one_line

__all__ = ["Bus", "DeviceMemoryError", "bus_to"]

_MEMORY_ALLOCATION = 2  # cudaErrorMemoryAllocation and CUDA_ERROR_OUT_OF_MEMORY
_PINNED = 1  # cudaMemoryTypeHost
_PER_THREAD = threading.local()


class DeviceMemoryError(DeviceError, MemoryError):
    """Out of device memory or pinned memory for a chunk of rows."""

    @classmethod
    def of_rows(cls, n_rows: int, reason: str, /) -> Self:
        """Return the error for a number of rows."""
        what = f"the GPU has no memory for {n_rows:,} rows at a time ({one_line(reason)})"
        fix = "free some of it (nvidia-smi shows its use), or use --device cpu"
        return cls(Diagnosis("out-of-memory", what, fix))


class Bus:
    """Asynchronous operations between host and the current device, in the order of their stream.

    Only `wait` without a stream blocks. Callers must not overwrite a host array, or free a device
    array, before the operations that read it are done. A stream can use the results of another
    stream only after it has waited for that stream's event.
    """

    def __init__(self) -> None:
        import cupy

        self._cupy: Any = cupy

    def stream(self, name: str, /) -> Any:
        """Return the thread's stream of this name, ordered after all earlier operations.

        CuPy reuses freed memory only on the stream where it was allocated, so each thread keeps one
        stream per name.
        """
        streams = _PER_THREAD.__dict__.setdefault("streams", {})
        key = self._cupy.cuda.Device().id, name
        if key not in streams:
            # CuPy's default stream blocks all streams that are not `non_blocking`.
            streams[key] = self._cupy.cuda.Stream(non_blocking=True)
        stream = streams[key]
        stream.wait_event(self._cupy.cuda.get_current_stream().record())
        return stream

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike, /) -> NDArray[Any]:
        """Return a new host array in pinned memory."""
        import cupyx

        return cupyx.empty_pinned(shape, dtype)

    def is_pinned(self, x: NDArray[Any], /) -> bool:
        """Return whether a host array is in pinned memory."""
        try:
            # Check both ends: an array may be pinned in part.
            ends = (x.ctypes.data, x.ctypes.data + x.nbytes - 1)
            kinds = {self._cupy.cuda.runtime.pointerGetAttributes(end).type for end in ends}
        except self._cupy.cuda.runtime.CUDARuntimeError:  # older drivers reject unpinned memory
            return False
        return kinds == {_PINNED}

    def allocate(self, shape: tuple[int, ...], dtype: DTypeLike, stream: Any, /) -> Any:
        """Return a new device array that `stream` may write to at once."""
        with stream:  # CuPy reuses freed memory on the stream where it was allocated
            return self._cupy.empty(shape, dtype)

    def copy_in(self, target: Any, source: NDArray[Any], stream: Any, /) -> None:
        """Copy a pinned host array to a device array of its shape and dtype."""
        target.set(source, stream=stream)

    def compute(self, function: Callable[[Any], Any], x: Any, stream: Any, /) -> Any:
        """Return ``function(x)``, computed on `stream`."""
        with stream:
            return function(x)

    def copy_out(self, target: NDArray[Any], source: Any, stream: Any, /) -> None:
        """Copy a device array to a pinned host array."""
        source.get(stream=stream, out=target, blocking=False)

    def record(self, stream: Any, /) -> Any:
        """Return an event that completes after all operations of `stream` so far."""
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event

    def wait(self, event: Any, stream: Any = None, /) -> None:
        """Make a stream wait for an event; without a stream, block the caller."""
        if stream is None:
            event.synchronize()
        else:
            stream.wait_event(event)

    def free(self) -> None:
        """Free all memory that CuPy keeps for reuse."""
        self._cupy.get_default_memory_pool().free_all_blocks()
        self._cupy.get_default_pinned_memory_pool().free_all_blocks()

    def is_out_of_memory(self, error: BaseException, /) -> bool:
        """Return whether an error means that device memory, or memory to pin, is exhausted."""
        cuda = self._cupy.cuda
        if isinstance(error, cuda.runtime.CUDARuntimeError | cuda.driver.CUDADriverError):
            return bool(error.status == _MEMORY_ALLOCATION)
        # cuBLAS has its own error if its workspace cannot be allocated.
        return isinstance(error, MemoryError) or "ALLOC_FAILED" in str(error)


def bus_to(x: Any, /) -> Bus | None:
    """Return the bus to the device of a CuPy array; None for other libraries."""
    return Bus() if type(x).__module__.partition(".")[0] == "cupy" else None
