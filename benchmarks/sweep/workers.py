"""The processes that measure, a piece at a time each."""

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Iterator
from importlib import import_module
from multiprocessing.connection import Connection, wait

import numpy as np

from sweep.candidates import find_candidates
from sweep.measuring import measure
from sweep.records import Results
from sweep.selection import Selection

Finished = tuple[int, float, Results]  # the piece, the seconds it took, and what was found


def measure_all(selection: Selection, pieces: list[int], n_processes: int) -> Iterator[Finished]:
    """Yield the pieces as they are finished.

    Raises
    ------
    RuntimeError
        If a process fails.
    """
    # One thread in each process, XLA's own pool included.
    os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    todo = iter(pieces)
    connections = [start(selection) for _ in range(min(n_processes, len(pieces)))]
    for connection in connections:
        connection.send(next(todo))
    while connections:
        ready = wait(connections)
        for connection in [each for each in connections if each in ready]:
            finished = receive(connection)
            piece = next(todo, None)
            if piece is None:
                connections.remove(connection)
                connection.close()
            else:
                connection.send(piece)
            yield finished


def start(selection: Selection) -> Connection:
    """Start a process that measures the pieces it is sent, and return the connection to it."""
    context = mp.get_context("spawn")  # JAX and torch have threads, which a fork would break
    mine, theirs = context.Pipe()
    # Inherited by the process: this one alone decides what an interruption means.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    context.Process(target=work, args=(theirs, selection), daemon=True).start()
    signal.signal(signal.SIGINT, handler)
    theirs.close()
    return mine


def work(connection: Connection, selection: Selection) -> None:
    """Measure the pieces that come down the connection, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    np.seterr(all="ignore")
    if "torch" in selection.libraries:
        import_module("torch").set_num_threads(1)
    try:
        candidates = {name: find_candidates(name, selection) for name in selection.functions}
        while True:
            piece = connection.recv()
            begin = time.perf_counter()
            results = measure(selection, piece, candidates)
            connection.send((piece, time.perf_counter() - begin, results))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, or has had enough
    except Exception as error:  # noqa: BLE001 (whatever a library raises is told in one line)
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def receive(connection: Connection) -> Finished:
    """Return what a process has finished.

    Raises
    ------
    RuntimeError
        If it has failed.
    """
    try:
        message: Finished | RuntimeError = connection.recv()
    except (EOFError, ConnectionResetError):
        message = RuntimeError("a process ended without a result (out of memory?)")
    if isinstance(message, RuntimeError):
        raise message
    return message
