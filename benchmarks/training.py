"""Time of an epoch of Adam in batches of 100: xpnet beside other ways, with the same threads.

    python benchmarks/training.py --json benchmarks/results   # training-PROCESSOR.json, or a file
    python benchmarks/training.py --table benchmarks/results/training-*.json --page FILE

784-50-100-10 with sigmoids, float32. Each way runs in a process of its own, pinned to as many
processors as there are threads; all are timed in turn, round by round. Before anything is timed,
the ways that start from given weights take 20 steps, which must end where steps in float64 end.
docs/explanation/speed.md has the main figures.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from harness.measuring import spread, turns, wall_seconds
from harness.options import make_parser, parse, positive, results_of
from harness.processes import Worker
from harness.provenance import about_workers, headline, processor_kind
from harness.registry import TRAININGS, missing
from harness.reporting import markdown_table, show_table

OURS = "xpnet"
PACKAGES = ("scikit-learn", "torch", "jax", "threadpoolctl")
BATCH_SIZE, RATE = 100, 0.001
N_CHECKED = 20 * BATCH_SIZE
# Adam's steps have about the size of the rate, whatever the gradient's: where rounding decides its
# sign, two correct ways diverge by twice as much at each step. So not all parameters must be close.
MOST_APART, LEAST_SHARE = 1e-5, 0.99
PAUSE = 0.03  # seconds, in which threads of libraries stop spinning


def main() -> int:
    """Run the benchmark."""
    args = parse_arguments()
    results = results_of(args, measure, "training")
    show_table(args.page, "training.py", markdown(results))
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(str(__doc__), 10, table=True)
    add = parser.add_argument
    add("--rows", type=positive, default=60_000, help="(default: 60000)")
    add("--threads", nargs="+", type=positive, default=(1, 2), help="(default: 1 2)")
    args = parse(parser)
    if args.quick:
        args.rows, args.rounds, args.threads = 1000, 1, [1]
    if args.device == "gpu":
        args.threads = args.threads[:1]
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time all ways with each number of threads."""
    facts = about_workers(*PACKAGES, device=args.device)
    print(headline(facts))
    absent = missing(TRAININGS, args.device)
    print("".join(f"missing: {name} ({lack})\n" for name, lack in absent.items()), end="")
    names = [name for name in TRAININGS if name not in absent]
    cells = []
    for threads in args.threads:
        check(names, args.device, threads)
        cells.append({"threads": threads, "seconds": timed(names, threads, args)})
        print(json.dumps(cells[-1]), flush=True)
    result = {"about": facts, "rows": args.rows, "rounds": args.rounds}
    return result | {"missing": absent, "cells": cells}


def make(name: str, n_rows: int, device: str, threads: int) -> Any:
    """Return a way to train, in its process."""
    entry = TRAININGS[name]
    return entry.load()(n_rows, device, threads, **entry.options)


def check(names: list[str], device: str, threads: int) -> None:
    """Raise RuntimeError if the parameters after some steps are not those of float64."""
    order = np.random.default_rng(0).permutation(N_CHECKED)
    exact = TRAININGS["xpnet, steps alone"].load()(N_CHECKED, "cpu", 1, "float64")
    exact.epoch(order, BATCH_SIZE, RATE)
    (expected,) = exact.parameters()
    for name in names:
        if not hasattr(TRAININGS[name].load(), "parameters"):
            continue
        with Worker(name, make, name, N_CHECKED, device, threads, threads=threads) as worker:
            worker.ask("epoch", order, BATCH_SIZE, RATE)
            found = np.concatenate([p.reshape(-1) for p in worker.ask("parameters")])
        share = float(np.mean(np.abs(found - expected) <= MOST_APART))
        print(f"{name}: {share:.2%} of the parameters are within {MOST_APART} of float64's")
        if share < LEAST_SHARE:
            msg = f"{name} computes something else: {share:.2%} of its parameters are right"
            raise RuntimeError(msg)


def timed(names: list[str], threads: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the best and the median seconds of an epoch; the first round is a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    orders = [np.random.default_rng((1, i)).permutation(args.rows) for i in range(args.rounds + 1)]
    with ExitStack() as stack:
        given = (args.rows, args.device, threads)
        made = [Worker(name, make, name, *given, threads=threads) for name in names]
        workers = [stack.enter_context(worker) for worker in made]
        for i, worker in turns(range(args.rounds + 1), workers):
            taken = wall_seconds(partial(worker.ask, "epoch", orders[i], BATCH_SIZE, RATE))
            if i > 0:
                seconds[worker.name].append(taken)
            time.sleep(PAUSE)
    return {name: spread(found) for name, found in seconds.items()}


def markdown(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return the provenance of results, and the table of times as multiples of xpnet's."""
    cells = [(processor_kind(x["about"]), cell) for x in results for cell in x["cells"]]
    others = dict.fromkeys(name for _, cell in cells for name in cell["seconds"] if name != OURS)
    rows = []
    for kind, cell in cells:
        ours, row = cell["seconds"][OURS], [f"{kind}, {cell['threads']}"]
        row.append(f"{1e3 * ours['best']:,.0f} ({1e3 * ours['median']:,.0f})")
        for name in others:
            found = cell["seconds"].get(name)
            ratios = found and [found[kind] / ours[kind] for kind in ("best", "median")]
            row.append("{:.2f} ({:.2f})".format(*ratios) if ratios else "-")
        rows.append(row)
    lines = []
    for result in results:
        rounds = f"Best of {result['rounds']} rounds; in brackets, the median."
        lines += [f"{headline(result['about'])} {result['rows']:,} rows. {rounds}", ""]
    return [*lines, *markdown_table(["processor, threads", "xpnet, ms", *others], rows)]


if __name__ == "__main__":
    sys.exit(main())
