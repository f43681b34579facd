"""An epoch of Adam in batches of 100: xpnet beside other ways, all held to the same threads.

    python benchmarks/training.py --json training.json
    python benchmarks/training.py --table benchmarks/results/training.json --readme README.md

784-50-100-10 with sigmoids, float32, on a CPU. Each way runs in a process of its own, which may use
as many processors as there are threads, and all take turns in rounds; the best and the median are
told. Before anything is timed, those that can start from given weights take 20 steps, which must
end where xpnet's steps in float64 do.
"""

import argparse
import json
import statistics
import sys
import time
from contextlib import ExitStack, closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from learners.lesson import BATCH_SIZE, RATE, examples, start
from learners.ways import OURS, WAYS
from peers.printing import replace_between
from peers.processes import HeldProcess
from provenance import about, headline

import xpnet
from xpnet.cli.arguments import positive

PACKAGES = ("xpnet", "numpy", "scikit-learn", "torch", "jax", "threadpoolctl")
N_CHECKED = 20 * BATCH_SIZE
# Adam takes steps of about this rate at most, whatever a gradient's size: where rounding decides
# its sign, two right ways part by twice as much at each step. So most must be close, not all.
MOST_APART, LEAST_SHARE = 1e-5, 0.99
PAUSE = 0.03  # seconds, in which the threads of runtimes stop spinning


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    if args.table:
        result = json.loads(Path(args.table).read_text(encoding="utf-8"))
    else:
        result = measured(args)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    lines = markdown(result)
    print("\n".join(lines))
    if args.readme:
        replace_between(Path(args.readme), "training.py", lines)
    return 0


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Return everybody's seconds, with each number of threads."""
    facts = about(*PACKAGES)
    print(headline(facts))
    absent = {name: way.package for name, way in WAYS.items() if not is_installed(way.package)}
    if absent:
        print(f"missing: {', '.join(f'{name} ({lack})' for name, lack in absent.items())}")
    names = [name for name in WAYS if name not in absent]
    cells = []
    for threads in args.threads:
        check(names, threads)
        seconds = timed(names, threads, args.rows, args.rounds)
        cells.append({"threads": threads, "seconds": seconds})
        print(f"{threads} threads, an epoch of {args.rows:,} rows: best (median) in ms, to xpnet")
        for name, found in seconds.items():
            best, median = 1e3 * found["best"], 1e3 * found["median"]
            ratio = found["best"] / seconds[OURS]["best"]
            print(f"  {name:<24} {best:>8.1f} ({median:.1f}) {ratio:>6.2f}")
    return {
        "about": facts,
        "rows": args.rows,
        "rounds": args.rounds,
        "missing": absent,
        "cells": cells,
    }


def is_installed(package: str) -> bool:
    """Tell whether a package is here."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def held(name: str, n_rows: int, threads: int) -> HeldProcess:
    """Return a way in its process."""
    arguments = (n_rows, threads)
    return HeldProcess(name, WAYS[name].make, arguments, threads=threads, library_threads=threads)


def check(names: list[str], threads: int) -> None:
    """Compare where some steps lead with float64.

    Raises
    ------
    RuntimeError
        If a way leads elsewhere.
    """
    order = np.random.default_rng(0).permutation(N_CHECKED)
    expected = in_float64(order)
    for name in names:
        if not hasattr(WAYS[name].make, "parameters"):
            continue
        with closing(held(name, N_CHECKED, threads)) as process:
            process.ask("epoch", order)
            found = np.concatenate([p.reshape(-1) for p in process.ask("parameters")])
        share = float(np.mean(np.abs(found - expected) <= MOST_APART))
        print(f"{name}: {share:.2%} of the parameters are where float64 leads, within {MOST_APART}")
        if share < LEAST_SHARE:
            msg = f"{name} computes something else: {share:.2%} of the parameters are right"
            raise RuntimeError(msg)


def in_float64(order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the parameters after an epoch in this order."""
    from xpnet.training.backward import Objective
    from xpnet.training.examples import Examples, batches
    from xpnet.training.loop import Trainer

    exact = start().map_arrays(lambda x: x.astype(np.float64))
    learner = Trainer(Objective(exact), xpnet.Adam())
    parts = batches(Examples(*examples(len(order))), order, learner.objective, BATCH_SIZE)
    for batch in parts:
        learner.step(batch, RATE)
    parameters: np.ndarray[Any, Any] = learner.parameters
    return parameters


def timed(names: list[str], threads: int, n_rows: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return everybody's seconds for an epoch, of the best round and of the median one."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    random = np.random.default_rng(1)
    with ExitStack() as stack:
        everybody = [stack.enter_context(closing(held(n, n_rows, threads))) for n in names]
        for i in range(rounds + 1):
            order = random.permutation(n_rows)
            for process in everybody:
                begun = time.perf_counter()
                process.ask("epoch", order)
                if i > 0:  # in the first round, all is new
                    seconds[process.name].append(time.perf_counter() - begun)
                time.sleep(PAUSE)
    return {
        name: {"best": min(found), "median": statistics.median(found)}
        for name, found in seconds.items()
    }


def markdown(result: dict[str, Any]) -> list[str]:
    """Return the table of README: how many times as long as xpnet everybody takes."""
    others = [name for name in WAYS if name in result["cells"][0]["seconds"] and name != OURS]
    said = (
        f"{headline(result['about'])} Best of {result['rounds']} rounds; in brackets, the median."
    )
    lines = [
        said,
        "",
        f"| threads | xpnet, ms for {result['rows']:,} rows | {' | '.join(others)} |",
        f"| ---: | ---: |{' ---: |' * len(others)}",
    ]
    for cell in result["cells"]:
        ours = cell["seconds"][OURS]
        texts = [
            " ".join(
                text.format(cell["seconds"][name][kind] / ours[kind])
                for kind, text in (("best", "{:.2f}"), ("median", "({:.2f})"))
            )
            for name in others
        ]
        best, median = (f"{1e3 * ours[kind]:,.0f}" for kind in ("best", "median"))
        lines.append(f"| {cell['threads']} | {best} ({median}) | {' | '.join(texts)} |")
    return lines


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rows", type=positive, default=60_000, help="(default: 60000)")
    parser.add_argument(
        "--threads", nargs="+", type=positive, default=(1, 2), help="(default: 1 2)"
    )
    parser.add_argument("--rounds", type=positive, default=10, help="(default: 10)")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("--table", metavar="FILE", help="measure nothing: take the results of FILE")
    parser.add_argument("--readme", metavar="FILE", help="replace the table that FILE has")
    args = parser.parse_args()
    if args.quick:
        args.rows, args.rounds, args.threads = 1000, 1, [1]
    return args


if __name__ == "__main__":
    sys.exit(main())
