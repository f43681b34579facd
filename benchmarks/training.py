"""Time of an epoch of Adam in batches of 100: xpnet beside other libraries, with the same threads.

    python benchmarks/training.py --json training.json

784-50-100-10 with sigmoids, float32. Each library runs in a process of its own, pinned to as many
processors as there are threads; all are timed in turn. Before, each takes 20 steps from the same
parameters, which must end where steps in float64 end.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from harness import about, contest, make_parser, ratio_table, run
from rivals import BATCH_SIZE, TRAININGS, Workload, training_by_numpy

NETWORK, N_STEPS = "784-50-100-10:sigmoid", 20
# Adam's steps have about the size of the rate, whatever the gradient's: where rounding decides its
# sign, two correct ways diverge by twice as much at each step. So not all parameters must be close.
MOST_APART, LEAST_SHARE = 1e-5, 0.99


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(str(__doc__), rounds=10)
    parser.add_argument("--rows", type=int, default=60_000, help="(default: 60000)")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="(default: 1 2)")
    args = parser.parse_args()
    if args.quick:
        args.rows, args.rounds, args.threads = 1000, 1, [1]
    run("training.py", args, measure, ratio_table)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time an epoch of all libraries."""
    cells = contest(args, make, TRAININGS, [(NETWORK, args.rows)])
    return {"about": about("torch", "jax"), "rounds": args.rounds, "cells": cells}


def make(name: str, threads: int, network: str, n_rows: int) -> tuple[Callable[[], Any], str]:
    """Return the call of an epoch, and what is wrong with the parameters after some steps."""
    # As many rows as are in a batch, so that their order does not matter.
    batch, work = Workload(network, BATCH_SIZE), Workload(network, n_rows)
    found = next(TRAININGS[name](batch, threads, N_STEPS))
    exact = next(training_by_numpy(batch, threads, N_STEPS, np.float64))
    is_right = [np.abs(x - y).reshape(-1) <= MOST_APART for x, y in zip(found, exact, strict=True)]
    share = float(np.mean(np.concatenate(is_right)))
    fault = f"{1 - share:.1%} of the parameters are wrong" if share < LEAST_SHARE else ""
    return partial(next, TRAININGS[name](work, threads, 1)), fault


if __name__ == "__main__":
    main()
