"""Contests: rivals compute the same rows in turn, each called plainly and in its best way."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.measuring import spread, turns
from harness.processes import Worker, WorkerError
from harness.workload import Workload

CHUNKS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)  # rows at a time
N_RETRIED = 4  # ways to call a rival that are tried once more
# Seconds of calls, and of the pause after them, in which threads of libraries stop spinning.
TURN, PAUSE = 0.04, 0.03


@dataclass
class _Way:
    """A worker, and the number of rows that it computes at a time."""

    worker: Worker
    chunk: int | None = None
    seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        self.seconds.append(float(self.worker.ask("time", self.chunk, TURN)))
        time.sleep(PAUSE)

    @property
    def result(self) -> dict[str, Any]:
        return {**spread(self.seconds), "chunk": self.chunk, "shared": self.worker.is_shared}


def play(
    workload: Workload, workers: Sequence[Worker], rounds: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the times of all rivals, and why others have none; exit if labels are wrong."""
    unable, wrong, ready = {}, {}, []
    for worker in workers:
        try:
            n_wrong = worker.ask("prepare", workload)
        except WorkerError as error:
            unable[worker.name] = str(error)
            continue
        if n_wrong:
            wrong[worker.name] = n_wrong
        ready.append(worker)
    if wrong:
        sys.exit(f"wrong labels, so nothing is timed: {wrong}")
    plain = {worker.name: _Way(worker) for worker in ready if not worker.is_shared}
    best = {name: best_way(name, ready, workload.n_rows) or way for name, way in plain.items()}
    ways = list({id(way): way for way in (*plain.values(), *best.values())}.values())
    for _, way in turns(range(rounds), ways):
        way.measure()
    seconds = {
        name: {
            "plain": way.result,
            "best way": min(way.result, best[name].result, key=lambda found: float(found["best"])),
        }
        for name, way in plain.items()
    }
    return seconds, unable


def best_way(name: str, ready: Sequence[Worker], n_rows: int) -> _Way | None:
    """Return the fastest way in two tries, the second of the best; None if it is the plain one."""
    ways = []
    for worker in ready:
        if worker.name == name:
            ways += [_Way(worker)] * (not worker.is_shared)
            ways += [_Way(worker, size) for size in CHUNKS if size < n_rows] * (not worker.is_tiled)
    if len(ways) > 1:
        for _ in range(2):
            for way in ways:
                way.measure()
            ways = sorted(ways, key=lambda way: min(way.seconds))[:N_RETRIED]
        found = ways[0]
        if found.chunk is not None:
            return _Way(found.worker, found.chunk)
    return None
