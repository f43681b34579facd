"""The object in a worker process that answers for rivals."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.measuring import mean_seconds, wall_seconds
from harness.provenance import blas
from harness.workload import Workload

N_CHECKED = 1024  # rows of a workload on the device whose labels are compared


class Server:
    """Rivals in one process, by entries of the registry.

    A pool of `n_parallel` threads computes chunks of rows at the same time.
    """

    def __init__(
        self, entries: Mapping[str, Any], device: str, threads: int, n_parallel: int = 1
    ) -> None:
        self._rivals = {
            name: entry.load()(device, threads, **entry.options) for name, entry in entries.items()
        }
        self._pool = ThreadPoolExecutor(n_parallel) if n_parallel > 1 else None
        self._calls: dict[str, Callable[[], Any]] = {}
        self._sources: dict[str, NDArray[Any]] = {}

    def obstacles(self) -> dict[str, str]:
        """Return why each rival cannot use the device; an empty string if it can."""
        return {name: rival.obstacle() for name, rival in self._rivals.items()}

    def kernel(self) -> str:
        """Return the BLAS kernel of this process."""
        return blas()["kernel"]

    def prepare(self, workload: Workload) -> int:
        """Prepare the only rival for rows on the host; return the number of wrong labels.

        A rival's option ``activation`` takes the place of the network's.
        """
        (rival,) = self._rivals.values()
        if obstacle := rival.obstacle():
            raise LookupError(obstacle)
        if activation := rival.options.get("activation"):
            workload = replace(workload, shape=replace(workload.shape, activation=activation))
        self._label, self._rows = rival.labeller(workload), rival.inputs(workload)
        found = self._label(self._rows)
        return workload.n_wrong(found) if found.ndim == 1 else 0

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

    def begin(self, workload: Workload) -> None:
        """Replace the workload on the device."""
        self._calls, self._workload = {}, workload
        for rival in self._rivals.values():
            rival.release()

    def prepare_resident(self, name: str) -> NDArray[Any]:
        """Prepare a rival for rows on the device; return the labels of the first rows."""
        rival = self._rivals[name]
        call = rival.resident(self._workload)
        with rival.context(self._workload):
            # The second call records CUDA graphs, the third replays them.
            logits = [call() for _ in range(3)][-1]
            self._calls[name] = call
            return np.asarray(rival.to_numpy(logits)[:N_CHECKED].argmax(axis=1))

    def time_resident(self, name: str, turn: float) -> float:
        """Return the mean seconds of calls that take about `turn` seconds together."""
        rival = self._rivals[name]
        with rival.context(self._workload):
            return mean_seconds(self._calls[name], turn, rival.clock)

    def open(self, block: Workload, n_rows: int, path: Path | None) -> list[str]:
        """Prepare rows on the host, those of a block repeated; return their sources."""
        (rival,) = self._rivals.values()
        if obstacle := rival.obstacle():
            raise LookupError(obstacle)
        self._label = rival.labeller(block)
        shape = (n_rows, block.shape.widths[0])
        self._sources = {
            "pinned": fill(rival.pinned(shape), block.images),
            "pageable": fill(np.empty(shape, np.uint8), block.images),
        }
        if path is not None:
            self._sources["file"] = np.memmap(path, np.uint8, "r").reshape(-1, shape[1])
        return list(self._sources)

    def label(
        self, source: str, labels: NDArray[Any], is_clear: NDArray[np.bool]
    ) -> tuple[int, int]:
        """Return the number of rows computed at once, and the number of wrong labels.

        If the device runs out of memory, half of the rows are tried.
        """
        while True:
            rows = self._sources[source]
            try:
                found = self._label(rows)
                break
            except Exception as error:
                if "OutOfMemory" not in type(error).__name__ or len(rows) == 1:
                    raise
            for rival in self._rivals.values():
                rival.release()
            self._sources[source] = rows[: len(rows) // 2]
        wrong = (found != np.resize(labels, len(found))) & np.resize(is_clear, len(found))
        return len(found), int(np.count_nonzero(wrong))

    def time_source(self, source: str, chunk: int | None = None) -> float:
        """Return the seconds from rows on the host to their labels, `chunk` rows at a time."""
        self._rows = self._sources[source]
        return wall_seconds(self._called(chunk))


def fill(target: NDArray[Any], block: NDArray[Any]) -> NDArray[Any]:
    """Fill an array with the rows of a block, repeated; return it."""
    with ThreadPoolExecutor() as pool:
        starts = range(0, len(target), len(block))
        parts = [target[i : i + len(block)] for i in starts]
        list(pool.map(lambda part: np.copyto(part, block[: len(part)]), parts))
    return target
