"""Worker processes, pinned to processors and limited in threads."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

from threadpoolctl import threadpool_limits

# Libraries read these variables when they are loaded.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(RuntimeError):
    """A request that a worker process could not answer."""


class Worker:
    """An object in a process of its own, made by ``make(*arguments)``, whose methods are called.

    Separate processes share neither thread pools nor memory caches. The process may use `threads`
    processors, and libraries `library_threads` threads.
    """

    is_shared = is_tiled = False  # set by harness.registry.serving

    def __init__(
        self,
        name: str,
        make: Callable[..., Any],
        *arguments: Any,
        threads: int,
        library_threads: int | None = None,
    ) -> None:
        self.name = name
        limit = threads if library_threads is None else library_threads
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        given = (theirs, make, arguments, threads, limit)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        kept = dict(os.environ)
        os.environ.update(dict.fromkeys(VARIABLES, str(limit)))
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(kept)
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join(10)
        self._process.kill()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Return the result of a method of the object, or raise WorkerError."""
        try:
            self._connection.send((method, arguments))
            is_answer, answer = self._connection.recv()
        except (EOFError, OSError):
            is_answer, answer = False, "its process ended"
        if not is_answer:
            msg = f"{self.name}: {answer}"
            raise WorkerError(msg)
        return answer


def _serve(
    connection: Connection,
    make: Callable[..., Any],
    arguments: tuple[Any, ...],
    threads: int,
    library_threads: int,
) -> None:
    """Answer requests until the connection is closed."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    served = make(*arguments)
    with threadpool_limits(library_threads):
        while True:
            try:
                method, given = connection.recv()
            except EOFError:
                return
            try:
                connection.send((True, getattr(served, method)(*given)))
            except Exception as error:  # noqa: BLE001 (reported to the caller)
                traceback.print_exc()
                connection.send((False, f"{type(error).__name__}: {error}"))
