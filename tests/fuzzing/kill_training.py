"""Test of resumed training runs: each is killed at random moments, and must reach the same bits.

    python tests/fuzzing/kill_training.py 1000 --seed 1

Each trial runs ``xpnet train``, kills it with a random signal up to three times, and lets it
finish. The first fault ends the program with a log. Two trials run at a time.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

# Exit code of a process that was killed by a signal before it finished.
_EXIT_CODES = {
    signal.SIGINT: 130,
    signal.SIGTERM: 143,
    signal.SIGKILL: -signal.SIGKILL,
}
_N_EPOCHS = 12
_WORDS = ("train", "sample", "--rows", "400", "--hidden", "20", "--augment", "1")
_FILES = ("--epochs", str(_N_EPOCHS), "-o", "model.safetensors", "--history", "history.json")
# Before this line, Python handles signals, not xpnet. While it is written, signals are handled as
# xpnet handles them.
_READY = "ready\n"
_SCRIPT = f"""
import os, signal, sys
from xpnet.__main__ import main

def leave(number, frame):
    os.write(2, b"xpnet: interrupted\\n")
    os._exit(128 + number)

signal.signal(signal.SIGINT, leave)
signal.signal(signal.SIGTERM, leave)
sys.stderr.write({_READY!r})
sys.stderr.flush()
# The handlers of Python: a shell may have started this program with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
sys.exit(main())
"""
_COMPLETE = {"model.safetensors", "history.json"}
_KEPT = "model.safetensors.checkpoint"
_HINT = f"xpnet: {_KEPT} holds the training so far: --resume continues it\n"
_MOST_KILLS = 3


class FaultError(Exception):
    """A violated rule."""


@dataclass(frozen=True)
class Moment:
    """Time of a signal: some seconds after a number of lines on stderr."""

    signal: signal.Signals
    n_lines: int
    delay: float


@dataclass(frozen=True)
class Seen:
    """Exit code and lines of a process, and the times of the lines and of its end."""

    code: int
    lines: list[str]
    times: list[float]


@dataclass(frozen=True)
class Expected:
    """Results of an undisturbed training, and the durations of its parts."""

    model: bytes
    history: list[dict[str, Any]]
    gaps: list[float]


def main() -> None:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("n", type=int, help="number of trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", default="INT,TERM,KILL", help="(default: INT,TERM,KILL)")
    args = parser.parse_args()
    signals = [signal.Signals[f"SIG{name}"] for name in args.signals.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        expected = _undisturbed(Path(folder))
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        trials = [pool.submit(_trial, args.seed, i, signals, expected) for i in range(args.n)]
        try:
            for trial in tqdm(as_completed(trials), total=args.n, unit=" trials"):
                counts.update(trial.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for what, n in sorted(counts.items()):
        print(f"{n:6d}  {what}")  # noqa: T201 (the program's result)


def _undisturbed(folder: Path) -> Expected:
    seen = _run(folder, (), None)
    _check(seen.code == 0, "an undisturbed training failed", folder, [seen])
    gaps = [b - a for a, b in zip(seen.times[:-1], seen.times[1:], strict=True)]
    history = _history(folder)
    return Expected((folder / "model.safetensors").read_bytes(), history, gaps)


def _trial(seed: int, number: int, signals: list[signal.Signals], expected: Expected) -> list[str]:
    """Kill a training run several times, let it finish, and return the events."""
    random = np.random.default_rng([seed, number])
    log, found = [f"seed {seed}, trial {number}"], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(random.integers(1, _MOST_KILLS + 1)):
            more = _way_on(folder)
            if more is None:
                break
            moment, before = _moment(random, signals, expected), _names(folder)
            seen = _run(folder, more, moment)
            log += [f"{more} {moment}", seen]
            found.append(f"{moment.signal.name} {seen.code}{_state(folder)}")
            _judge(folder, moment, seen, expected, log)
            if moment.signal != signal.SIGKILL:
                _judge_interrupt(folder, seen, before, log)
        more = _way_on(folder)
        if more is None and _names(folder) != _COMPLETE:
            more = ("--force",)  # it was killed after its work, but before it had cleaned up
        if more is not None:
            seen = _run(folder, more, None)
            log += [f"{more}", seen]
            _check(seen.code == 0, "it did not go on", folder, log)
        _check(_names(folder) == _COMPLETE, "files are left or missing", folder, log)
        _check_results(folder, expected, log)
    return found


def _way_on(folder: Path) -> tuple[str, ...] | None:
    """Return the option that resumes the training, or None if it is complete."""
    names = _names(folder)
    if _KEPT in names:
        return ("--resume",)
    return None if names >= _COMPLETE else ()


def _moment(random: np.random.Generator, signals: list[signal.Signals], it: Expected) -> Moment:
    """Draw a moment: at the start, in an epoch, or at the end while files are written."""
    last = len(it.gaps) - 1
    n_lines = random.choice([0, random.integers(1, last), random.integers(1, last), last])
    delay = random.uniform(0.0, 1.5 * it.gaps[n_lines])
    return Moment(signals[random.integers(len(signals))], int(n_lines) + 1, float(delay))


def _run(folder: Path, more: Iterable[str], moment: Moment | None) -> Seen:
    command = [sys.executable, "-c", _SCRIPT, *_WORDS, *_FILES, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    lines, times = [], []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=-3, stderr=-1, text=True
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            lines.append(line)
            times.append(time.perf_counter())
            if moment is not None and len(lines) == moment.n_lines:
                time.sleep(moment.delay)
                child.send_signal(moment.signal)
    return Seen(child.returncode, lines, [*times, time.perf_counter()])


def _judge(folder: Path, moment: Moment, seen: Seen, expected: Expected, log: list[Any]) -> None:
    """Check the files that a signal left."""
    names = _names(folder)
    is_over = names >= _COMPLETE and _KEPT not in names
    codes = {_EXIT_CODES[moment.signal]}
    if is_over:  # the signal may come when the code is given, or not be met at all
        codes |= {0, -moment.signal}
    elif len(seen.lines) < moment.n_lines:  # of a training that went on, there are fewer lines
        codes = {0}
    _check(seen.code in codes, f"exit code {seen.code}, expected {codes}", folder, log)
    temporary = {name for name in names if re.fullmatch(r"\.xpnet-.*\.tmp", name)}
    _check(names <= {*_COMPLETE, _KEPT} | temporary, f"unknown files {names}", folder, log)
    if "model.safetensors" in names:
        model = (folder / "model.safetensors").read_bytes()
        _check(model == expected.model, "another model", folder, log)


def _judge_interrupt(folder: Path, seen: Seen, before: set[str], log: list[Any]) -> None:
    """Check the files and messages of an interrupt, which are more orderly than after SIGKILL."""
    names = _names(folder)
    # What SIGKILL left may still be there, if the process has not come to the same file.
    new = {name for name in names - before if name.endswith(".tmp")}
    _check(not new, f"{new} left", folder, log)
    progress = ("training with ", "epoch ")
    others = [line for line in seen.lines[1:] if not line.startswith(progress)]
    has_learned = len(others) < len(seen.lines) - 1
    if _KEPT in names and (has_learned or _HINT in others):
        # One that is interrupted while it reads the data need not tell of an earlier one.
        _check(others[:1] == [_HINT], f"no hint in {others}", folder, log)
        del others[0]
    ending = "xpnet: [a-z]+\n" if seen.code in {130, 143} else ""
    is_right = re.fullmatch(ending, "".join(others)) is not None
    _check(is_right, f"messages {others}, expected {ending!r}", folder, log)
    is_safe = not has_learned or _KEPT in names or names >= _COMPLETE
    _check(is_safe, "an epoch was lost", folder, log)


def _check_results(folder: Path, expected: Expected, log: list[Any]) -> None:
    model = (folder / "model.safetensors").read_bytes()
    _check(model == expected.model, "other bits in the end", folder, log)
    _check(_history(folder) == expected.history, "another history in the end", folder, log)


def _history(folder: Path) -> list[dict[str, Any]]:
    epochs = json.loads((folder / "history.json").read_text())
    return [{**epoch, "seconds": 0.0} for epoch in epochs]


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _state(folder: Path) -> str:
    names = _names(folder)
    n_temporary = sum(name.endswith(".tmp") for name in names)
    words = [
        "model" if "model.safetensors" in names else "",
        "history" if "history.json" in names else "",
        "checkpoint" if _KEPT in names else "",
        f"{n_temporary} temporary" if n_temporary else "",
    ]
    return f": {', '.join(word for word in words if word) or 'nothing'}"


def _check(is_right: object, what: str, folder: Path, log: Iterable[Any]) -> None:
    if not is_right:
        text = "\n".join(map(str, (what, *log, f"files: {sorted(_names(folder))}")))
        raise FaultError(text)


if __name__ == "__main__":
    main()
