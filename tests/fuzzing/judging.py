"""Execution of a command on a damaged file, and its verdict."""

import io
import re
import resource
import shlex
import time
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from good import DAMAGED, OUTPUTS, Good, Kind

from xpnet.cli import main as command_line

__all__ = ["MEGABYTES", "SECONDS", "Case", "Judge", "Outcome"]

MEGABYTES, SECONDS, _CHARACTERS = 300, 10.0, 400
_DATA, _WEIGHTS = 3, 4


@dataclass(frozen=True)
class Case:
    """A damaged file, and the command that reads it."""

    number: int
    kind: Kind
    good: Good
    command: tuple[str, ...]
    content: bytes


@dataclass(frozen=True)
class Outcome:
    """One of "refused", "same", "changed" and "fault", with the reason of a fault."""

    name: str
    reason: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0


class Judge:
    """Runs cases in the current folder, and compares with the results of the good files."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._files = _file_names()
        self._expected: dict[tuple[bytes, tuple[str, ...]], Any] = {}
        for good in (good for kind in kinds for good in kind.goods):
            for command in dict.fromkeys(good.commands):
                self._expected[good.content, command] = self._expect(good, command)

    def _expect(self, good: Good, command: tuple[str, ...]) -> Any:
        Path(DAMAGED).write_bytes(good.content)
        code, out, err = _run(command)
        if code:
            msg = f"a good file is refused: {shlex.join(command)}: {err}"
            raise RuntimeError(msg)
        result = good.result(command, out)
        if not good.agrees(good.content, command, result):
            msg = f"a good file gives a wrong result: {shlex.join(command)}"
            raise RuntimeError(msg)
        self._remove_new_files()
        return result

    def _remove_new_files(self) -> None:
        for name in _file_names() - self._files:
            Path(name).unlink()

    def judge(self, case: Case) -> Outcome:
        """Run a case, and judge it."""
        Path(DAMAGED).write_bytes(case.content)
        # Processor time, which does not depend on other processes.
        idle, start = _peak_megabytes(anew=True), time.process_time()
        code, out, err = _run(case.command)
        seconds, megabytes = time.process_time() - start, _peak_megabytes() - idle
        name, reason = self._name(case, code, out, err)
        if megabytes > MEGABYTES:
            name, reason = "fault", f"took {megabytes:.0f} MB; {name} {reason}"
        if seconds > SECONDS:
            name, reason = "fault", f"took {seconds:.0f} s; {name} {reason}"
        self._remove_new_files()
        return Outcome(name, reason, seconds, megabytes)

    def _name(self, case: Case, code: int, out: str, err: str) -> tuple[str, str]:
        if re.search(r"Traceback|Warning:", err):
            reason = f"exit {code}: {err.strip().splitlines()[-1].strip()}"
        elif code:
            reason = self._fault_of_refused(case, code, out, err)
        else:
            return self._accepted(case, out)
        return ("fault", reason) if reason else ("refused", "")

    def _fault_of_refused(self, case: Case, code: int, out: str, err: str) -> str:
        is_used = case.command[0] == "predict"  # the data may not fit the network
        if code != _WEIGHTS and not (is_used and code == _DATA):
            return f"exit {code}: {err.strip()}"
        if not re.fullmatch("xpnet: .*\n", err) or len(err) > _CHARACTERS + 1:
            return f"refused not in one line: {err!r}"
        if out:
            return f"refused, and printed: {out!r}"
        if other := _file_names() ^ {*self._files, DAMAGED}:
            return f"refused, and files are left or gone: {', '.join(sorted(other))}"
        if Path(DAMAGED).read_bytes() != case.content:
            return "refused, and the file was changed"
        return ""

    def _accepted(self, case: Case, out: str) -> tuple[str, str]:
        if left := _file_names() - self._files - {*OUTPUTS, DAMAGED}:
            return "fault", f"accepted, and files are left: {', '.join(sorted(left))}"
        expected = self._expected[case.good.content, case.command]
        try:
            result = case.good.result(case.command, out)
        except ValueError as error:
            return "fault", f"accepted, and then refused: {error}"
        if result == expected:
            return "same", ""
        try:
            with np.errstate(all="ignore"):
                agrees = case.good.agrees(case.content, case.command, result)
        except Exception as error:  # noqa: BLE001 (any exception rejects the file)
            return "fault", f"accepted, and must be refused: {type(error).__name__}: {error}"
        return ("changed", "") if agrees else ("fault", "accepted with a wrong result")


def _run(command: tuple[str, ...]) -> tuple[int, str, str]:
    """Run a command; return its exit code, stdout and stderr."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = command_line.main(command)
    return code, out.getvalue(), err.getvalue()


def _file_names() -> set[str]:
    return {path.name for path in Path().iterdir()}


def _peak_megabytes(*, anew: bool = False) -> float:
    """Return the peak memory of this process; `anew` resets it."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
