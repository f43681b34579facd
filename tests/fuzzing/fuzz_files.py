"""Fuzzing of commands with damaged model files, which must be rejected or read correctly.

    python tests/fuzzing/fuzz_files.py --seconds 60
    python tests/fuzzing/fuzz_files.py --seed 7 --case 1234

A case is a damaged copy of a good file, and a command that reads it. Its outcome is one of

    refused   the exit code of its kind, one line of at most 400 characters on stderr, nothing on
              stdout, no file left or changed
    same      exit code 0, and the result of the good file
    changed   exit code 0, and the result of an independent reader of the same bytes; only for
              formats without checksums, or for damage before a checksum was computed

or a fault. More than 300 MB of memory, 10 seconds of processor time or 60 seconds of wall time, and
a process that dies are faults, too. Faulty files are kept with a command that repeats the fault;
the exit code is then 1.
"""

import argparse
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from functools import partial
from itertools import count, islice, takewhile
from pathlib import Path
from random import Random

# A process for each core, each with one thread; NumPy asks when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from damage import damaged
from good import DAMAGED, Kind
from judging import Case, Outcome
from kinds import make_kinds
from workers import judged

_MOST_KEPT = 3  # faults of one sort
_MEMORY = Path("/dev/shm")  # to write a file safely takes long on a disk


def random_case(kinds: Sequence[Kind], seed: int, number: int) -> Case:
    """Return a case of random damage, which depends on the seed and its number alone."""
    rng = Random(f"{seed} {number}")
    kind = kinds[number % len(kinds)]
    good = rng.choice(kind.goods)
    content = damaged(good.content, rng, [other.content for other in kind.goods])
    return Case(number, kind, good, rng.choice(good.commands), content)


class Report:
    """Counts of the outcomes by kind, and of similar faults."""

    def __init__(self, case: Callable[[int], Case], files: Path, folder: Path) -> None:
        self._case, self._files, self._folder = case, files, folder
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: Counter[str] = Counter()
        self._megabytes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def add(self, number: int, outcome: Outcome) -> None:
        """Count an outcome; keep the file of a fault unless several similar ones are kept."""
        case = self._case(number)
        kind = case.kind.name
        self._counts[kind][outcome.name] += 1
        self._seconds[kind] = max(self._seconds[kind], outcome.seconds)
        self._megabytes[kind] = max(self._megabytes[kind], outcome.megabytes)
        if outcome.name == "fault":
            reason = " ".join(outcome.reason.split())
            varying = re.compile(r"""[0-9]+|'.*?'|".*?\"""")
            sort = f"{kind}, {case.command[0]}: {varying.sub('#', reason)[:100]}"
            self.faults[sort] += 1
            if self.faults[sort] <= _MOST_KEPT:
                _say(f"{kind}, case {number}: {reason}\n    {self._kept(case)}")

    def _kept(self, case: Case) -> str:
        """Keep the files of a case; return the command that repeats its outcome."""
        place = self._folder / f"{case.kind.name}-{case.number}"
        shutil.copytree(self._files, place, dirs_exist_ok=True)
        (place / DAMAGED).write_bytes(case.content)
        return f"cd {place} && xpnet {shlex.join(case.command)}"

    @property
    def line(self) -> str:
        """Progress in one line."""
        total = sum(counts.total() for counts in self._counts.values())
        return f"{total:,} cases, {self.faults.total():,} faults"

    def text(self) -> str:
        """Return a table of all counts, with the most seconds and megabytes of a case."""
        names = ("refused", "same", "changed", "fault")
        rows = [("kind", "cases", *names, "s", "MB")]
        for kind, counts in sorted(self._counts.items()):
            most = f"{self._seconds[kind]:.2f}", f"{self._megabytes[kind]:.0f}"
            rows.append((kind, counts.total(), *(counts[name] for name in names), *most))
        lines = [f"{kind:14}" + "".join(f"{x:>9}" for x in others) for kind, *others in rows]
        sorts = [f"{n_faults} x {sort}" for sort, n_faults in self.faults.most_common()]
        return "\n".join([*lines, *sorts, self.line])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (a program)


def main(arguments: list[str] | None = None) -> int:
    """Run the requested cases; return 1 if one of them is a fault."""
    args = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        files = Path(folder, "files")
        files.mkdir()
        silent = io.StringIO()
        with chdir(files), redirect_stdout(silent), redirect_stderr(silent):
            kinds = make_kinds()
        wanted = _wanted(args.kinds, kinds)
        case = partial(random_case, kinds, args.seed)
        numbers = _asked_for(args, kinds, wanted)
        report = Report(case, files, args.keep.absolute())
        with suppress(KeyboardInterrupt):  # the report so far is printed
            for number, outcome in judged(numbers, case, wanted, files, args.jobs):
                report.add(number, outcome)
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{report.line} ")
    _say(report.text())
    return 1 if report.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seconds", type=float, default=60, help="duration (default: 60)")
    what.add_argument("--cases", type=int, metavar="N", help="run the first N cases")
    what.add_argument("--case", type=int, metavar="N", help="repeat one case")
    add = parser.add_argument
    add("--seed", type=int, default=0, help="seed of the damage (default: 0)")
    add("--kinds", metavar="LIST", help="kinds of files, separated by commas (default: all)")
    add("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    text = "folder of kept files (default: faults)"
    add("--keep", type=Path, default="faults", metavar="FOLDER", help=text)
    return parser


def _wanted(names: str | None, kinds: Sequence[Kind]) -> list[Kind]:
    known = [kind.name for kind in kinds]
    wanted = known if names is None else names.split(",")
    if not set(wanted) <= set(known):
        msg = f"--kinds: must be some of {','.join(known)}; got {names}"
        raise SystemExit(msg)
    return [kind for kind in kinds if kind.name in wanted]


def _asked_for(
    args: argparse.Namespace, kinds: Sequence[Kind], wanted: Sequence[Kind]
) -> Iterator[int]:
    """Return the numbers of the cases to run."""
    if args.case is not None:
        return iter([args.case])
    # The number of a case does not depend on the omitted kinds.
    numbers = (number for number in count() if kinds[number % len(kinds)] in wanted)
    if args.cases is not None:
        return islice(numbers, args.cases)
    end = time.monotonic() + args.seconds
    return takewhile(lambda _: time.monotonic() < end, numbers)


if __name__ == "__main__":
    sys.exit(main())
