"""Copies between host and device, and their counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.libraries import library_with
from xpnet.arrays.namespace import array_namespace, device_of

__all__ = ["Transfers", "count_copy", "count_transfers", "host_dtype", "is_in_host_memory"]
__all__ += ["is_numpy", "is_traced", "move", "to_numpy", "without_graph"]


@dataclass
class Transfers:
    """Counts of xpnet's own copies between host and device.

    Attributes
    ----------
    copies_to_device, bytes_to_device : int
        From host memory to a device.
    copies_to_host, bytes_to_host : int
        From a device to host memory.
    """

    copies_to_device: int = 0
    bytes_to_device: int = 0
    copies_to_host: int = 0
    bytes_to_host: int = 0

    def add(self, other: "Transfers", /) -> None:
        """Add the counts of `other`."""
        self.copies_to_device += other.copies_to_device
        self.bytes_to_device += other.bytes_to_device
        self.copies_to_host += other.copies_to_host
        self.bytes_to_host += other.bytes_to_host


_CURRENT: ContextVar[Transfers | None] = ContextVar("xpnet_transfers", default=None)


@contextmanager
def count_transfers() -> Iterator[Transfers]:
    """Count xpnet's copies between host and device inside a ``with`` block.

    Copies between NumPy and other arrays in host memory, such as torch's on the CPU, are not
    counted, nor are copies by other code. Threads started inside the block are counted only if
    they run in its context (``contextvars.copy_context().run``). Dask uses threads of its own.

    Yields
    ------
    Transfers
        The counts, updated while the block runs. An outer block includes the counts of inner ones.

    Examples
    --------
    >>> import xpnet
    >>> with count_transfers() as transfers:
    ...     labels = xpnet.predict(xpnet.load("sample"), xpnet.sample()[0])
    >>> transfers
    Transfers(copies_to_device=0, bytes_to_device=0, copies_to_host=0, bytes_to_host=0)
    """
    outer = _CURRENT.get()
    transfers = Transfers()
    token = _CURRENT.set(transfers)
    try:
        yield transfers
    finally:
        _CURRENT.reset(token)
        if outer is not None:
            outer.add(transfers)


def count_copy(side: Literal["device", "host"], n_bytes: int) -> None:
    """Count one copy of `n_bytes` bytes to `side`."""
    transfers = _CURRENT.get()
    if transfers is not None:
        transfers.add(Transfers(1, n_bytes) if side == "device" else Transfers(0, 0, 1, n_bytes))


def is_numpy(x: object, /) -> bool:
    """Return whether `x` is a NumPy array."""
    return isinstance(x, np.ndarray)


def is_in_host_memory(x: Any, /) -> bool:
    """Return whether an array of any library is in host memory.

    Lazy Dask arrays, and arrays on the default device of an unknown library, count as host memory.
    """
    if isinstance(x, np.ndarray | np.generic):
        return True
    return library_with(array_namespace(x)).is_on_host(device_of(x))


def is_traced(x: Any, /) -> bool:
    """Return whether JAX or torch record computations of `x` for a compiler: it has no values."""
    library = type(x).__module__.partition(".")[0]
    if library == "jax":
        import jax

        return isinstance(x, jax.core.Tracer)
    if library == "torch":
        import torch

        return torch.compiler.is_compiling() or torch.jit.is_tracing()
    return False


def to_numpy(x: Any, /) -> NDArray[Any]:
    """Return an array of any library as a NumPy array; NumPy arrays are returned unchanged.

    Lazy arrays are computed, and bfloat16 of other libraries becomes float32. Copies from a device
    are counted (see `count_transfers`).
    """
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    host = library_with(array_namespace(x)).numpy(x)
    if not is_in_host_memory(x):
        count_copy("host", int(getattr(x, "nbytes", host.nbytes)))
    return host.astype(host_dtype(host.dtype), copy=False)


def host_dtype(dtype: Any, /) -> Any:
    """Return a NumPy dtype, but float32 for bfloat16."""
    return np.dtype(np.float32) if dtype.name == "bfloat16" else dtype


def without_graph(x: Any, /) -> Any:
    """Return a torch array detached from its autograd graph; other arrays unchanged."""
    return x.detach() if hasattr(x, "detach") else x


def move(x: Any, xp: Any, device: Any, /) -> Any:
    """Return the values of `x` as an array of the namespace `xp` on `device`.

    If `x` is there already, `x` itself is returned. Copies between two libraries pass through the
    host. `xp` comes from `array_namespace`; `device` is a device object of its library.
    """
    is_same_library = array_namespace(x) is xp
    if is_same_library and device_of(x) == device:
        return x
    if xp is np:
        return to_numpy(x)
    if is_same_library:
        import array_api_compat

        return _recorded(x, array_api_compat.to_device(x, device))
    host = to_numpy(x)
    return _recorded(host, library_with(xp).array(host, device))


def _recorded(x: Any, moved: Any) -> Any:
    """Count the copy from `x` to `moved` if it crossed between host and device; return `moved`."""
    was_on_host, is_on_host = is_in_host_memory(x), is_in_host_memory(moved)
    if was_on_host != is_on_host:
        host = moved if is_on_host else x
        # Arrays without `nbytes` are in host memory, where NumPy reads them without a copy.
        n_bytes = host.nbytes if hasattr(host, "nbytes") else np.asarray(host).nbytes
        count_copy("host" if is_on_host else "device", int(n_bytes))
    return moved
