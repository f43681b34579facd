"""NumPy's BLAS: its kernel, and its number of threads."""

import functools
import os
import re
import threading
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["blas_threads", "one_blas_thread", "openblas_kernel"]

# The first OpenBLAS for which limits and blocks were measured.
_MEASURED_VERSION = [0, 3, 31]


class _OneThread:
    """The number of open blocks of `one_blas_thread`, and the thread counts before them."""

    def __init__(self) -> None:
        self.lock, self.n_open = threading.Lock(), 0
        self.before: list[tuple[Any, int]] = []  # libraries with several threads

    def __enter__(self) -> None:
        with self.lock:
            if self.n_open == 0:
                for library in _libraries():
                    count = library.get_num_threads() or 1
                    if count > 1:
                        self.before.append((library, count))
                        self._set([(library, 1)])
            self.n_open += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.n_open -= 1
            if self.n_open == 0 and self.before:
                self._set(self.before)
                self.before = []

    def _set(self, counts: list[tuple[Any, int]]) -> None:
        for library, count in counts:
            # Since version 3.8, threadpoolctl obeys only the first thread that sets OpenBLAS's
            # threads. Here any thread may be the first to enter or the last to exit.
            obey = getattr(library, "_real_set_num_threads", library.set_num_threads)
            obey(count)

    def reset(self) -> None:
        """Reset the state after a fork: the threads with open blocks do not exist in the child."""
        self._set(self.before)
        self.lock, self.n_open, self.before = threading.Lock(), 0, []


_ONE_THREAD = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ONE_THREAD.reset)


@functools.cache
def _libraries() -> list[Any]:
    # The search for libraries takes longer than a small network; setting their threads is fast.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


@functools.cache
def openblas_kernel() -> str:
    """Return the processor for which NumPy's OpenBLAS computes, such as "SkylakeX".

    It is "" for another BLAS, and for versions older than those that were measured.
    """
    for library in _libraries():  # NumPy's is the first, as it is loaded by this package
        if library.internal_api == "openblas":
            numbers = re.findall("[0-9]+", library.version or "")
            if [int(number) for number in numbers] >= _MEASURED_VERSION:
                return library.info().get("architecture") or ""
        break
    return ""


def blas_threads() -> int:
    """Return the number of BLAS threads outside of `one_blas_thread` blocks."""
    with _ONE_THREAD.lock:
        if _ONE_THREAD.n_open:
            counts = [count for _, count in _ONE_THREAD.before]
        else:
            counts = [library.get_num_threads() or 1 for library in _libraries()]
    return max(counts, default=1)


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit BLAS to one thread inside a ``with`` block, in the whole process.

    Blocks may be open in several threads at once: the last one to end restores the thread counts.
    """
    return _ONE_THREAD
