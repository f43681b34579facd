"""The memory of arrays on the host."""

import functools
import mmap
from typing import Any

import numpy as np

__all__ = ["forget_pages", "keep_freed_memory"]


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep freed arrays for the next ones, where it would give them back.

    In a fresh process, glibc maps each array of more than 128 KB anew and unmaps it when it is
    freed, so that every page of every result faults: elementwise code takes three to nine times as
    long. Once an array of up to 32 MB has been freed, it keeps what is freed up to that size.
    """
    np.empty(31 << 20, np.uint8)  # its pages are never touched


def forget_pages(x: Any, /) -> None:
    """Give back the memory of what was read of a memory-mapped file, which can be read again.

    Parameters
    ----------
    x : numpy.memmap
        Contiguous, or a contiguous part of one. Nothing is done where the file was not opened for
        reading only, or the system has no way.
    """
    mapping = getattr(x, "_mmap", None)
    if mapping is None or x.mode != "r" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    whole = np.frombuffer(mapping, np.uint8)
    start = x.ctypes.data - whole.ctypes.data
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, first, start + x.nbytes - first)
