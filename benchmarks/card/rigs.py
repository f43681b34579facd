"""The few operations of a device that are measured: by CuPy, or in a rehearsal by the host."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["CupyRig", "HostRig", "Rig", "open_rig"]


class Rig(Protocol):
    """Memory on both sides, copies, products and a clock.

    Attributes
    ----------
    word : str
        The device for `xpnet.Device`.
    """

    word: str

    def pinned(self, n_bytes: int, /) -> NDArray[np.uint8]:
        """Return new host memory that the device reads by itself."""

    def to_device(self, x: NDArray[Any], /) -> Any:
        """Return a copy on the device."""

    def upload(self, target: Any, source: NDArray[Any], /) -> None:
        """Begin to copy from the host into a device array."""

    def download(self, target: NDArray[Any], source: Any, /) -> None:
        """Begin to copy from a device array into pinned memory."""

    def copy(self, target: Any, source: Any, /) -> None:
        """Begin to copy from one device array to another."""

    def multiply(self, a: Any, b: Any, out: Any, /) -> None:
        """Begin a matrix product."""

    def tf32(self) -> AbstractContextManager[None]:
        """Let products of float32 take TF32.

        Raises
        ------
        LookupError
            If the device has none.
        """

    def seconds(self, action: Callable[[], object], /) -> float:
        """Return how long the device takes for what an action gives it to do."""

    def free_bytes(self) -> int:
        """Return how much memory of the device is free."""

    def release(self) -> None:
        """Give back memory that is kept for later."""


class CupyRig:
    """`Rig` by CuPy, on its default stream, with the clock of CUDA events."""

    word = "gpu"

    def pinned(self, n_bytes: int, /) -> NDArray[np.uint8]:
        """Return new host memory."""
        import cupyx

        memory: NDArray[np.uint8] = cupyx.empty_pinned(n_bytes, np.uint8)
        return memory

    def to_device(self, x: NDArray[Any], /) -> Any:
        """Return a copy."""
        import cupy

        return cupy.asarray(x)

    def upload(self, target: Any, source: NDArray[Any], /) -> None:
        """Begin to copy."""
        target.set(source)

    def download(self, target: NDArray[Any], source: Any, /) -> None:
        """Begin to copy."""
        source.get(out=target, blocking=False)

    def copy(self, target: Any, source: Any, /) -> None:
        """Begin to copy."""
        target.data.copy_from_device_async(source.data, source.nbytes)

    def multiply(self, a: Any, b: Any, out: Any, /) -> None:
        """Begin a product."""
        import cupy

        cupy.matmul(a, b, out=out)

    @contextmanager
    def tf32(self) -> Iterator[None]:
        """Let products take TF32."""
        # CuPy has no public way to change this once a product was computed.
        from cupy._core import _routines_linalg as linalg

        before = linalg.get_compute_type(np.float32)
        linalg.set_compute_type(np.float32, linalg.COMPUTE_TYPE_TF32)
        try:
            if linalg.get_compute_type(np.float32) != linalg.COMPUTE_TYPE_TF32:
                msg = "this card has no TF32"
                raise LookupError(msg)
            yield
        finally:
            linalg.set_compute_type(np.float32, before)

    def seconds(self, action: Callable[[], object], /) -> float:
        """Return the seconds of an action."""
        import cupy

        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        action()
        end.record()
        end.synchronize()
        return 1e-3 * float(cupy.cuda.get_elapsed_time(start, end))

    def free_bytes(self) -> int:
        """Return how much memory is free."""
        import cupy

        return int(cupy.cuda.runtime.memGetInfo()[0])

    def release(self) -> None:
        """Give memory back."""
        import cupy

        cupy.cuda.Device().synchronize()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


class HostRig:
    """`Rig` by NumPy: it shows that the benchmark runs, and nothing else."""

    word = "cpu"

    def pinned(self, n_bytes: int, /) -> NDArray[np.uint8]:
        """Return new host memory."""
        return np.empty(n_bytes, np.uint8)

    def to_device(self, x: NDArray[Any], /) -> Any:
        """Return a copy."""
        return x.copy()

    def upload(self, target: Any, source: NDArray[Any], /) -> None:
        """Begin to copy."""
        np.copyto(target, source)

    def download(self, target: NDArray[Any], source: Any, /) -> None:
        """Begin to copy."""
        np.copyto(target, source)

    def copy(self, target: Any, source: Any, /) -> None:
        """Begin to copy."""
        np.copyto(target, source)

    def multiply(self, a: Any, b: Any, out: Any, /) -> None:
        """Begin a product."""
        np.matmul(a, b, out=out)

    def tf32(self) -> AbstractContextManager[None]:
        """Raise: there is none."""
        msg = "a host has no TF32"
        raise LookupError(msg)

    def seconds(self, action: Callable[[], object], /) -> float:
        """Return the seconds of an action."""
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    def free_bytes(self) -> int:
        """Return a number, for want of a device."""
        return 2**30

    def release(self) -> None:
        """Give memory back."""


def open_rig(word: str, /) -> Rig:
    """Return the rig of a device word, ``"gpu"`` or ``"cpu"``."""
    return HostRig() if word == "cpu" else CupyRig()
