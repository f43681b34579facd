"""The way between host and device: what the pipeline of inference asks of CuPy."""

import threading
from collections.abc import Callable
from typing import Any, Self

from numpy.typing import DTypeLike, NDArray

from xpnet.arrays.gpu.gpu_errors import DeviceError, Diagnosis
from xpnet.arrays.gpu.gpu_info import one_line

__all__ = ["Bus", "DeviceMemoryError", "bus_to"]

_MEMORY_ALLOCATION = 2  # cudaErrorMemoryAllocation, and CUDA_ERROR_OUT_OF_MEMORY of the driver
_PINNED = 1  # cudaMemoryTypeHost
_OF_THREAD = threading.local()


class DeviceMemoryError(DeviceError, MemoryError):
    """There is no memory on the device, or none that can be pinned, for a chunk of rows."""

    @classmethod
    def of_rows(cls, n_rows: int, reason: str, /) -> Self:
        """Return the error that says so of a number of rows."""
        what = f"the GPU has no memory for {n_rows:,} rows at a time ({one_line(reason)})"
        mend = "free some of it, which nvidia-smi shows, or use --device cpu"
        return cls(Diagnosis("out-of-memory", what, mend))


class Bus:
    """Memory on both sides, and streams: what is put on one happens later, in its order.

    Nothing that is named here waits but `wait` without a stream. So a host array must not be
    written to, nor a device array given back, before what was put on streams has read it; and a
    stream sees what another one does only after it was told to wait for it. The device is the
    current one.
    """

    def stream(self, name: str, /) -> Any:
        """Return the caller's stream of this name; it goes on after all that was asked before.

        CuPy keeps memory that is given back for the stream where it was taken, so a thread has one
        of each name, and no new ones.
        """
        import cupy

        streams = _OF_THREAD.__dict__.setdefault("streams", {})
        key = cupy.cuda.Device().id, name
        if key not in streams:
            # CuPy's default stream would hold up each other one that is not `non_blocking`.
            streams[key] = cupy.cuda.Stream(non_blocking=True)
        stream = streams[key]
        stream.wait_event(cupy.cuda.get_current_stream().record())
        return stream

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike, /) -> NDArray[Any]:
        """Return a new host array that the device reads and writes by itself."""
        import cupyx

        array: NDArray[Any] = cupyx.empty_pinned(shape, dtype)
        return array

    def is_pinned(self, x: NDArray[Any], /) -> bool:
        """Tell whether a host array is such a one."""
        import cupy

        try:
            # Both ends: a part of an array can be pinned.
            ends = (x.ctypes.data, x.ctypes.data + x.nbytes - 1)
            kinds = {cupy.cuda.runtime.pointerGetAttributes(end).type for end in ends}
        except cupy.cuda.runtime.CUDARuntimeError:  # of a driver that knows only its own memory
            return False
        return kinds == {_PINNED}

    def allocate(self, shape: tuple[int, ...], dtype: DTypeLike, stream: Any, /) -> Any:
        """Return a new device array, which this stream may write to at once."""
        import cupy

        with stream:  # CuPy keeps what is freed for the stream where it was taken
            return cupy.empty(shape, dtype)

    def copy_in(self, target: Any, source: NDArray[Any], stream: Any, /) -> None:
        """Copy from a pinned host array to a device array of its shape and dtype."""
        target.set(source, stream=stream)

    def compute(self, function: Callable[[Any], Any], x: Any, stream: Any, /) -> Any:
        """Return what becomes of a device array; its numbers are there for this stream alone."""
        with stream:
            return function(x)

    def copy_out(self, target: NDArray[Any], source: Any, stream: Any, /) -> None:
        """Copy from a device array to a pinned host array."""
        source.get(stream=stream, out=target, blocking=False)

    def record(self, stream: Any, /) -> Any:
        """Return an event, which comes when all is done that the stream was given so far."""
        import cupy

        event = cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event

    def wait(self, event: Any, stream: Any = None, /) -> None:
        """Let a stream wait for an event, or the caller."""
        if stream is None:
            event.synchronize()
        else:
            stream.wait_event(event)

    def free(self) -> None:
        """Give memory back that is kept for later."""
        import cupy

        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()

    def is_out_of_memory(self, error: BaseException, /) -> bool:
        """Tell whether an error says that the device is full, or the memory to be pinned."""
        import cupy

        if isinstance(error, cupy.cuda.runtime.CUDARuntimeError | cupy.cuda.driver.CUDADriverError):
            return bool(error.status == _MEMORY_ALLOCATION)
        # cuBLAS has its own: it cannot take its workspace.
        return isinstance(error, MemoryError) or "ALLOC_FAILED" in str(error)


def bus_to(x: Any, /) -> Bus | None:
    """Return the way to the device of an array; None where its library has none of its own."""
    return Bus() if type(x).__module__.partition(".")[0] == "cupy" else None
