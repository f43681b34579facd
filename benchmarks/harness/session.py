"""A session on a device: sizes, time budget, and a document that grows section by section."""

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.devices import HostDevice, open_device
from harness.measuring import Budget
from harness.options import NO_DEVICE, write_json
from harness.processes import Worker, WorkerError, run_python
from harness.provenance import about, file_name, gpu_facts, n_cores, n_processors
from harness.registry import RIVALS, missing
from harness.server import Server
from harness.workload import Shape

RESULTS = Path(__file__).resolve().parents[1] / "results"
FAULT = 70  # exit code, as of the command `xpnet`
SMALL_SHARE = 0.03  # of the seconds that whole sizes need
NARROW = Shape.parse("784-50-100-10:sigmoid")
WIDE = Shape.parse("784-4096-4096-10:relu")
MANY = 65_536  # rows that keep a whole card busy
FAILED = object()  # what `Session.ask` returns instead of an answer
LEAST_PATIENCE = 60.0  # seconds for an answer; some rivals compile


class ChecksFailedError(RuntimeError):
    """The device computes something else: its times mean nothing."""


@dataclass(frozen=True)
class Plan:
    """Sizes and numbers of repetitions."""

    narrow: Shape = NARROW
    wide: Shape = WIDE
    rounds: int = 7
    turn: float = 0.05  # seconds of calls that make one time
    starts: int = 3  # pairs of fresh processes
    buffer_bytes: int = 2**28  # for copies; together far more than caches hold
    n_buffers: int = 4
    product: int = 8192  # rows and columns of matrices that are multiplied
    bound_rows: int = 2048  # rows compared with the derived bounds
    label_rows: int = 150_001  # rows whose labels are compared
    rows: int = 16_000_000  # from end to end
    block_rows: int = 2**18  # the different ones among them
    few_rows: int = 2**22  # at most, from a file and for torch
    chunks: tuple[int, ...] = (2**13, 2**15, 2**17, 2**19, 2**21)  # rows at a time, for torch
    resident_rows: tuple[int, ...] = (MANY, 1, 1024, 32)  # on the device, most important first


SMALL = Plan(
    wide=Shape.parse("784-64-64-10:relu"),
    rounds=2,
    turn=0.002,
    starts=1,
    buffer_bytes=2**20,
    n_buffers=2,
    product=256,
    bound_rows=200,
    label_rows=5001,
    rows=20_000,
    block_rows=2**12,
    few_rows=2**13,
    chunks=(2**10, 2**12),
    resident_rows=(256, 1),
)


@dataclass(frozen=True)
class Session:
    """Everything that sections share.

    ``content`` is the document so far; it is written to ``path``, if there is one. Temporary files
    go to ``folder``.
    """

    plan: Plan
    device: HostDevice
    budget: Budget
    content: dict[str, Any]
    path: Path | None
    folder: Path

    def __post_init__(self) -> None:
        self.content.update(checks={"passed": None, "each": []}, ceilings={}, cold_start={})
        self.content.update(end_to_end=[], resident=[], bar=[], skipped=[])

    @property
    def is_rehearsal(self) -> bool:
        """Whether the host takes the role of the device."""
        return self.device.name == "cpu"

    def log(self, text: str) -> None:
        """Print a line of progress."""
        print(f"[{self.budget.spent:4.0f} s] {text}", flush=True)

    def skip(self, what: str, why: str) -> None:
        """Record, once, that something was left out or made smaller."""
        entry = {"what": what, "why": why}
        if entry not in self.content["skipped"]:
            self.content["skipped"].append(entry)
            print(f"  left out: {what}: {why}", flush=True)

    def write(self) -> None:
        """Write the document."""
        write_json(self.path, self.content)

    def rounds(self, what: str, planned: int | None = None) -> Iterator[int]:
        """Count rounds; record it if there is no time for all of them."""
        planned = self.plan.rounds if planned is None else planned
        n_done = 0
        for i in self.budget.rounds(planned):
            yield i
            n_done += 1
        if n_done < planned:
            self.skip(f"rounds of {what}", f"out of time after {n_done} of {planned}")

    @contextmanager
    def workers(self, groups: Sequence[Sequence[str]]) -> Iterator[dict[str, Worker]]:
        """Run a worker process for each group of rivals; yield the workers by rival."""
        found: dict[str, Worker] = {}
        threads: dict[str, Any] = {"threads": n_processors(), "library_threads": n_cores()}
        with ExitStack() as stack:
            for names in groups:
                entries = {name: RIVALS[name] for name in names}
                for name, lack in missing(entries).items():
                    self.skip(name, f"{lack} is not installed")
                    del entries[name]
                if entries:
                    given = (entries, self.device.name, n_cores())
                    worker = stack.enter_context(Worker(names[0], Server, *given, **threads))
                    found |= dict.fromkeys(entries, worker)
            yield found

    def ask(self, what: str, worker: Worker, method: str, *arguments: Any) -> Any:
        """Return a worker's answer; if it fails, record the reason and return `FAILED`."""
        worker.patience = max(self.budget.left, LEAST_PATIENCE)
        try:
            return worker.ask(method, *arguments)
        except WorkerError as error:
            self.skip(what, str(error))
            return FAILED


@dataclass(frozen=True)
class Section:
    """A question: a function that adds to the document, and the seconds that it needs at least.

    Sections that time xpnet need passed checks.
    """

    measure: Callable[[Session], None]
    least: float
    is_timing: bool = False


def run(
    args: argparse.Namespace, sections: Mapping[str, Section], finish: Callable[[Session], None]
) -> int:
    """Run the selected sections, and `finish` after them; return the exit code.

    Without a usable GPU the code is 5; --quick then rehearses on the host, as --device cpu does.
    """
    # Float32 means float32, in this process and in those that it starts.
    os.environ["CUPY_TF32"] = "0"
    for name in ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"):
        os.environ.pop(name, None)
    is_rehearsal = args.device == "cpu"
    if not is_rehearsal:
        verdict = json.loads(run_python("-m", "xpnet", "doctor", "--json", codes=(0, NO_DEVICE)))
        print(verdict["message"])
        if not verdict["usable"] and not args.quick:
            return NO_DEVICE
        is_rehearsal = not verdict["usable"]
    if is_rehearsal:
        print("This is a rehearsal on the host: its numbers mean nothing.")
    content = {**facts(is_rehearsal=is_rehearsal), "quick": args.quick, "budget_s": args.budget_s}
    path = Path(args.json) if args.json else None
    if path is not None and path.is_dir():
        path /= result_path(content).name
    if path is None and not is_rehearsal:
        path = result_path(content)
    is_small = is_rehearsal or args.quick
    plan = SMALL if is_small else Plan()
    device, budget = open_device("cpu" if is_rehearsal else "gpu"), Budget(args.budget_s)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(plan, device, budget, content, path, Path(folder))
        for name in sections:
            if name not in args.sections:
                session.skip(name, "not asked for")
        chosen = {name: sections[name] for name in sections if name in args.sections}
        code = measure(session, chosen, SMALL_SHARE if is_small else 1.0)
        finish(session)
        session.write()
    if path is not None:
        print(f"wrote {path}")
    return code


def measure(session: Session, sections: Mapping[str, Section], scale: float) -> int:
    """Run sections, which need a share `scale` of their seconds; return the exit code."""
    content, code = session.content, 0
    session.log(f"machine: {content['card']}, {content['driver']}, commit {content['commit']}")
    session.write()
    needed = [section.least * scale for section in sections.values()]
    for i, (name, section) in enumerate(sections.items()):
        if not session.budget.begin(needed[i], sum(needed[i + 1 :])):
            session.skip(name, f"out of time: {session.budget.left:.0f} s are left")
        elif section.is_timing and content["checks"]["passed"] is not True:
            session.skip(name, "nothing is timed, since the checks did not pass")
        else:
            session.log(f"{name} ...")
            try:
                section.measure(session)
            except ChecksFailedError as error:
                print(error, file=sys.stderr)
                code = max(code, 1)
            except Exception as error:  # noqa: BLE001 (other sections go on; reported by the exit code)
                traceback.print_exc()
                session.skip(name, f"{type(error).__name__}: {error}")
                code = FAULT
        session.write()
    return code


def facts(*, is_rehearsal: bool) -> dict[str, Any]:
    """Return the provenance at the top of a document."""
    found, gpu = about("torch", "jax"), gpu_facts()
    return {
        "card": "none (rehearsal)" if is_rehearsal else gpu["card"],
        "rehearsal": is_rehearsal or "rehearsal" in gpu["card"],
        "driver": "none" if is_rehearsal else gpu["driver"],
        **found,
        "versions": {**found["versions"], "cupy": gpu["cupy"], "cuda": gpu["cuda"]},
        "cores": n_cores(),
        "cards": gpu["cards"],
    }


def result_path(content: Mapping[str, Any]) -> Path:
    """Return the file in `benchmarks/results` for a document."""
    return RESULTS / f"gpu-{file_name(content['card'])}-{content['date']}.json"
