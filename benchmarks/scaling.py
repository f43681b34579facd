"""How xpnet's speed on a CPU grows with rows, widths and threads, beside two other ways.

    python benchmarks/scaling.py --json scaling.json -o scaling.png

Three questions. How many images a second, from one row to a hundred thousand? What share of a
second's operations is left of a network of equal layers, from narrow to wide? And how much do
threads help? NumPy by hand and ONNX Runtime, where it is installed, are called plainly. A fourth
one is xpnet's alone: does a memory-mapped file of ten million images take as long for each of them
as ten thousand do, and how much memory? All rounds take turns; the best and the median are told.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from peers.cases import Case, Shape
from peers.match import Match, missing, processes
from provenance import about, headline

from xpnet.cli.arguments import positive
from xpnet.pictures.saving import check_picture, save_figure

NAMES = ("xpnet, prepared", "NumPy by hand", "ONNX Runtime")
BOOK = "784-50-100-10:sigmoid"
ROWS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000)
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
ROWS_OF_WIDE = 1000
MAPPED_ROWS = (10_000, 100_000, 1_000_000, 10_000_000)

# In a process of its own: its memory is what is measured.
_MAPPED = """
import sys, time
import numpy as np
import xpnet

def memory(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024

network = xpnet.init_network([784, 50, 100, 10], preprocessing=xpnet.Scale(1 / 255))
network = xpnet.prepare(network)
xpnet.predict(network, np.zeros((10_000, 784), np.uint8))
before = memory("VmHWM")
images = np.memmap(sys.argv[1], np.uint8, "r", shape=(int(sys.argv[2]), 784))
seconds = []
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    labels = xpnet.predict(network, images)
    seconds.append(time.perf_counter() - start)
print(min(seconds), memory("VmHWM") - before)
"""


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    facts = about("xpnet", "numpy", "onnxruntime", "threadpoolctl")
    print(headline(facts))
    absent = missing()
    names = [name for name in NAMES if name not in absent]
    print("".join(f"missing: {name}\n" for name in NAMES if name in absent), end="")
    book = Shape.parse(BOOK)
    wide = [Shape.parse(f"784-{width}-{width}-10:relu") for width in args.widths]
    result: dict[str, Any] = {"about": facts, "rounds": args.rounds, "threads": {}}
    for threads in sorted({1, args.threads}):
        cases = [Case(book, n_rows) for n_rows in args.rows]
        cases += [Case(shape, min(ROWS_OF_WIDE, args.rows[-1])) for shape in wide]
        found = list(measure(names, threads, cases, args.rounds))
        result["threads"][threads] = {
            "rows": dict(zip(args.rows, found, strict=False)),
            "widths": dict(zip(args.widths, found[len(args.rows) :], strict=True)),
        }
    result["mapped"] = {n: mapped(n, args.rounds) for n in args.mapped}
    print_mapped(result["mapped"])
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.output:
        from peers.curves import draw

        save_figure(draw(result), args.output, force=True)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--threads", type=positive, default=cores, help=f"(default: {cores})")
    parser.add_argument("--rounds", type=positive, default=9, help="(default: 9)")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the results")
    args = parser.parse_args()
    args.rows, args.widths, args.mapped = ROWS, WIDTHS, MAPPED_ROWS
    if args.quick:
        args.rows, args.widths, args.mapped, args.rounds = (1, 100), (16, 64), (1000, 10_000), 1
    if not Path("/proc/self/status").exists():
        args.mapped = ()  # nobody tells the peak of the memory
    if args.output:
        check_picture(args.output)
    return args


def measure(
    names: list[str], threads: int, cases: Iterable[Case], rounds: int
) -> Iterable[dict[str, dict[str, float]]]:
    """Yield everybody's seconds for each case."""
    with processes(names, threads, is_shared=False) as everybody:
        for case in cases:
            match = Match(case, everybody)
            found = {
                name: {**way["plain"], "operations": case.shape.operations * case.n_rows}
                for name, way in match.play(rounds, tries_chunks=False).items()
            }
            told = ", ".join(f"{name} {case.n_rows / f['best']:,.0f}" for name, f in found.items())
            print(f"{case.shape}, {case.n_rows:,} rows, {threads} threads, images/s: {told}")
            yield found


def mapped(n_rows: int, rounds: int) -> dict[str, float]:
    """Measure a memory-mapped file of so many images, all of them black."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(n_rows * 784)
        words = [sys.executable, "-c", _MAPPED, file.name, str(n_rows), str(min(rounds, 3))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
        done = subprocess.run(  # noqa: S603 (our own code)
            words, capture_output=True, text=True, check=True, env=environment
        )
    seconds, n_bytes = map(float, done.stdout.split())
    return {"seconds": seconds, "bytes": n_bytes}


def print_mapped(found: Mapping[int, Mapping[str, float]]) -> None:
    """Print how long a row of a memory-mapped file takes, and how much memory was added."""
    for n_rows, each in found.items():
        print(
            f"memory-mapped, {n_rows:,} rows: {1e6 * each['seconds'] / n_rows:.3f} microseconds a"
            f" row, {each['bytes'] / 1e6:,.0f} MB more memory"
        )


if __name__ == "__main__":
    sys.exit(main())
