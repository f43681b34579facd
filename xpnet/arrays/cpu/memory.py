"""The memory of arrays on the host, and the files behind it."""

import functools
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FileRows", "forget_pages", "keep_freed_memory", "rows_in_file"]


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


class FileRows(NamedTuple):
    """Rows of numbers in an open file, one after the other; slices are such rows, too."""

    descriptor: int
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def part(self, start: int, end: int) -> "FileRows":
        """Return the rows from `start` to before `end`."""
        offset = self.offset + start * self.shape[1] * self.dtype.itemsize
        return self._replace(offset=offset, shape=(end - start, self.shape[1]))

    def copy_to(self, target: NDArray[Any]) -> None:
        """Read all rows into an array of their shape and dtype.

        Raises
        ------
        OSError
            If the file has become shorter.
        """
        if not self.shape[0]:
            return
        left, offset = target.data.cast("B"), self.offset
        while left:
            n_read = os.preadv(self.descriptor, [left], offset)
            if not n_read:
                msg = "the file has become shorter while it was read"
                raise OSError(msg)
            left, offset = left[n_read:], offset + n_read


@contextmanager
def rows_in_file(x: NDArray[Any], /) -> Iterator[FileRows | None]:
    """Open the file that a memory-mapped array shows, for a ``with`` block.

    To read a file takes less time than to copy it from where it is mapped, page by page.

    Parameters
    ----------
    x : numpy.memmap of shape (n, n_in)
        Or a part of one.

    Yields
    ------
    FileRows or None
        None where it cannot be told for certain which file that is: on Linux alone can it be, of
        a mapping that is shared, such as numpy.load makes it with ``mmap_mode="r"``.
    """
    place = _file_behind(x) if x.flags.c_contiguous and x.dtype.isnative else None
    if place is None:
        yield None
        return
    descriptor, offset = place
    try:
        yield FileRows(descriptor, offset, x.shape, x.dtype)
    finally:
        os.close(descriptor)


def _file_behind(x: NDArray[Any]) -> tuple[int, int] | None:
    """Return the open file of a mapped array, and where in it the array begins."""
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
                os.close(descriptor)  # another file has taken its name
    except (OSError, ValueError):
        pass
    return None
