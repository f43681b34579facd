"""Counts of copies and bytes between host and device."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

__all__ = ["Transfers", "count_copy", "count_transfers"]


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

    Yields
    ------
    Transfers
        The counts, updated while the block runs. An outer block includes the counts of inner ones.

    Notes
    -----
    Copies between NumPy and other arrays in host memory, such as torch's on the CPU, are not
    counted, nor are copies by other code. Threads started inside the block are counted only if
    they run in its context (``contextvars.copy_context().run``). Dask uses threads of its own.

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
