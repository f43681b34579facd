"""Worker processes that run cases, and may be killed, hang or run out of memory."""

import os
import resource
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from multiprocessing import connection, get_context
from pathlib import Path

from good import Kind
from judging import MEGABYTES, SECONDS, Case, Judge, Outcome

__all__ = ["judged"]

# Wall time after which a case hangs. A file that expands to much data takes a while to make.
_SECONDS = 60.0
# Cases per process; a new process starts without leaked memory.
_MOST_CASES = 20_000
# Memory per case, beyond which it raises MemoryError.
_MORE_BYTES = 2 << 30

Maker = Callable[[int], Case]


class Worker:
    """A process that judges one case at a time, in a folder of its own."""

    def __init__(self, kinds: Sequence[Kind], case: Maker, files: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=files.parent))
        shutil.copytree(files, self._folder, dirs_exist_ok=True)
        context = get_context("fork")  # functions of kinds need not travel
        self.pipe, theirs = context.Pipe()
        arguments = (kinds, case, self._folder, theirs)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.pipe.recv()  # it has read the good files
        self.number, self._n_cases, self._deadline = -1, 0, 0.0

    def give(self, number: int) -> None:
        """Start a case."""
        self.number, self._deadline = number, time.monotonic() + _SECONDS
        self._n_cases += 1
        self.pipe.send(number)

    def outcome(self) -> Outcome | None:
        """Return the outcome of the case, or None if it is still running."""
        if self.pipe.poll():
            try:
                outcome: Outcome = self.pipe.recv()
            except EOFError:
                self._process.join()
                code = self._process.exitcode or 0
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                return Outcome("fault", f"the process died: {how}")
            return outcome
        if time.monotonic() > self._deadline:
            return Outcome("fault", f"took longer than {_SECONDS:g} s", _SECONDS)
        return None

    def is_spent_after(self, outcome: Outcome) -> bool:
        """Return whether a new process must replace this one."""
        is_full = self._n_cases >= _MOST_CASES or outcome.megabytes > MEGABYTES
        return is_full or outcome.seconds >= SECONDS or not self._process.is_alive()

    def end(self) -> None:
        """Kill the process, and remove its folder."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        shutil.rmtree(self._folder)


def _serve(kinds: Sequence[Kind], case: Maker, folder: Path, pipe: "connection.Connection") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends all
    os.chdir(folder)
    warnings.simplefilter("always")  # not only for the first case that gives one
    judge = Judge(kinds)
    n_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes + _MORE_BYTES, resource.RLIM_INFINITY))
    pipe.send("ready")
    while True:
        pipe.send(judge.judge(case(pipe.recv())))


def judged(
    numbers: Iterator[int], case: Maker, kinds: Sequence[Kind], files: Path, n_jobs: int
) -> Iterator[tuple[int, Outcome]]:
    """Yield the numbers of cases with their outcomes, in order of completion.

    The next of `numbers` is taken when a process is free; `case` makes its case.
    """
    idle = [Worker(kinds, case, files) for _ in range(n_jobs)]
    busy: list[Worker] = []
    try:
        while True:
            for number in islice(numbers, len(idle)):
                busy.append(idle.pop())
                busy[-1].give(number)
            if not busy:
                return
            connection.wait([worker.pipe for worker in busy], timeout=1.0)
            for worker in busy.copy():
                outcome = worker.outcome()
                if outcome is None:
                    continue
                yield worker.number, outcome
                busy.remove(worker)
                idle.append(worker)
                if worker.is_spent_after(outcome):
                    worker.end()
                    idle[-1] = Worker(kinds, case, files)
    finally:
        for worker in (*idle, *busy):
            worker.end()
