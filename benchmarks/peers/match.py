"""A match: everybody computes the same rows in turns, in rounds, each at its best."""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from peers.cases import Case
from peers.processes import PeerError, PeerProcess
from peers.runtimes import LIMITS, PEERS

__all__ = ["Match", "missing", "processes"]

# Rows at a time that are tried.
CHUNKS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# Seconds of a turn, and of the pause after it, in which the threads of runtimes stop spinning.
TURN, PAUSE = 0.04, 0.03


def missing() -> dict[str, str]:
    """Return the peers that cannot be tried, and which package each of them lacks."""
    found = {}
    for name, peer in PEERS.items():
        try:
            version(peer.package)
        except PackageNotFoundError:
            found[name] = peer.package
    return found


@contextmanager
def processes(
    names: Sequence[str], threads: int, *, is_shared: bool = True
) -> Iterator[list[PeerProcess]]:
    """Run a process for each peer; and for those that do not share out rows, one that does."""
    started = []
    try:
        for name in names:
            started.append(PeerProcess(name, threads))
            if is_shared and threads > 1 and not {**PEERS, **LIMITS}[name].is_tiled:
                started.append(PeerProcess(name, threads, is_shared=True))
        yield started
    finally:
        for process in started:
            process.close()


@dataclass
class Way:
    """A peer, and how many rows it is given at a time."""

    process: PeerProcess
    chunk: int | None
    seconds: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        """Compute all rows, and note the seconds."""
        self.seconds.append(self.process.time(self.chunk, TURN))
        time.sleep(PAUSE)

    def result(self) -> dict[str, Any]:
        """Return the seconds of the best round and of the median one."""
        return {
            "best": min(self.seconds),
            "median": statistics.median(self.seconds),
            "chunk": self.chunk,
            "shared": self.process.is_shared,
        }


class Match:
    """Everybody's ways to compute the rows of a case.

    Parameters
    ----------
    case : Case
    everybody : list of PeerProcess
    """

    def __init__(self, case: Case, everybody: list[PeerProcess]) -> None:
        self.case = case
        self.unable: dict[str, str] = {}
        self.wrong: dict[str, int] = {}
        self._ready = [process for process in everybody if self._is_ready(process)]

    def _is_ready(self, process: PeerProcess) -> bool:
        try:
            n_wrong = process.prepare(self.case)
        except PeerError as error:
            self.unable[process.name] = str(error)
            return False
        if n_wrong:
            self.wrong[process.name] = n_wrong
        return True

    def play(self, rounds: int, *, tries_chunks: bool = True) -> dict[str, Any]:
        """Return everybody's times: called plainly, and at the best way found.

        Parameters
        ----------
        rounds : int
        tries_chunks : bool, default True
            Whether other ways than the plain one are tried.

        Raises
        ------
        SystemExit
            If somebody gives wrong labels: nothing is timed then.
        """
        if self.wrong:
            sys.exit(f"wrong labels, so nothing is timed: {self.wrong}")
        plain = {p.name: Way(p, None) for p in self._ready if not p.is_shared}
        best = {name: self._best(name) if tries_chunks else way for name, way in plain.items()}
        ways = [*plain.values(), *(way for way in best.values() if way.chunk is not None)]
        for i in range(rounds):
            shift = i % len(ways)  # nobody always follows the same one
            for way in [*ways[shift:], *ways[:shift]]:
                way.take_turn()
        return {
            name: {
                "plain": plain[name].result(),
                "best way": min(
                    (way.result() for way in (plain[name], best[name]) if way.seconds),
                    key=lambda result: float(result["best"]),
                ),
            }
            for name in plain
        }

    def _best(self, name: str) -> Way:
        """Return the way that was fastest in two tries of each."""
        ways = []
        for process in self._ready:
            if process.name != name:
                continue
            if not process.is_shared:
                ways.append(Way(process, None))
            if not {**PEERS, **LIMITS}[name].is_tiled:
                ways += [Way(process, size) for size in CHUNKS if size < self.case.n_rows]
        if len(ways) == 1:
            return Way(ways[0].process, None)
        for _ in range(2):
            for way in ways:
                way.take_turn()
        found = min(ways, key=lambda way: min(way.seconds))
        return Way(found.process, found.chunk)
