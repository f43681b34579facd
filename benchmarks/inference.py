"""Time from raw bytes to labels: xpnet beside other libraries, with the same threads.

    python benchmarks/inference.py --json benchmarks/results   # inference-PROCESSOR.json, or a file
    python benchmarks/inference.py --networks 784-300-10:tanh --rows 7 1000 54321
    python benchmarks/inference.py --kernels Haswell Sandybridge Zen
    python benchmarks/inference.py --exact   # reproducible results beside the usual ones
    python benchmarks/inference.py --table benchmarks/results/inference-*.json --page FILE
    python benchmarks/inference.py --table FILE --picture docs/pictures/speed.png

Each rival runs in a process of its own, pinned to as many processors as there are threads. All are
timed in turn, round by round. Each is called plainly, and in its best way: in chunks of 16 to 4,096
rows, computed one after the other, or several at a time on one thread each. Labels are compared
with those of float64 before anything is timed. The network's matrix products alone are timed as a
limit: at once and in chunks, as they are, transposed, and in xpnet's blocks. Beside them run other
libraries' networks without activations. OpenBLAS uses the kernel for the processor; --kernels
measures xpnet, NumPy and ONNX Runtime with others, too. --networks and --rows also select rows of a
--table; docs/explanation/speed.md has a few.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from harness.contest import play
from harness.options import make_parser, parse, positive, results_of
from harness.provenance import about_workers, headline, processor_kind
from harness.registry import (
    ENTRIES,
    EXACT,
    LIMITS,
    OTHER_PRODUCTS,
    OURS,
    RIVALS,
    missing,
    serving,
)
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
PACKAGES = ("scikit-learn", "torch", "onnxruntime", "openvino", "jax", "threadpoolctl")
BY_HAND = ("NumPy by hand", "NumPy in place")
USUAL = tuple(name for name in ENTRIES if name != EXACT)
WITH_KERNELS = (OURS, *BY_HAND, "ONNX Runtime", *LIMITS)


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
    text = f"sigmoid, tanh, relu or gelu (default: {' '.join(NETWORKS)})"
    add("--networks", nargs="+", metavar="WIDTHS:ACTIVATION", help=text)
    text = f"(default: {' '.join(map(str, ROWS))}; at most 3000 in wide networks)"
    add("--rows", nargs="+", type=positive, help=text)
    text = "one row is measured with 1 only (default: 1 2)"
    add("--threads", nargs="+", type=positive, default=(1, 2), help=text)
    text = "also measure these kernels of OpenBLAS, such as Haswell"
    add("--kernels", nargs="+", default=(), metavar="CORETYPE", help=text)
    text = "time xpnet alone, its usual and its reproducible results"
    add("--exact", action="store_true", help=text)
    add("--picture", metavar="FILE", help="draw the results, the first of --table, as a PNG")
    args = parse(parser)
    if args.quick:
        args.networks, args.rows, args.rounds, args.threads = NETWORKS[:1], [20], 1, [2]
        args.kernels = args.kernels or ["Haswell"]
    if args.device == "gpu":
        args.threads = args.threads[:1]
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time all rivals for each kernel, number of threads, network and number of rows."""
    facts, start = about_workers(*PACKAGES, device=args.device), time.monotonic()
    print(headline(facts))
    absent = missing(ENTRIES, args.device)
    for name, lack in absent.items():
        print(f"missing: {name} ({lack})")
    steps = list(product((None, *args.kernels), args.threads))
    total = sum(len(list(workloads(args, threads))) for _, threads in steps)
    cells: list[dict[str, Any]] = []
    for coretype, threads in steps:
        names = USUAL if coretype is None else WITH_KERNELS
        names = (OURS, EXACT) if args.exact else names
        chosen = [name for name in names if name not in absent]
        environment = {} if coretype is None else {"OPENBLAS_CORETYPE": coretype}
        with serving(chosen, threads, args.device, environment) as workers:
            kernel = workers[0].ask("kernel")
            for workload in workloads(args, threads):
                seconds, unable = play(workload, workers, args.rounds)
                cell = {
                    "network": str(workload.shape),
                    "rows": workload.n_rows,
                    "threads": threads,
                    "coretype": coretype,
                    "kernel": kernel,
                    "operations": workload.shape.operations * workload.n_rows,
                    "seconds": seconds,
                    "unable": unable,
                }
                cells.append(cell)
                done = f"{len(cells)} of {total} after {time.monotonic() - start:.0f} s"
                print(f"\n{done}: {json.dumps(cell)}", flush=True)
    absent = {name: lack for name, lack in absent.items() if name in RIVALS}
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


def entry(cell: Mapping[str, Any] | None, *names: str) -> str:
    """Return the shortest time as a multiple of xpnet's: plainly, and in the best way."""
    timed = [name for name in names if cell and name in cell["seconds"]]
    if not cell or not timed:
        return "-"
    ratios = [min(ratio(cell, name, way) for name in timed) for way in ("plain", "best way")]
    return " / ".join(dict.fromkeys(f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in ratios))


def markdown(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the provenance of results, and one table, with a block of rows for each of them."""
    cells = [cell for result in results for cell in result["cells"]]
    timed = {name for cell in cells for name in cell["seconds"]}
    names = [name for name in RIVALS if name in timed and name in USUAL[1:]] or [EXACT]
    kernels = dict.fromkeys(cell["kernel"] for cell in cells if cell["coretype"])
    header = ["network, rows, threads", "xpnet, µs", "of products", *names, "others' products"]
    header += [f"NumPy, {kernel}" for kernel in kernels]
    lines, rows = [], []
    for result in results:
        lines += [f"{headline(result['about'])} Best of {result['rounds']} rounds.", ""]
        rows.append([f"**{processor_kind(result['about'])}**", *[""] * (len(header) - 1)])
        cells = result["cells"]
        forced = {(place(cell), cell["kernel"]): cell for cell in cells if cell["coretype"]}
        for cell in cells:
            if cell["coretype"]:
                continue
            ours = 1e6 * cell["seconds"][OURS]["plain"]["best"]
            limits = [ratio(cell, name, "best way") for name in LIMITS if name in cell["seconds"]]
            row = [
                place(cell),
                f"{ours:,.1f}" if cell["rows"] == 1 else f"{ours:,.0f}",
                f"{min(limits):.0%}" if limits else "-",
                *(entry(cell, name) for name in names),
                entry(cell, *OTHER_PRODUCTS),
                *(entry(forced.get((place(cell), kernel)), *BY_HAND) for kernel in kernels),
            ]
            rows.append(row)
    used = [i for i in range(len(header)) if any(row[i] not in {"", "-"} for row in rows)]
    header, *rows = ([row[i] for i in used] for row in (header, *rows))
    return [*lines, *markdown_table(header, rows)]


if __name__ == "__main__":
    sys.exit(main())
