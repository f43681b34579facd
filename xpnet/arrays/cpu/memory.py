"""Host memory: reuse of freed memory, and rows of memory-mapped files."""

import ctypes
import functools
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.processors import count_processors
from xpnet.arrays.cpu.thread_pool import run_tasks

__all__ = ["FileRows", "HostRows", "copy_by_threads", "keep_freed_memory", "release_pages"]
__all__ += ["rows_in_file"]

# Fewest bytes that a thread copies: giving it a part takes about 10 microseconds.
_PART_BYTES = 2**20
_MAX_THREADS = 16

# Numbers of options in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@functools.cache
def keep_freed_memory() -> None:
    """Make glibc reuse the memory of freed arrays.

    In a new process, glibc maps each array of more than 128 KB and unmaps it when it is freed, so
    every page of every result faults: elementwise code takes three to nine times as long. After the
    first array of up to 32 MB has been freed, glibc keeps freed memory up to that size. Dask sets a
    variable for its workers that turns this off; there, glibc's own values are set.
    """
    np.empty(31 << 20, np.uint8)  # the pages are never touched
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        with suppress(AttributeError, OSError, TypeError):  # without glibc
            set_option = ctypes.CDLL(None).mallopt
            set_option(_M_MMAP_THRESHOLD, 32 << 20)
            set_option(_M_TRIM_THRESHOLD, 64 << 20)


def release_pages(x: Any, /) -> None:
    """Release the physical memory of a memory-mapped array; later accesses read its file again.

    `x` is contiguous, and may be a part of a mapped array. The call has no effect unless the file
    was opened read-only and the system supports it.
    """
    mapping = getattr(x, "_mmap", None)
    if mapping is None or x.mode != "r" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    whole = np.frombuffer(mapping, np.uint8)
    start = x.ctypes.data - whole.ctypes.data
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, first, start + x.nbytes - first)


@dataclass(frozen=True)
class FileRows:
    """Contiguous rows of numbers in an open file."""

    descriptor: int
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> "FileRows":
        start, end, _ = rows.indices(len(self))
        offset = self.offset + start * self.shape[1] * self.dtype.itemsize
        return replace(self, offset=offset, shape=(max(end - start, 0), self.shape[1]))

    def copy_to(self, target: NDArray[Any]) -> None:
        """Read all rows into an array of their shape and dtype; raise OSError if truncated."""
        if not self.shape[0]:
            return
        left, offset = target.data.cast("B"), self.offset
        while left:
            n_read = os.preadv(self.descriptor, [left], offset)
            if not n_read:
                msg = "the file became shorter while it was read"
                raise OSError(msg)
            left, offset = left[n_read:], offset + n_read


HostRows: TypeAlias = NDArray[Any] | FileRows


def copy_by_threads(target: NDArray[Any], rows: HostRows) -> None:
    """Copy rows of an array or a file to an array, a part by each thread."""
    n_rows = len(rows)
    n_threads = min(count_processors(), _MAX_THREADS, max(target.nbytes // _PART_BYTES, 1))
    size = -(-n_rows // n_threads)

    def copy_part(start: int) -> None:
        part = slice(start, min(start + size, n_rows))
        copy_rows(target[part], rows[part])

    run_tasks(copy_part, range(0, n_rows, size), n_threads)


def copy_rows(target: NDArray[Any], rows: HostRows) -> None:
    """Copy rows of an array or a file to an array."""
    if isinstance(rows, np.ndarray):
        np.copyto(target, rows)
    else:
        rows.copy_to(target)


@contextmanager
def rows_in_file(x: NDArray[Any], /) -> Iterator[FileRows | None]:
    """Open the file of a memory-mapped array, or of a part of one, for a ``with`` block.

    Reading a file is faster than copying it page by page from its mapping. Yield None if the file
    cannot be identified. It can on Linux, for shared mappings such as those of
    ``numpy.load(..., mmap_mode="r")``.
    """
    place = _mapped_file(x) if x.flags.c_contiguous and x.dtype.isnative else None
    if place is None:
        yield None
        return
    descriptor, offset = place
    try:
        yield FileRows(descriptor, offset, x.shape, x.dtype)
    finally:
        os.close(descriptor)


def _mapped_file(x: NDArray[Any]) -> tuple[int, int] | None:
    """Return the open file of a mapped array, and the offset of the array in it."""
    start = x.ctypes.data
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        for line in lines:
            span, rights, offset, _, inode, *path = line.split(maxsplit=5)
            low, high = (int(address, 16) for address in span.split("-"))
            if low <= start and start + x.nbytes <= high and rights.endswith("s") and path:
                descriptor = os.open(path[0], os.O_RDONLY)
                if os.fstat(descriptor).st_ino == int(inode):
                    return descriptor, int(offset, 16) + start - low
                os.close(descriptor)  # the path belongs to another file now
    except (OSError, ValueError):
        pass
    return None
