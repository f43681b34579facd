"""Time from raw bytes to labels: xpnet beside other libraries, with the same threads.

    python benchmarks/inference.py --json inference.json
    python benchmarks/inference.py --networks 784-300-10:tanh --rows 7 1000 54321
    python benchmarks/inference.py --table benchmarks/results/inference.json --readme README.md

Each rival runs in a process of its own, pinned to as many processors as there are threads. All are
timed in turn, round by round. Each is called plainly, and in its best way: in chunks of 16 to 4,096
rows, computed one after the other, or several at a time on one thread each. Labels are compared
with those of float64 before anything is timed. The network's matrix products alone are timed as a
limit: at once and in chunks, as they are, transposed, and in xpnet's blocks.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.contest import play
from harness.options import make_parser, parse, positive, write_json
from harness.provenance import about, headline
from harness.registry import LIMITS, OURS, RIVALS, missing, serving
from harness.reporting import markdown_table, replace_table
from harness.workload import Shape, Workload

NETWORKS = ("784-50-100-10:sigmoid", "784-1024-1024-10:relu")
ROWS = (1, 100, 10_000)
LARGE = 2 * 10**6  # operations for a row: with more, 3,000 rows are enough
PACKAGES = ("scikit-learn", "torch", "onnxruntime", "openvino", "jax", "threadpoolctl")
ELSEWHERE = ("torch.compile, CUDA graphs",)  # for rows on a GPU


def main() -> int:
    """Run the benchmark."""
    args = parse_arguments()
    if args.table:
        result = json.loads(Path(args.table).read_text(encoding="utf-8"))
    else:
        result = measure(args)
        write_json(args.json, result)
    lines = markdown(result)
    print("\n" + "\n".join(lines))
    if args.readme:
        said = f"{headline(result['about'])} Best of {result['rounds']} rounds."
        replace_table(args.readme, "inference.py", [said, "", *lines])
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(str(__doc__), 15, table=True)
    add = parser.add_argument
    add(
        "--networks",
        nargs="+",
        default=NETWORKS,
        metavar="WIDTHS:ACTIVATION",
        help=f"sigmoid, tanh, relu or gelu (default: {' '.join(NETWORKS)})",
    )
    add("--rows", nargs="+", type=positive, help="(default: 1 100 10000)")
    add("--threads", nargs="+", type=positive, default=(1, 2), help="(default: 1 2)")
    args = parse(parser)
    if args.quick:
        args.networks, args.rows, args.rounds, args.threads = NETWORKS[:1], [1, 20], 1, [2]
    if args.device == "gpu":
        args.threads = args.threads[:1]
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time all rivals for each number of threads, network and number of rows."""
    facts = about(*PACKAGES, device=args.device)
    print(headline(facts))
    rivals = {name: entry for name, entry in RIVALS.items() if name not in ELSEWHERE}
    absent = missing({**rivals, **LIMITS}, args.device)
    for name, lack in absent.items():
        print(f"missing: {name} ({lack})")
    names, cells = [name for name in (*rivals, *LIMITS) if name not in absent], []
    for threads in args.threads:
        with serving(names, threads, args.device) as workers:
            for shape in map(Shape.parse, args.networks):
                default = (*ROWS[:-1], 3000) if shape.operations > LARGE else ROWS
                for n_rows in args.rows or default:
                    workload = Workload(shape, n_rows)
                    seconds, unable = play(workload, workers, args.rounds)
                    cell = {
                        "network": str(shape),
                        "rows": n_rows,
                        "threads": threads,
                        "operations": shape.operations * n_rows,
                        "seconds": seconds,
                        "unable": unable,
                    }
                    cells.append(cell)
                    print_cell(cell)
    absent = {name: lack for name, lack in absent.items() if name in rivals}
    return {"about": facts, "rounds": args.rounds, "missing": absent, "cells": cells}


def ratio(cell: Mapping[str, Any], name: str, way: str = "plain") -> float:
    """Return the time of a rival as a multiple of xpnet's."""
    return float(cell["seconds"][name][way]["best"] / cell["seconds"][OURS]["plain"]["best"])


def print_cell(cell: Mapping[str, Any]) -> None:
    """Print all times for one network and number of rows and threads."""
    print(f"\n{cell['network']}, {cell['rows']:,} rows, {cell['threads']} threads")
    print(f"  {'':<22} {'plainly, microsec':>20} {'to xpnet':>9} {'best way':>20} {'to xpnet':>9}")
    for name, found in cell["seconds"].items():
        shown = []
        for key, way in found.items():
            times = f"{1e6 * way['best']:,.1f} ({1e6 * way['median']:,.1f})"
            shown.append(f"{times:>20} {ratio(cell, name, key):>9.2f}")
        way = found["best way"]
        chunk = "all at once" if way["chunk"] is None else f"{way['chunk']} rows"
        print(f"  {name:<22} {' '.join(shown)}  {chunk}{', shared out' * way['shared']}")
    for name, why in cell["unable"].items():
        print(f"  {name:<22} {why}")


def rivals_of(result: Mapping[str, Any]) -> list[str]:
    """Return the rivals that were timed, without xpnet prepared and the limits."""
    timed = {name for cell in result["cells"] for name in cell["seconds"]}
    return [name for name in RIVALS if name in timed and name != OURS]


def markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the table of times as multiples of xpnet's: plainly, and in the best way."""

    def entry(cell: Mapping[str, Any], name: str) -> str:
        if name not in cell["seconds"]:
            return "-"
        ratios = (ratio(cell, name), ratio(cell, name, "best way"))
        return " / ".join(dict.fromkeys(f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in ratios))

    names, rows = rivals_of(result), []
    for cell in result["cells"]:
        ours = 1e6 * cell["seconds"][OURS]["plain"]["best"]
        limits = [ratio(cell, name, "best way") for name in LIMITS if name in cell["seconds"]]
        rows.append(
            [
                f"{cell['network'].replace(':', ' ')}, {cell['rows']:,}, {cell['threads']}",
                f"{ours:,.1f}" if cell["rows"] == 1 else f"{ours:,.0f}",
                f"{min(limits):.0%}" if limits else "-",
                *(entry(cell, name) for name in names),
            ]
        )
    return markdown_table(["network, rows, threads", "xpnet, µs", "of products", *names], rows)


if __name__ == "__main__":
    sys.exit(main())
