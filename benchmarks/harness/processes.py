"""Worker processes, pinned to processors and limited in threads; and whole Python processes."""

import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Self

from threadpoolctl import threadpool_limits

# Libraries read these variables when they are loaded.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# These make OpenBLAS ignore the real processor: workers have them only if a benchmark asks.
KERNEL_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class WorkerError(RuntimeError):
    """A request that a worker process could not answer."""


class Worker:
    """An object in a process of its own, made by ``make(*arguments)``, whose methods are called.

    Separate processes share neither thread pools nor memory caches. The process may use `threads`
    processors, and libraries `library_threads` threads. `environment` has variables for it. A
    request that takes longer than ``patience`` seconds fails, and the process is killed.
    """

    patience: float | None = None
    is_shared = is_tiled = False  # set by harness.registry.serving

    def __init__(
        self,
        name: str,
        make: Callable[..., Any],
        *arguments: Any,
        threads: int,
        library_threads: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        limit = threads if library_threads is None else library_threads
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        given = (theirs, make, arguments, threads, limit)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        kept = dict(os.environ)
        for variable in KERNEL_VARIABLES:
            os.environ.pop(variable, None)
        os.environ.update(dict.fromkeys(VARIABLES, str(limit)) | dict(environment or {}))
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
            if self._connection.poll(self.patience):
                is_answer, answer = self._connection.recv()
            else:
                self._process.kill()
                is_answer, answer = False, f"no answer within {self.patience:.0f} s"
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


def run_python(
    *words: str,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    codes: tuple[int, ...] = (0,),
) -> str:
    """Run Python with these arguments in a process of its own; return what it prints.

    An exit code that is not in `codes` raises RuntimeError with the last line of stderr. The
    variables of `environment` are added to those of this process, with its search path for modules.
    """
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
        timeout=timeout,
    )
    if done.returncode not in codes:
        *_, last = done.stderr.strip().splitlines() or ["no message"]
        msg = f"exit code {done.returncode}: {last}"
        raise RuntimeError(msg)
    return done.stdout
