"""How many copies and bytes cross between host and device."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

__all__ = ["Transfers", "count_transfers", "record"]


@dataclass
class Transfers:
    """Copies, and their bytes, that xpnet itself made between host and device.

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
        """Add what another has counted."""
        self.copies_to_device += other.copies_to_device
        self.bytes_to_device += other.bytes_to_device
        self.copies_to_host += other.copies_to_host
        self.bytes_to_host += other.bytes_to_host


_CURRENT: ContextVar[Transfers | None] = ContextVar("xpnet_transfers", default=None)


@contextmanager
def count_transfers() -> Iterator[Transfers]:
    """Count what xpnet copies between host and device inside a ``with`` block.

    Yields
    ------
    Transfers
        It grows while the block runs. Blocks within blocks are part of the outer count.

    Notes
    -----
    Between NumPy and a library's arrays in host memory, such as torch's on the CPU, nothing is
    counted, nor is what other code copies. A thread started inside the block does not count here;
    give it the block's context by ``contextvars.copy_context().run``. Dask computes in threads of
    its own.

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


def record(side: Literal["device", "host"], n_bytes: int) -> None:
    """Note one copy of `n_bytes` bytes to this side."""
    transfers = _CURRENT.get()
    if transfers is None:
        return
    if side == "device":
        transfers.add(Transfers(copies_to_device=1, bytes_to_device=n_bytes))
    else:
        transfers.add(Transfers(copies_to_host=1, bytes_to_host=n_bytes))
