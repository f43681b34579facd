"""Operations of a device that ceilings are measured with: CuPy's, or NumPy's on the host."""

from collections.abc import Callable
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

    def copy(self, target: Any, source: NDArray[Any], /) -> None:
        """Begin a copy to the device."""
        np.copyto(target, source)

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

    def copy(self, target: Any, source: NDArray[Any], /) -> None:
        """Begin a copy."""
        target.set(source)

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
