"""NumPy's BLAS: thread counts, and the size limit of products without packing."""

import functools
import os
import threading
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["blas_threads", "one_blas_thread", "unpacked_limit"]

# OpenBLAS kernels that multiply small matrices without packing them, up to this number of
# multiplications.
_WITHOUT_PACKING = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
_UNPACKED_LIMIT = 1_000_000


class _OneThread:
    """The number of open blocks of `one_blas_thread`, and the thread counts before them."""

    def __init__(self) -> None:
        self.lock, self.n_open = threading.Lock(), 0
        self.n_before: list[int] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.n_open == 0:
                self.n_before = _counts()
                _set_counts([1] * len(self.n_before))
            self.n_open += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.n_open -= 1
            if self.n_open == 0:
                _set_counts(self.n_before)

    def reset(self) -> None:
        """Reset the state after a fork: the threads with open blocks do not exist in the child."""
        if self.n_open:
            _set_counts(self.n_before)
        self.lock, self.n_open = threading.Lock(), 0


_ONE_THREAD = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ONE_THREAD.reset)


@functools.cache
def _libraries() -> list[Any]:
    # The search for libraries takes longer than a small network; setting their threads is fast.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _counts() -> list[int]:
    return [library.get_num_threads() or 1 for library in _libraries()]


def _set_counts(counts: list[int]) -> None:
    for library, count in zip(_libraries(), counts, strict=True):
        if library.get_num_threads() != count:
            library.set_num_threads(count)


@functools.cache
def unpacked_limit() -> int:
    """Return the size limit, in multiplications, of products that BLAS computes without packing.

    BLAS computes these on one thread. The limit is 0 if BLAS always packs, or is unknown.
    """
    skips_packing = [
        library.internal_api == "openblas"
        and library.info().get("architecture") in _WITHOUT_PACKING
        for library in _libraries()
    ]
    return _UNPACKED_LIMIT if skips_packing and all(skips_packing) else 0


def blas_threads() -> int:
    """Return the number of BLAS threads outside of `one_blas_thread` blocks."""
    with _ONE_THREAD.lock:
        return max(_ONE_THREAD.n_before if _ONE_THREAD.n_open else _counts(), default=1)


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit BLAS to one thread inside a ``with`` block, in the whole process.

    Blocks may be open in several threads at once: the last one to end restores the thread counts.
    """
    return _ONE_THREAD
