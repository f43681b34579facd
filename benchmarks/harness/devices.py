"""Operations of a device that ceilings are measured with: CuPy's, or NumPy's on the host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.measuring import wall_seconds


class HostDevice:
    """The host in the role of a device, for rehearsals; its numbers mean nothing."""

    name = "cpu"
    xp: Any = np

    def pinned(self, n_bytes: int, /) -> NDArray[np.uint8]:
        """Return new host memory that the device can read directly."""
        return np.empty(n_bytes, np.uint8)

    def to_device(self, x: NDArray[Any], /) -> Any:
        """Return a copy on the device."""
        return self.xp.array(x)

    def copy(self, target: Any, source: Any, /) -> None:
        """Begin a copy from, to or on the device."""
        np.copyto(target, source)

    @contextmanager
    def tf32(self) -> Iterator[None]:
        """Use TF32 for products of float32; raise LookupError if the device has none."""
        msg = "the host has no TF32"
        raise LookupError(msg)
        yield

    def seconds(self, action: Callable[[], object], /) -> float:
        """Return the seconds that the device takes for an action."""
        return wall_seconds(action)

    def free_bytes(self) -> int:
        """Return the free memory of the device."""
        return 2**30

    def release(self) -> None:
        """Free memory that is kept for later."""


class CupyDevice(HostDevice):
    """A GPU with CuPy, on the default stream, timed by CUDA events."""

    name = "gpu"

    def __init__(self) -> None:
        self.xp = import_module("cupy")

    def pinned(self, n_bytes: int, /) -> NDArray[np.uint8]:
        """Return pinned memory."""
        memory: NDArray[np.uint8] = import_module("cupyx").empty_pinned(n_bytes, np.uint8)
        return memory

    def copy(self, target: Any, source: Any, /) -> None:
        """Begin a copy."""
        if isinstance(target, np.ndarray):
            source.get(out=target, blocking=False)
        elif isinstance(source, np.ndarray):
            target.set(source)
        else:
            target.data.copy_from_device_async(source.data, source.nbytes)

    @contextmanager
    def tf32(self) -> Iterator[None]:
        """Use TF32."""
        # CuPy has no public way to change this after the first product.
        linalg: Any = import_module("cupy._core._routines_linalg")
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
        """Return the seconds between two events."""
        cuda: Any = self.xp.cuda
        start, end = cuda.Event(), cuda.Event()
        start.record()
        action()
        end.record()
        end.synchronize()
        return 1e-3 * float(cuda.get_elapsed_time(start, end))

    def free_bytes(self) -> int:
        """Return the free memory."""
        return int(self.xp.cuda.runtime.memGetInfo()[0])

    def release(self) -> None:
        """Free the memory pools."""
        self.xp.cuda.Device().synchronize()
        self.xp.get_default_memory_pool().free_all_blocks()
        self.xp.get_default_pinned_memory_pool().free_all_blocks()


def open_device(name: str, /) -> HostDevice:
    """Return the operations of a device, ``"gpu"`` or ``"cpu"``."""
    return CupyDevice() if name == "gpu" else HostDevice()
