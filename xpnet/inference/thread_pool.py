"""Threads that stay, and help whoever has many things to do."""

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Any

from xpnet.arrays.cpu.processors import keep_off_processor

__all__ = ["begin_all", "do_all"]


class _Crew:
    """Threads that wait for something to do: to start one takes longer than a small network."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def call(self, calls: list[Callable[[], None]]) -> None:
        """Let threads make these calls, which raise nothing, when they find the time.

        As many of the calls as there are threads; the system may refuse more of them.
        """
        with self._lock:
            try:
                while len(self._threads) < len(calls):
                    name = f"xpnet-{len(self._threads) + 1}"
                    thread = threading.Thread(target=self._work, name=name, daemon=True)
                    thread.start()
                    self._threads.append(thread)
            except RuntimeError:  # the caller goes on with those that there are
                pass
            helpers = self._threads[: len(calls)]
        keep_off_processor(thread.native_id for thread in helpers)
        for call in calls[: len(helpers)]:
            self._calls.put(call)

    def _work(self) -> None:
        while True:
            self._calls.get()()


_crew = _Crew()


def _forget() -> None:
    """Start anew in a forked process, where the threads are no more."""
    global _crew  # noqa: PLW0603 (there is one crew)
    _crew = _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Tasks:
    """Things to do, for whoever comes, until one of them fails."""

    def __init__(self, do: Callable[[Any], None], arguments: Iterable[Any]) -> None:
        self._do = do
        self._left = deque(enumerate(arguments))
        self._n_all = len(self._left)
        self._ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        self._end = self._n_all  # arguments from here on are left out

    def work(self) -> None:
        """Do one after the other, until none is left."""
        while self._left:
            try:
                place, argument = self._left.popleft()
            except IndexError:  # somebody else was faster
                return
            error = None
            if place < self._end:
                try:
                    self._do(argument)
                except BaseException as caught:  # noqa: BLE001 (raised where they are waited for)
                    error, self._end = caught, min(self._end, place)
            self._ended.put((place, error))

    def stop(self) -> None:
        """Leave what nobody has begun."""
        self._end = 0

    def wait(self) -> None:
        """Wait until all have ended; raise the error of the first argument that has one.

        All arguments before it have been done, so it does not depend on the number of threads.
        """
        ended = [self._ended.get() for _ in range(self._n_all)]
        errors = {place: error for place, error in ended if error is not None}
        if errors:
            raise errors[min(errors)]


def do_all(do: Callable[[Any], None], arguments: Iterable[Any], n_at_a_time: int) -> None:
    """Call ``do(argument)`` for all arguments, so many at a time; an error ends it.

    The caller does its share. Helpers see its context variables, NumPy's `errstate` among them.
    It may itself be a helper: whoever waits only waits for what somebody is doing already.
    """
    begin_all(do, arguments, n_at_a_time)()


def begin_all(
    do: Callable[[Any], None], arguments: Iterable[Any], n_at_a_time: int
) -> Callable[[], None]:
    """Let helpers begin what `do_all` does, and return what must be called to finish it."""
    tasks = _Tasks(do, arguments)
    helpers = [contextvars.copy_context() for _ in range(n_at_a_time - 1)]
    _crew.call([partial(context.run, tasks.work) for context in helpers])

    def finish() -> None:
        try:
            tasks.work()
            tasks.wait()
        except BaseException:  # an interrupt, perhaps between two tasks
            tasks.stop()
            raise

    return finish
