"""A process for each peer, held to its threads: they do not share a pool, nor caches of memory."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from peers.cases import Case
from peers.runtimes import LIMITS, PEERS

__all__ = ["HeldProcess", "PeerError", "PeerProcess"]

# Whatever reads one of these reads it when it is loaded.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class PeerError(RuntimeError):
    """What a peer could not do."""


class HeldProcess:
    """A process that is held to some processors, with an object whose methods answer questions.

    Parameters
    ----------
    name : str
        Of the one whose errors it tells.
    make : callable
        Makes the object, in the process; a class or function of a module.
    arguments : tuple
        For `make`.
    threads : int
        So many processors the process may use.
    library_threads : int
        So many threads libraries may use.
    """

    def __init__(
        self,
        name: str,
        make: Callable[..., Any],
        arguments: tuple[Any, ...],
        *,
        threads: int,
        library_threads: int,
    ) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        given = (theirs, make, arguments, threads, library_threads)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        kept = dict(os.environ)
        os.environ.update(dict.fromkeys(_VARIABLES, str(library_threads)))
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(kept)
        theirs.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the object returns.

        Raises
        ------
        PeerError
            If it raises, or the process ends.
        """
        self._connection.send((method, arguments))
        try:
            kind, answer = self._connection.recv()
        except EOFError:
            kind, answer = "error", "its process ended"
        if kind == "error":
            msg = f"{self.name}: {answer}"
            raise PeerError(msg)
        return answer

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(10)
        self._process.kill()


def _serve(
    connection: Connection,
    make: Callable[..., Any],
    arguments: tuple[Any, ...],
    threads: int,
    library_threads: int,
) -> None:
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
                connection.send(("answer", getattr(served, method)(*given)))
            except Exception as error:  # noqa: BLE001 (told to who asked)
                traceback.print_exc()
                connection.send(("error", f"{type(error).__name__}: {error}"))


class PeerProcess(HeldProcess):
    """A peer in a process of its own.

    Parameters
    ----------
    name : str
        In `PEERS` or `LIMITS`.
    threads : int
        So many processors the process may use.
    is_shared : bool, default False
        Whether chunks are shared out among that many threads, and the peer is held to one;
        otherwise it has the threads to itself.
    """

    def __init__(self, name: str, threads: int, *, is_shared: bool = False) -> None:
        self.threads, self.is_shared = threads, is_shared
        super().__init__(
            name,
            _Desk,
            (name, threads, is_shared),
            threads=threads,
            library_threads=1 if is_shared else threads,
        )

    def prepare(self, case: Case) -> int:
        """Make ready for a case; return how many labels are wrong, 0 where there are none."""
        return int(self.ask("prepare", case))

    def time(self, chunk: int | None, seconds: float) -> float:
        """Return the mean time of calls, in seconds, that take about so long together.

        A call computes all rows, so many at a time; all at once where `chunk` is None.
        """
        return float(self.ask("time", chunk, seconds))


class _Desk:
    """What answers in the peer's process."""

    def __init__(self, name: str, threads: int, is_shared: bool) -> None:  # noqa: FBT001
        self._peer = {**PEERS, **LIMITS}[name]
        self._gives_labels = name in PEERS
        self._threads = 1 if is_shared else threads
        self._pool = ThreadPoolExecutor(threads) if is_shared else None

    def prepare(self, case: Case) -> int:
        self._label = self._peer.make(case, self._threads)
        self._rows = self._peer.rows(case)
        labels = self._label(self._rows)
        return case.wrong(np.asarray(labels)) if self._gives_labels else 0

    def time(self, chunk: int | None, seconds: float) -> float:
        compute = self._called(chunk)
        compute()  # what is compiled, is compiled now
        start = time.perf_counter()
        compute()
        one = time.perf_counter() - start
        if one > seconds:
            return one
        n_calls = max(1, round(seconds / one))
        start = time.perf_counter()
        for _ in range(n_calls):
            compute()
        return (time.perf_counter() - start) / n_calls

    def _called(self, size: int | None) -> Callable[[], Any]:
        label, rows = self._label, self._rows
        if size is None:
            return lambda: label(rows)
        starts = range(0, len(rows), size)
        each = map if self._pool is None else self._pool.map
        return lambda: np.concatenate(
            list(each(lambda start: label(rows[start : start + size]), starts))
        )
