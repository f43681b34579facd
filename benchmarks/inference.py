"""Time from raw bytes to labels: xpnet beside other libraries, with the same threads.

    python benchmarks/inference.py --json benchmarks/results   # inference-PROCESSOR.json, or a file
    python benchmarks/inference.py --networks 784-300-10:tanh --rows 7 1000 54321
    python benchmarks/inference.py --exact   # reproducible results beside the usual ones
    python benchmarks/inference.py --table benchmarks/results/inference-*.json --page FILE
    python benchmarks/inference.py --table FILE --picture docs/pictures/speed.png

Each rival runs in a process of its own, pinned to as many processors as there are threads. All are
timed in turn, round by round. Each is called plainly, and in its best way: in chunks of 16 to 4,096
rows, computed one after the other, or several at a time on one thread each. Labels are compared
with those of float64 before anything is timed. --networks and --rows also select rows of a --table;
docs/explanation/speed.md has a few.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.contest import play
from harness.options import make_parser, parse, positive, results_of
from harness.provenance import about_workers, headline, processor_kind
from harness.registry import EXACT, OURS, RIVALS, missing, serving
from harness.reporting import markdown_table, show_table
from harness.workload import Shape, Workload

NETWORKS = (
    "784-50-100-10:sigmoid",
    "784-1024-1024-10:relu",
    "784-300-10:tanh",
    "64-128-128-64-10:relu",
)
ROWS = (1, 7, 100, 1000, 10_000)
LARGE = 2 * 10**6  # operations for a row: with more, 3,000 rows are enough
PACKAGES = ("scikit-learn", "torch", "onnxruntime", "openvino", "threadpoolctl")
USUAL = tuple(name for name in RIVALS if name != EXACT)


def main() -> int:
    """Run the benchmark."""
    args = parse_arguments()
    results = results_of(args, measure, "inference")
    networks = {str(Shape.parse(word)) for word in args.networks or ()}
    for key, chosen in (("network", networks), ("rows", args.rows)):
        for result in results if chosen else ():
            result["cells"] = [cell for cell in result["cells"] if cell[key] in chosen]
    show_table(args.page, "inference.py", markdown(results))
    if args.picture:
        from harness.pictures import draw_speed

        draw_speed(args.picture, results[0])
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(str(__doc__), 8, table=True)
    add = parser.add_argument
    text = f"sigmoid, tanh or relu (default: {' '.join(NETWORKS)})"
    add("--networks", nargs="+", metavar="WIDTHS:ACTIVATION", help=text)
    text = f"(default: {' '.join(map(str, ROWS))}; at most 3000 in wide networks)"
    add("--rows", nargs="+", type=positive, help=text)
    text = "one row is measured with 1 only (default: 1 2)"
    add("--threads", nargs="+", type=positive, default=(1, 2), help=text)
    text = "time xpnet alone, its usual and its reproducible results"
    add("--exact", action="store_true", help=text)
    add("--picture", metavar="FILE", help="draw the results, the first of --table, as a PNG")
    args = parse(parser)
    if args.quick:
        args.networks, args.rows, args.rounds, args.threads = NETWORKS[:1], [20], 1, [2]
    if args.device == "gpu":
        args.threads = args.threads[:1]
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time all rivals for each number of threads, network and number of rows."""
    facts, start = about_workers(*PACKAGES, device=args.device), time.monotonic()
    print(headline(facts))
    absent = missing(RIVALS, args.device)
    for name, lack in absent.items():
        print(f"missing: {name} ({lack})")
    total = sum(len(list(workloads(args, threads))) for threads in args.threads)
    names = (OURS, EXACT) if args.exact else USUAL
    chosen = [name for name in names if name not in absent]
    cells: list[dict[str, Any]] = []
    for threads in args.threads:
        with serving(chosen, threads, args.device) as workers:
            for workload in workloads(args, threads):
                seconds, unable = play(workload, workers, args.rounds)
                cell = {
                    "network": str(workload.shape),
                    "rows": workload.n_rows,
                    "threads": threads,
                    "operations": workload.shape.operations * workload.n_rows,
                    "seconds": seconds,
                    "unable": unable,
                }
                cells.append(cell)
                done = f"{len(cells)} of {total} after {time.monotonic() - start:.0f} s"
                print(f"\n{done}: {json.dumps(cell)}", flush=True)
    return {"about": facts, "rounds": args.rounds, "missing": absent, "cells": cells}


def workloads(args: argparse.Namespace, threads: int) -> Iterator[Workload]:
    """Yield networks and numbers of rows; one row is computed by one thread."""
    for shape in map(Shape.parse, args.networks or NETWORKS):
        default = (*ROWS[:-1], 3000) if shape.operations > LARGE else ROWS
        for n_rows in args.rows or default:
            if n_rows > 1 or threads == 1:
                yield Workload(shape, n_rows)


def ratio(cell: Mapping[str, Any], name: str, way: str = "plain") -> float:
    """Return the time of a rival as a multiple of xpnet's."""
    return float(cell["seconds"][name][way]["best"] / cell["seconds"][OURS]["plain"]["best"])


def place(cell: Mapping[str, Any]) -> str:
    """Return network, number of rows and number of threads."""
    return f"{cell['network'].replace(':', ' ')}, {cell['rows']:,}, {cell['threads']}"


def entry(cell: Mapping[str, Any], name: str) -> str:
    """Return the time of a rival as a multiple of xpnet's: plainly, and in the best way."""
    if name not in cell["seconds"]:
        return "-"
    ratios = [ratio(cell, name, way) for way in ("plain", "best way")]
    return " / ".join(dict.fromkeys(f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in ratios))


def markdown(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the provenance of results, and one table, with a block of rows for each of them."""
    cells = [cell for result in results for cell in result["cells"]]
    timed = {name for cell in cells for name in cell["seconds"]}
    names = [name for name in RIVALS if name in timed and name in USUAL[1:]] or [EXACT]
    header = ["network, rows, threads", "xpnet, µs", *names]
    lines, rows = [], []
    for result in results:
        lines += [f"{headline(result['about'])} Best of {result['rounds']} rounds.", ""]
        rows.append([f"**{processor_kind(result['about'])}**", *[""] * (len(header) - 1)])
        for cell in result["cells"]:
            ours = 1e6 * cell["seconds"][OURS]["plain"]["best"]
            row = [
                place(cell),
                f"{ours:,.1f}" if cell["rows"] == 1 else f"{ours:,.0f}",
                *(entry(cell, name) for name in names),
            ]
            rows.append(row)
    return [*lines, *markdown_table(header, rows)]


if __name__ == "__main__":
    sys.exit(main())
