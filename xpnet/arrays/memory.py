"""The memory of temporary arrays on the host."""

import functools

import numpy as np

__all__ = ["keep_freed_memory"]


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep freed arrays for the next ones, where it would give them back.

    In a fresh process, glibc maps each array of more than 128 KB anew and unmaps it when it is
    freed, so that every page of every result faults: elementwise code takes three to nine times as
    long. Once an array of up to 32 MB has been freed, it keeps what is freed up to that size.
    """
    np.empty(31 << 20, np.uint8)  # its pages are never touched
