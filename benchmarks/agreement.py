"""What it costs to judge a network against its derived bounds, in forward passes.

    python benchmarks/agreement.py --json agreement.json

On 10,000 rows, `xpnet.parity.compare` and one forward pass over all of them take turns in rounds;
the best and the median round are told. The forward pass is timed as in a process that keeps its
memory, which makes it as fast as it can be.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from provenance import about, headline

import xpnet
from xpnet.arrays.cpu.memory import keep_freed_memory

ROWS = 10_000


def main() -> int:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="(default: 15)")
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    args = parser.parse_args()

    network = xpnet.load("sample")
    images = xpnet.sample()[0].reshape(-1, network.n_in)
    rows = np.tile(images, (ROWS // len(images), 1))
    keep_freed_memory()
    seconds = measure(
        {
            "forward": lambda: network(rows),
            "compare": lambda: xpnet.parity.compare(network, rows, {"itself": network}),
            "compare, worst case": lambda: xpnet.parity.compare(
                network, rows, {"itself": network}, worst_case=True
            ),
        },
        1 if args.quick else args.rounds,
    )
    timings = {
        name: {"best": min(times), "median": statistics.median(times)}
        for name, times in seconds.items()
    }
    facts = about("xpnet", "numpy")
    print(headline(facts))
    print(repr(network))
    print(
        f"{f'{ROWS:,} rows':20} {'ms, best':>9} {'median':>9} {'forward passes':>15} {'median':>9}"
    )
    for name, row in timings.items():
        passes = {key: row[key] / timings["forward"][key] for key in row}
        print(
            f"{name:20} {1e3 * row['best']:9.1f} {1e3 * row['median']:9.1f}"
            f" {passes['best']:15.1f} {passes['median']:9.1f}"
        )
    if args.json:
        result = {"about": facts, "network": repr(network), "rows": ROWS, "seconds": timings}
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round for each function; a first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
