"""Calls of a function on the workers of a Dask cluster, each with the same large argument."""

import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pkgutil import resolve_name
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from xpnet.files.optional import import_optional

__all__ = ["Cluster", "ClusterError", "open_cluster"]

KeyT = TypeVar("KeyT")

# A cluster may start workers, or restart killed ones, for this time.
_SECONDS_WITHOUT_WORKERS = 60.0
_SECONDS_TO_CONNECT = 20.0
_SECONDS_BETWEEN_CHECKS = 1.0
# Calls in flight, for each thread of a worker: enough that no worker waits, and so few that results
# do not pile up.
_CALLS_PER_THREAD = 4
_LOST, _LOST_SCHEDULER = object(), "the scheduler is lost"


class ClusterError(RuntimeError):
    """A cluster cannot be reached, lacks workers, or loses its scheduler or several in one call."""


class Cluster:
    """A client of a cluster."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def call_on_each(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return the result of a call on each worker, or its exception, by address."""
        found: dict[str, Any] = self._client.run(function, *arguments, on_error="return")
        return found

    def call(
        self,
        function: Callable[..., Any],
        shared: Any,
        calls: Iterable[tuple[KeyT, tuple[Any, ...]]],
    ) -> Iterator[tuple[KeyT, Any]]:
        """Yield a key and the result of ``function(shared, *arguments)`` for each call, once.

        Calls are pairs of a key and arguments; they are taken one by one, when workers have room.
        The order of the results is that in which calls end. An exception of the function is yielded
        like a result. `shared` is sent to each worker once, and again after the death of all that
        hold it. ClusterError is raised if the scheduler is lost, no worker is there for a minute,
        or several workers have died in one call.
        """
        waiting, running, done = iter(calls), dict[Any, KeyT](), SimpleQueue[Any]()
        sent = self._client.submit(_same, shared, pure=False)
        room, checked = 0, float("-inf")
        seen = monotonic()  # the last time when there was a worker
        while True:
            if monotonic() - checked >= _SECONDS_BETWEEN_CHECKS:
                room, checked = self._room(), monotonic()
                seen = checked if room else seen
                if checked - seen >= _SECONDS_WITHOUT_WORKERS:
                    msg = f"no worker was there for {_SECONDS_WITHOUT_WORKERS:.0f} s"
                    raise ClusterError(msg)
            while len(running) < max(room, 1) and (call := next(waiting, None)) is not None:
                key, arguments = call
                future = self._client.submit(function, sent, *arguments, pure=False)
                running[future] = key
                future.add_done_callback(done.put)
            if not running:
                return
            try:
                future = done.get(timeout=_SECONDS_BETWEEN_CHECKS)
            except Empty:
                continue
            result = _result_of(future)
            if result is _LOST:
                done.put(future)
            else:
                yield running.pop(future), result

    def _room(self) -> int:
        """Return how many calls may be in flight, 0 without workers."""
        try:
            return _CALLS_PER_THREAD * sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise ClusterError(_LOST_SCHEDULER) from error


@contextmanager
def open_cluster(
    address: str | None, n_workers: int | None = None, *, has_gpus: bool = False
) -> Iterator[Cluster]:
    """Connect to the scheduler at an address, or start `n_workers` processes here.

    Processes have one thread each; with `has_gpus` and dask-cuda, each has a GPU of its own. Raise
    ModuleNotFoundError if Dask's scheduler is not installed, ClusterError if the cluster cannot be
    reached or started, or has no worker for a minute.
    """
    import_optional("distributed", "a cluster needs Dask", '"dask[array,distributed]"')
    import dask
    from distributed import Client

    # What it would log is raised as an error, and networks are larger than it thinks usual.
    for name in ("asyncio", "distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    settings = {"distributed.admin.large-graph-warning-threshold": "8 GiB"}
    with dask.config.set(settings), ExitStack() as stack:
        try:
            if address is None:
                address = stack.enter_context(_local_cluster(n_workers, has_gpus=has_gpus))
            client = stack.enter_context(Client(address, timeout=_SECONDS_TO_CONNECT))
            client.wait_for_workers(1, timeout=_SECONDS_WITHOUT_WORKERS)
        except (OSError, RuntimeError, TimeoutError, TypeError, ValueError) as error:
            place = "on this machine" if address is None else f"at {address!r}"
            msg = f"no cluster with workers {place} (such as tcp://10.0.0.1:8786): {error}"
            raise ClusterError(msg) from error
        yield Cluster(client)


@contextmanager
def _local_cluster(n_workers: int | None, *, has_gpus: bool) -> Iterator[str]:
    """Start a cluster, yield its address and close it, also if an interrupt comes meanwhile."""
    try:
        name = "dask_cuda.LocalCUDACluster" if has_gpus else "distributed.LocalCluster"
        kind = resolve_name(name)
    except ModuleNotFoundError:
        kind = resolve_name("distributed.LocalCluster")
    silent = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with ThreadPoolExecutor(1, initializer=_block_signals) as thread:
        start = thread.submit(kind, n_workers=n_workers, threads_per_worker=1, **silent)
        try:
            yield start.result().scheduler_address
        finally:
            thread.submit(lambda: start.result().close()).result()


def _block_signals() -> None:
    """Block SIGINT and SIGTERM in this thread, and in the threads and processes it will start."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # would unblock them if it was started later
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _same(x: Any) -> Any:
    return x


def _result_of(future: Any) -> Any:
    """Return the result of a call, the exception of its function, or _LOST if it is made again."""
    from distributed import CancelledError, KilledWorker

    try:
        if future.status != "error":
            return future.result(timeout=_SECONDS_WITHOUT_WORKERS)
    except TimeoutError:  # the worker died after the call, and no other one has made it again
        return _LOST
    except (CancelledError, OSError) as error:
        raise ClusterError(_LOST_SCHEDULER) from error
    fault = future.exception()
    if isinstance(fault, KilledWorker):
        msg = "the workers that computed the same rows died one after another"
        raise ClusterError(msg) from fault
    return fault
