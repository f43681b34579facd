"""The harness of the benchmarks: options, tables, provenance, turns, and contests of workers."""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.metadata import distributions
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import xpnet

OURS = "xpnet"
IN_CHUNKS = ", in chunks"  # ends the names of rivals that share a column with those of all rows
TURN = 0.04  # seconds of calls that make one time
PAUSE = 0.03  # seconds between times, in which threads of libraries stop spinning
Times = dict[str, dict[str, float]]  # best and median seconds by name
# From a rival's name, threads, network and number of rows to a call, and what is wrong with it
Make = Callable[[str, int, str, int], tuple[Callable[[], object], str]]


def make_parser(about: str, *, rounds: int = 0, has_table: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the shared options, for a script with the docstring `about`."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=style)
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes and few rounds, to see that it runs")
    add("--json", type=Path, metavar="FILE", help="write the results to FILE")
    if rounds:
        add("--rounds", type=int, default=rounds, help="(default: %(default)s)")
    if has_table:
        add("--table", type=Path, metavar="FILE", help="measure nothing; use the results in FILE")
        add("--page", type=Path, metavar="FILE", help="replace the table in FILE")
    return parser


def run(
    script: str,
    args: argparse.Namespace,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    markdown: Callable[[dict[str, Any]], list[str]],
) -> None:
    """Measure and write the results, or read those of `--table`; print them as a table."""
    result = json.loads(args.table.read_text("utf-8")) if args.table else measure(args)
    if args.json and not args.table:
        args.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    lines = markdown(result)
    print("\n".join(lines))
    if args.page:
        start, end = f"<!-- table of benchmarks/{script} -->", "<!-- end of the table -->"
        before, _, rest = args.page.read_text("utf-8").partition(start)
        table = "\n".join([start, "", *lines, "", end])
        args.page.write_text(before + table + rest.partition(end)[2], "utf-8")


def markdown_table(header: list[str], rows: list[list[str]], n_left: int = 1) -> list[str]:
    """Return the lines of a table: `n_left` columns aligned left, the others right."""
    marks = ["---" if i < n_left else "---:" for i in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]


def about(*packages: str) -> dict[str, Any]:
    """Return the provenance of a run: date, commit, machine, BLAS kernel, versions of packages."""
    installed = {package.name: package.version for package in distributions()}
    names = [name for name in ("xpnet", "numpy", *packages) if name in installed]
    kernels = [x["architecture"] for x in threadpool_info() if x["user_api"] == "blas"]
    command = ["git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty= with changes"]
    folder = Path(__file__).parent
    git = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 (fixed words)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": git.stdout.strip() or "unknown",
        "hardware": xpnet.Device("cpu").hardware,
        "blas": {"kernel": (kernels or ["unknown"])[0]},
        "versions": {"python": platform.python_version()} | {x: installed[x] for x in names},
    }


def headline(facts: Mapping[str, Any]) -> str:
    """Return the provenance in one line."""
    machine = f"{facts['date']}, {facts['hardware']} (BLAS kernel {facts['blas']['kernel']})"
    versions = [f"{name} {x}" for name, x in facts["versions"].items()]
    return f"{machine}, commit {facts['commit']}; {', '.join(versions)}."


def mean_seconds(call: Callable[[], object], wait: Callable[[], object] = lambda: None) -> float:
    """Return the mean seconds of some calls, until `wait` returns, such as a device's."""

    def seconds(n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            call()
        wait()
        return (time.perf_counter() - start) / n

    one = seconds(1)
    n = round(TURN / max(one, 1e-6))
    return seconds(n) if n > 1 else one


def in_turn(timers: Mapping[str, Callable[[], float]], rounds: int, n_warm_up: int = 1) -> Times:
    """Return the best and the median of the seconds that each timer returns.

    Each is called once in a round, in random order; the first rounds are a warm-up.
    """
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    random = np.random.default_rng(0)
    for _ in range(n_warm_up + rounds):
        for name in random.permutation(list(timers)).tolist():
            seconds[name].append(timers[name]())
            time.sleep(PAUSE)
    counted = {name: found[n_warm_up:] for name, found in seconds.items()}
    return {x: {"best": min(y), "median": statistics.median(y)} for x, y in counted.items()}


_calls: list[Callable[[], object]] = []  # in a worker process: what it times, as the only entry


def prepare(make: Make, name: str, threads: int, place: tuple[str, int]) -> str:
    """Prepare the call that this worker times; return what is wrong with it, or an empty string."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    call, fault = make(name, threads, *place)
    threadpool_limits(threads)  # now that the libraries have been loaded
    _calls[:] = [call]
    return fault


def _seconds() -> float:
    return mean_seconds(_calls[0])


def _ask(worker: ProcessPoolExecutor, call: Callable[..., Any], *given: Any) -> Any:
    return worker.submit(call, *given).result()


def contest(
    args: argparse.Namespace, make: Make, names: Iterable[str], places: Iterable[tuple[str, int]]
) -> list[dict[str, Any]]:
    """Return the times of rivals for each number of threads, network and number of rows.

    Each rival has a process of its own, pinned to as many processors as it may use threads.
    """
    cells, context = [], get_context("spawn")
    for threads, place in itertools.product(args.threads, places):
        with ExitStack() as stack:
            timers = {}
            for name in names:
                worker = stack.enter_context(ProcessPoolExecutor(1, context))
                try:
                    fault = _ask(worker, prepare, make, name, threads, place)
                except ModuleNotFoundError as error:
                    print(f"{name} is left out: {error}", file=sys.stderr)
                    continue
                if fault:
                    sys.exit(f"nothing is timed, because {name} is wrong: {fault}")
                timers[name] = partial(_ask, worker, _seconds)
            cell = {"network": place[0], "rows": place[1], "threads": threads}
            cells.append(cell | {"seconds": in_turn(timers, args.rounds)})
            print(json.dumps(cells[-1]), flush=True)
    return cells


def place_of(cell: Mapping[str, Any]) -> str:
    """Return network, rows and threads in a few words."""
    return f"{cell['network'].replace(':', ' ')}, {cell['rows']:,}, {cell['threads']}"


def ratio_table(result: Mapping[str, Any]) -> list[str]:
    """Return provenance and best times relative to xpnet's: for all rows at once / in chunks."""
    timed, rows = result["cells"][0]["seconds"], []
    names = [name for name in timed if name != OURS and not name.endswith(IN_CHUNKS)]
    for cell in result["cells"]:
        best = {name: seconds["best"] for name, seconds in cell["seconds"].items()}
        ours = f"{1e6 * best[OURS]:,.{int(best[OURS] < 1e-4)}f}"
        row = [place_of(cell), ours]
        for name in names:
            ratios = [best[name] / best[OURS]]
            ratios.append(min(ratios[0], best.get(name + IN_CHUNKS, np.inf) / best[OURS]))
            row.append(" / ".join(dict.fromkeys(f"{x:.{2 * (x < 10)}f}" for x in ratios)))
        rows.append(row)
    text = f"{headline(result['about'])} Best of {result['rounds']} rounds."
    return [text, "", *markdown_table(["network, rows, threads", "xpnet, µs", *names], rows)]
