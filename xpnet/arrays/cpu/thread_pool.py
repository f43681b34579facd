"""Thread pool for short tasks: starting a thread takes longer than a small network."""

import contextvars
import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

__all__ = ["run_tasks"]


class _Pool:
    """Threads that wait for calls."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Discard all threads, which a forked process does not inherit."""
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, calls: list[Callable[[], None]]) -> None:
        """Queue calls, which must not raise errors: one per thread that the system can start."""
        with self._lock:
            try:
                while len(self._threads) < len(calls):
                    name = f"xpnet-{len(self._threads) + 1}"
                    thread = threading.Thread(target=self._serve, name=name, daemon=True)
                    thread.start()
                    self._threads.append(thread)
            except RuntimeError:  # the system's limit
                pass
            workers = self._threads[: len(calls)]
        _keep_off_processor(thread.native_id for thread in workers)
        for call in calls[: len(workers)]:
            self._calls.put(call)

    def _serve(self) -> None:
        while True:
            self._calls.get()()


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


class _Tasks:
    """Calls of a function with many arguments, shared by threads until one of them fails."""

    def __init__(self, function: Callable[[Any], None], arguments: Iterable[Any]) -> None:
        self._function = function
        self._waiting = deque(enumerate(arguments))
        self._n_tasks = len(self._waiting)
        self._ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        self.end = self._n_tasks  # tasks from this index on are skipped

    def work(self) -> None:
        while self._waiting:
            try:
                index, argument = self._waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            error = None
            if index < self.end:
                try:
                    self._function(argument)
                except BaseException as caught:  # noqa: BLE001 (raised by `wait`)
                    error, self.end = caught, min(self.end, index)
            self._ended.put((index, error))

    def wait(self) -> None:
        """Wait for all tasks; raise the error of the first that failed, in their order."""
        ended = [self._ended.get() for _ in range(self._n_tasks)]
        errors = {index: error for index, error in ended if error is not None}
        if errors:
            raise errors[min(errors)]


def run_tasks(function: Callable[[Any], None], arguments: Iterable[Any], n_threads: int) -> None:
    """Call ``function(argument)`` for all arguments in `n_threads` threads, until an error.

    The caller is one of the threads; the others use its context variables, NumPy's `errstate`
    included. Tasks may run tasks themselves: a thread only waits for tasks that have begun.
    """
    tasks = _Tasks(function, arguments)
    contexts = [contextvars.copy_context() for _ in range(n_threads - 1)]
    try:
        _pool.submit([partial(context.run, tasks.work) for context in contexts])
        tasks.work()
        tasks.wait()
    except BaseException:  # also an interrupt between two tasks
        tasks.end = 0
        raise


@functools.cache
def _current_processor() -> Callable[[], int] | None:
    """Return a function that returns the caller's processor; None if the system lacks it."""
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):  # not on Linux
        return None


def _keep_off_processor(threads: Iterable[int | None], /) -> None:
    """Exclude the caller's current processor from the affinity of threads.

    Linux may wake a thread on the caller's processor although another processor is idle; the thread
    then waits for the caller. Two threads took 1.3 ms for 1,000 rows, and 0.8 ms with this
    exclusion. `threads` are values of `threading.Thread.native_id`.
    """
    current = _current_processor()
    if current is None or not hasattr(os, "sched_setaffinity"):
        return
    others = os.sched_getaffinity(0) - {current()}
    if not others:
        return
    for thread in threads:
        if thread is not None:
            with suppress(OSError):  # the thread has ended, or its affinity is fixed
                os.sched_setaffinity(thread, others)
