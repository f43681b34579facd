"""Threads on a CPU: this process's own, and those of NumPy's BLAS."""

import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any

__all__ = ["blas_threads", "one_blas_thread", "run_tasks"]


class _State:
    """The pool, and the thread counts of BLAS before the first open `one_blas_thread` block."""

    def __init__(self) -> None:
        self.lock, self.n_open = threading.Lock(), 0
        self.before: list[tuple[Any, int]] = []
        self.pool = ThreadPoolExecutor(os.cpu_count(), "xpnet")  # starts threads when they work


_state = _State()


def _reset() -> None:
    """Forget, in a forked process, the threads and open blocks that it does not have."""
    global _state  # noqa: PLW0603 - one object, so that a fork replaces all of it
    if _state.n_open:
        _set(_state.before)
    _state = _State()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


@functools.cache
def _libraries() -> list[Any]:
    # The search for libraries takes longer than a small network; setting their threads is fast.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _counts() -> list[tuple[Any, int]]:
    """Return the libraries with several threads, and their numbers."""
    found = ((library, library.get_num_threads() or 1) for library in _libraries())
    return [(library, count) for library, count in found if count > 1]


def _set(counts: list[tuple[Any, int]]) -> None:
    for library, count in counts:
        # Since version 3.8, threadpoolctl obeys only the first thread that sets OpenBLAS's threads.
        # Here any thread may be the first to enter a block, or the last to leave one.
        forget = getattr(library, "clear_controlling_thread", lambda *, force: force)
        forget(force=True)
        library.set_num_threads(count)
        forget(force=True)


def blas_threads() -> int:
    """Return the number of BLAS threads outside of `one_blas_thread` blocks."""
    with _state.lock:
        counts = _state.before if _state.n_open else _counts()
    return max((count for _, count in counts), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside a ``with`` block, in the whole process.

    Blocks may be open in several threads at once: the last one to end restores the thread counts.
    """
    state = _state
    with state.lock:
        state.n_open += 1
        if state.n_open == 1:
            state.before = _counts()
            _set([(library, 1) for library, _ in state.before])
    try:
        yield
    finally:
        with state.lock:
            state.n_open -= 1
            if state.n_open == 0:
                _set(state.before)


def _other_processors() -> set[int]:
    """Return the processors without the caller's, on which Linux would wake a thread.

    BLAS's threads are busy for 0.1 s after a product, so no processor seems to be idle: 10,000
    rows then took 13 ms, and with this choice 8 (two cores of a Xeon, family 6 model 167).
    """
    try:
        return os.sched_getaffinity(0) - {ctypes.pythonapi.sched_getcpu()}  # libc's
    except AttributeError:  # another system
        return set()


def _help(outcome: Future[None], work: Callable[[], None], processors: set[int]) -> None:
    if not outcome.set_running_or_notify_cancel():
        return  # the caller has ended
    if processors:
        with suppress(OSError):  # the affinity is fixed
            os.sched_setaffinity(0, processors)
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        outcome.set_exception(error)
    else:
        outcome.set_result(None)


def run_tasks(function: Callable[[Any], None], arguments: Iterable[Any], n_threads: int) -> None:
    """Call ``function(argument)`` for all arguments in `n_threads` threads, until an error.

    The caller is one of the threads; the others use its context variables, NumPy's `errstate`
    included. Tasks may run tasks themselves: nobody waits for a thread that has not begun.
    """
    waiting = deque(arguments)
    others: list[Future[None]] = [Future() for _ in range(n_threads - 1)]

    def work() -> None:
        while True:
            try:
                argument = waiting.popleft()
            except IndexError:  # none is left
                return
            try:
                function(argument)
            except BaseException:
                waiting.clear()  # the others stop
                raise

    for other in others:
        # At the system's limit of threads, the pool raises an error, but may run the task later: so
        # the caller does not wait for the pool's own future. Or the interpreter is ending.
        with suppress(RuntimeError):
            _state.pool.submit(copy_context().run, _help, other, work, _other_processors())
    try:
        work()
    finally:
        waiting.clear()  # after an interrupt
        errors = [other.exception() for other in others if not other.cancel()]
    for error in filter(None, errors):
        raise error
