"""The object in a worker process that answers for a rival."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from harness.measuring import mean_seconds
from harness.workload import Workload


class Server:
    """A rival, by its entry of the registry.

    A pool of `n_parallel` threads computes chunks of rows at the same time.
    """

    def __init__(self, entry: Any, device: str, threads: int, n_parallel: int = 1) -> None:
        self._rival = entry.load()(device, threads, **entry.options)
        self._pool = ThreadPoolExecutor(n_parallel) if n_parallel > 1 else None

    def prepare(self, workload: Workload) -> int:
        """Prepare the rival for rows on the host; return the number of wrong labels."""
        if obstacle := self._rival.obstacle():
            raise LookupError(obstacle)
        self._label, self._rows = self._rival.labeller(workload), workload.images
        return workload.n_wrong(self._label(self._rows))

    def time(self, chunk: int | None, turn: float) -> float:
        """Return the mean seconds of calls on all rows, `chunk` rows at a time.

        The calls take about `turn` seconds together, after one that is not counted.
        """
        compute = self._called(chunk)
        compute()
        return mean_seconds(compute, turn)

    def _called(self, size: int | None) -> Callable[[], Any]:
        label, rows = self._label, self._rows
        if size is None:
            return lambda: label(rows)
        parts = range(0, len(rows), size)
        each = map if self._pool is None else self._pool.map
        return lambda: np.concatenate(list(each(lambda i: label(rows[i : i + size]), parts)))
