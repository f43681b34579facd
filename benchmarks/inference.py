"""From raw bytes to labels on a CPU: xpnet beside other ways, all held to the same threads.

    python benchmarks/inference.py --json inference.json -o inference.png
    python benchmarks/inference.py --networks 784-300-10:tanh --rows 7 1000 54321
    python benchmarks/inference.py --table benchmarks/results/inference.json --readme README.md

Each way runs in a process of its own, which may use as many processors as there are threads. All
take turns in rounds; the best and the median are told. Each is called plainly, and in the way that
is fastest for it: of chunks of 16 to 4,096 rows, which with several threads it computes one after
the other, or several at a time on one thread each. Before anything is timed, labels are compared
with those of float64. What array code cannot be faster than, its library's own matrix products, is
timed as well: at once and in chunks, the usual way, transposed, and in xpnet's blocks.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from peers.cases import Case, Shape
from peers.match import Match, missing, processes
from peers.printing import print_cell, print_summary, replace_table
from peers.runtimes import LIMITS, PEERS
from provenance import about, headline

from xpnet.cli.arguments import positive
from xpnet.pictures.saving import check_picture, save_figure

NETWORKS = ("784-50-100-10:sigmoid", "784-1024-1024-10:relu")
ROWS = (1, 100, 10_000)
# Of networks that take more than this many multiplications for a row, 3,000 rows are many.
LARGE = 10**6
PACKAGES = (
    "xpnet",
    "numpy",
    "scikit-learn",
    "torch",
    "onnxruntime",
    "openvino",
    "jax",
    "threadpoolctl",
)


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    if args.table:
        result = json.loads(Path(args.table).read_text(encoding="utf-8"))
        finish(result, args)
        return 0
    facts = about(*PACKAGES)
    print(headline(facts))
    absent = missing()
    if absent:
        print(f"missing: {', '.join(f'{name} ({lack})' for name, lack in absent.items())}")
    names = [name for name in PEERS if name not in absent and name in args.peers]
    cells = []
    for threads in args.threads:
        with processes([*names, *LIMITS], threads) as everybody:
            for shape in map(Shape.parse, args.networks):
                for n_rows in args.rows or default_rows(shape):
                    match = Match(Case(shape, n_rows), everybody)
                    cell = {
                        "network": str(shape),
                        "rows": n_rows,
                        "threads": threads,
                        "operations": shape.operations * n_rows,
                        "seconds": match.play(args.rounds),
                        "unable": match.unable,
                    }
                    cells.append(cell)
                    print_cell(cell)
    result = {"about": facts, "rounds": args.rounds, "missing": absent, "cells": cells}
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    finish(result, args)
    return 0


def finish(result: dict[str, Any], args: argparse.Namespace) -> None:
    """Print the table, put it where it is asked for, and draw the picture."""
    print_summary(result)
    if args.readme:
        replace_table(Path(args.readme), result)
    if args.output:
        from peers.picture import draw

        save_figure(draw(result), args.output, force=True)


def default_rows(shape: Shape) -> tuple[int, ...]:
    """Return one row, a hundred, and many."""
    return (*ROWS[:-1], 3000) if shape.operations > 2 * LARGE else ROWS


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "--networks",
        nargs="+",
        default=NETWORKS,
        metavar="WIDTHS:ACTIVATION",
        help=f"sigmoid, tanh, relu or gelu (default: {' '.join(NETWORKS)})",
    )
    parser.add_argument("--rows", nargs="+", type=positive, help="(default: 1 100 and 10000)")
    parser.add_argument(
        "--threads", nargs="+", type=positive, default=(1, 2), help="(default: 1 2)"
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--rounds", type=positive, default=15, help="(default: 15)")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the results")
    parser.add_argument("--table", metavar="FILE", help="measure nothing: take the results of FILE")
    parser.add_argument("--readme", metavar="FILE", help="replace the table that FILE has")
    args = parser.parse_args()
    if args.quick:
        args.networks, args.rows, args.rounds = NETWORKS[:1], [1, 40], 1
    if args.output:
        check_picture(args.output)
    return args


if __name__ == "__main__":
    sys.exit(main())
