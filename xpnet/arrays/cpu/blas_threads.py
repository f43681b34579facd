"""The threads of the library behind NumPy's matrix products, and what else is known of it."""

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["blas_threads", "most_at_once", "one_blas_thread"]

# Of OpenBLAS: the kinds of processors for which it multiplies small matrices as they lie, and how
# many multiplications are few enough.
_WITHOUT_COPIES = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
_FEW = 1_000_000


class _Hold:
    """Who holds BLAS to one thread at the moment, and what it had before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_holders = 0
        self.n_before: list[int] = []

    def take(self) -> None:
        with self.lock:
            if self.n_holders == 0:
                self.n_before = _counts()
                _set_counts([1] * len(self.n_before))
            self.n_holders += 1

    def give_back(self) -> None:
        with self.lock:
            self.n_holders -= 1
            if self.n_holders == 0:
                _set_counts(self.n_before)

    def forget(self) -> None:
        """Start anew in a forked process, where no thread is left to give anything back."""
        if self.n_holders:
            _set_counts(self.n_before)
        self.__init__()  # type: ignore[misc]


_HOLD = _Hold()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HOLD.forget)


@functools.cache
def _libraries() -> list[Any]:
    # Finding the libraries takes longer than a small network; setting their threads does not.
    from threadpoolctl import ThreadpoolController

    libraries: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return libraries


def _counts() -> list[int]:
    return [library.get_num_threads() or 1 for library in _libraries()]


def _set_counts(counts: list[int]) -> None:
    for library, count in zip(_libraries(), counts, strict=True):
        if library.get_num_threads() != count:
            library.set_num_threads(count)


@functools.cache
def most_at_once() -> int:
    """Return up to how many multiplications BLAS multiplies two matrices as they lie.

    It does that on one thread. 0 if it always copies them first, or is not known well enough.
    """
    knows_how = [
        library.internal_api == "openblas" and library.info().get("architecture") in _WITHOUT_COPIES
        for library in _libraries()
    ]
    return _FEW if knows_how and all(knows_how) else 0


def blas_threads() -> int:
    """Return with how many threads BLAS multiplies matrices where nobody holds it to one."""
    with _HOLD.lock:
        return max(_HOLD.n_before if _HOLD.n_holders else _counts(), default=1)


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
