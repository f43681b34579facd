"""CUDA streams, pinned memory and asynchronous copies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xpnet.arrays.device_errors import DeviceError, Diagnosis, one_line
from xpnet.arrays.gpu.open_gpu import cause_of

__all__ = ["Bus", "DeviceMemoryError", "Streams", "bus_to"]

_PINNED = 1  # cudaMemoryTypeHost

Streams: TypeAlias = tuple[Any, Any]

# Pairs of streams that no call uses, by GPU.
_idle: dict[int, list[Streams]] = {}


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

    @contextmanager
    def streams(self) -> Iterator[Streams]:
        """Lend a stream for copies and one for computations, ordered after all earlier operations.

        CuPy reuses freed memory only on the stream where it was allocated. So streams are reused,
        the last returned first, and threads share them: memory is kept for as many calls as ran at
        once, not for each thread that ever called.
        """
        cuda = self._cupy.cuda
        idle = _idle.setdefault(cuda.Device().id, [])
        try:
            pair = idle.pop()
        except IndexError:
            # CuPy's default stream blocks all streams that are not `non_blocking`.
            pair = cuda.Stream(non_blocking=True), cuda.Stream(non_blocking=True)
        earlier = cuda.get_current_stream().record()
        for stream in pair:
            stream.wait_event(earlier)
        try:
            yield pair
        finally:
            idle.append(pair)

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

    def upload(self, x: NDArray[Any], /) -> Any:
        """Return a copy of a host array on the current device, in the same order of memory.

        `cupy.asarray` would first copy a pageable array to pinned memory, of the next power of two
        bytes, and keep that.
        """
        order: Literal["F", "C"] = "F" if x.flags.fnc else "C"
        x = np.asarray(x, x.dtype.newbyteorder("="), order=order)
        copied = self._cupy.empty(x.shape, x.dtype, order)
        copied.set(x)
        # Some machines read pageable memory asynchronously, too: `x` must be kept until then, and
        # the caller may overwrite its array.
        self._cupy.cuda.get_current_stream().synchronize()
        return copied

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
        return cause_of(error).code == "out-of-memory"


def bus_to(x: Any, /) -> Bus | None:
    """Return the bus to the device of a CuPy array; None for other libraries."""
    return Bus() if type(x).__module__.partition(".")[0] == "cupy" else None
