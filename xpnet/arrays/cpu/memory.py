"""Host memory: reuse of freed memory."""

import ctypes
import functools
import os
from contextlib import suppress

import numpy as np

__all__ = ["keep_freed_memory"]

# Numbers of options in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@functools.cache
def keep_freed_memory() -> None:
    """Make glibc reuse the memory of freed arrays.

    In a new process, glibc maps each array of more than 128 KB and unmaps it when it is freed, so
    every page of every result faults: elementwise code takes three to nine times as long. After an
    array of up to 32 MB has been freed, glibc reuses memory for arrays of up to its size. Dask sets
    a variable for its workers that turns this off; there, glibc's own values are set.
    """
    np.empty(31 << 20, np.uint8)  # the pages are never touched
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        with suppress(AttributeError):  # without glibc
            set_option = ctypes.pythonapi.mallopt
            set_option(_M_MMAP_THRESHOLD, 32 << 20)
            set_option(_M_TRIM_THRESHOLD, 64 << 20)
