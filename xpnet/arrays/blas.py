"""The threads of the library behind NumPy's matrix products."""

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["blas_threads", "one_blas_thread"]


class _Hold:
    """Who holds BLAS to one thread at the moment, and what it had before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_holders = 0
        self.n_before = 1
        self.limiter: Any = None

    def take(self) -> None:
        with self.lock:
            if self.n_holders == 0:
                self.n_before = _count()
                self.limiter = _controller().limit(limits=1)
            self.n_holders += 1

    def give_back(self) -> None:
        with self.lock:
            self.n_holders -= 1
            if self.n_holders == 0:
                self.limiter.restore_original_limits()

    def forget(self) -> None:
        """Start anew in a forked process, where no thread is left to give anything back."""
        if self.n_holders:
            self.limiter.restore_original_limits()
        self.__init__()  # type: ignore[misc]


_HOLD = _Hold()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HOLD.forget)


@functools.cache
def _controller() -> Any:
    # Finding the libraries takes longer than a small network; setting their threads does not.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _count() -> int:
    return max((library.num_threads for library in _controller().lib_controllers), default=1)


def blas_threads() -> int:
    """Return with how many threads BLAS multiplies matrices where nobody holds it to one."""
    with _HOLD.lock:
        return _HOLD.n_before if _HOLD.n_holders else _count()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread inside a ``with`` block, in the whole process.

    Blocks may be open in several threads at once: the last one that ends gives back what the
    first one took.
    """
    _HOLD.take()
    try:
        yield
    finally:
        _HOLD.give_back()
